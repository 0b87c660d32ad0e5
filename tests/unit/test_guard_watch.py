"""The detached shell of the guard is seen to wait, and a lock that cannot be had is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from snapshots.guard_switch import _see_it_wait
from snapshots.model import SnapshotError
from snapshots.state import StateDir


def test_a_program_that_starts_no_shell_is_refused() -> None:
    with pytest.raises(SnapshotError, match=r"systemd-run ended at once \(exit status 1\)"):
        _see_it_wait(subprocess.Popen(["false"]), "systemd-run")


def test_a_shell_that_waits_is_seen() -> None:
    shell = subprocess.Popen(["sh", "-c", "sleep 60; true"])
    try:
        _see_it_wait(shell, "sh")
    finally:
        shell.kill()
        shell.wait()


def test_a_lock_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    (state.path / "lock").symlink_to("elsewhere")
    with (
        pytest.raises(SnapshotError, match=r"lock cannot be opened for writing: .*nothing was"),
        state.lock("recover"),
    ):
        pass
