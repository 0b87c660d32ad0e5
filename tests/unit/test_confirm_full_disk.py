"""Answers to a guarded change that cannot be written down: what became of it is said."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapshots.history import transactions
from snapshots.state import StateDir
from tui.entry import main

GUARDED = "ssh.limits"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command on a practice host on which a change waits: (exit status, all output)."""

    def call(*arguments: str) -> tuple[int, str]:
        exit_status = main(["--practice", "--state-dir", str(tmp_path / "state"), *arguments])
        shown = capfd.readouterr()
        return exit_status, shown.out + shown.err

    assert call("apply", GUARDED, "--yes", "--no-wait")[0] == 0
    return call


def status(tmp_path: Path) -> str:
    (record,) = transactions(StateDir(tmp_path / "state", tmp_path / "state/log"))
    return record.status


def full_from(monkeypatch: pytest.MonkeyPatch, number: int, error: int) -> None:
    """Each rename from this one on fails; the content before it found no room as well."""
    renames = 0
    real = os.rename

    def rename(*arguments: Any, **named: Any) -> None:
        nonlocal renames
        renames += 1
        if renames >= number:
            raise OSError(error, os.strerror(error))
        real(*arguments, **named)

    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, rename)


CONFIRM = ("confirm", "--without-login", "--word", "practice")


@pytest.mark.parametrize(
    ("error", "mend"), [(errno.ENOSPC, "Make room there"), (errno.EROFS, "Mend that")]
)
@pytest.mark.parametrize("answer", [CONFIRM, ("confirm", "--extend", "10m")])
def test_an_answer_that_could_not_be_written_down_is_none(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[str, ...],
    error: int, mend: str,
) -> None:  # fmt: skip
    with monkeypatch.context() as full:
        full_from(full, 1, error)
        exit_status, said = run(*answer)
    assert exit_status == 3
    assert f"Your answer could not be written down ({tmp_path}/state" in said
    assert f"{GUARDED} still waits. {mend}, then run" in said
    assert status(tmp_path) == "pending"
    assert run(*CONFIRM)[0] == 0
    assert status(tmp_path) == "committed"


@pytest.mark.parametrize("answer", [CONFIRM, ("confirm", "--extend", "10m")])
def test_what_waits_is_told_where_not_even_the_lock_can_be_opened(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[str, ...]
) -> None:
    real = os.open

    def read_only(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("/state/lock") and flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return real(path, flags, *arguments, **named)

    with monkeypatch.context() as away:
        away.setattr(os, "open", read_only)
        exit_status, said = run(*answer)
    assert exit_status == 3
    assert f"{GUARDED} still waits. Mend that, then run" in said
    assert run(*CONFIRM)[0] == 0


def test_what_is_confirmed_is_kept_though_the_rest_found_no_room(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full_from(full, 2, errno.ENOSPC)
        exit_status, said = run(*CONFIRM)
    assert exit_status == 5
    assert f"{GUARDED} is confirmed and kept, but not all of that could be written down" in said
    assert run("recover", "--yes")[0] == 0
    assert status(tmp_path) == "committed"


def test_a_full_disk_keeps_nobody_from_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds it is told as a courtesy: `history prune`, which makes room, must get it."""
    state = StateDir(tmp_path / "state")
    with state.lock("one who is gone"):
        pass

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", no_room)
        with state.lock("prune"):
            holder = StateDir(tmp_path / "state").holder()
    assert holder is not None and holder.what != "one who is gone"
