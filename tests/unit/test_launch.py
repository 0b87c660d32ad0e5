"""A working process that is started before its job is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_cli_output import options
from tui import hands, launch, runs
from tui.entry import main
from tui.failures import Stop


@pytest.fixture(autouse=True)
def none_waits() -> Iterator[None]:
    yield
    while (left := launch.take()) is not None:
        left.give(b"")


def test_without_a_job_it_ends_and_leaves_nothing(tmp_path: Path) -> None:
    waiting = launch.Waiting()
    assert waiting.give(b"")
    assert not (tmp_path / "state").exists()


def test_it_does_the_job_that_comes(tmp_path: Path) -> None:
    launch.begin()
    (waiting,) = launch._waiting
    directory = hands.start(options(tmp_path), "recover")
    assert directory.name == waiting.run_id
    assert list(runs.lines(directory))[-1].startswith(b'{"event":"done"')
    assert (directory / "worker.log").read_text() == ""
    assert launch.take() is None


def test_a_command_that_is_refused_lets_go_of_it(tmp_path: Path) -> None:
    state = ("--practice", "--state-dir", str(tmp_path / "state"))
    assert main([*state, "apply", "no.such-step", "--yes"]) == 2
    assert launch.take() is None
    assert runs.directories(tmp_path / "state") == []


def test_where_it_is_gone_another_one_is_started(tmp_path: Path) -> None:
    launch.begin()
    (waiting,) = launch._waiting
    os.kill(waiting.pid, signal.SIGKILL)
    directory = hands.start(options(tmp_path), "recover")
    assert list(runs.lines(directory))[-1].startswith(b'{"event":"done"')


def test_one_that_does_not_answer_in_time_cannot_do_the_job_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "START_TIMEOUT_S", 0.2)
    waiting = launch.Waiting()
    os.kill(waiting.pid, signal.SIGSTOP)
    assert not waiting.give(b"{}")
    assert runs.start_of(waiting.pid) == 0


def test_a_job_says_whose_session_it_comes_from(tmp_path: Path) -> None:
    session = {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}
    job = hands.job_of(options(tmp_path), tmp_path, "recover", steps=(), session=session)
    assert job["environment"] == session


def test_a_way_to_start_that_does_not_work_is_told_when_there_is_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "prefixes", lambda _run: [["/nonexistent/program"], []])
    launch.begin()
    assert launch.take() is None
    directory = hands.start(options(tmp_path), "recover")
    assert list(runs.lines(directory))[-1].startswith(b'{"event":"done"')


@pytest.mark.skipif(os.geteuid() != 0, reason="small disks need root to mount them")
@pytest.mark.parametrize("inodes", [3, 6])  # not for its directory's files; not for a word more
def test_without_room_nothing_begins_and_nothing_is_left(tmp_path: Path, inodes: int) -> None:
    given = options(tmp_path)
    size = f"size=1m,nr_inodes={inodes},mode=700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "small", given.state_dir], check=True)
    try:
        with pytest.raises(Stop) as stopped:
            hands.start(given, "rollback")
        assert runs.directories(given.state_dir) == []
        assert list(runs.root(given.state_dir).iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", given.state_dir], check=True)
    assert stopped.value.exit == 3
    assert stopped.value.message == (
        f"The run could not be written to {given.state_dir}: No space left on device; nothing was"
        " changed on the host. Make room there, for example with `harden-tui history prune`, then"
        " try again."
    )


GONE_AT_ONCE = """
import time
from tui import launch
where = launch.where
launch.prefixes = lambda _run: [["/bin/false"]]
launch.where = lambda: (time.sleep(0.2), where())[1]
launch.begin()
"""


def test_one_that_ends_at_once_leaves_no_complaint_on_the_screen() -> None:
    """As newer Pythons print of what cannot be written any more when it is let go."""
    argv = [sys.executable, "-X", "dev", "-W", "ignore::ResourceWarning", "-c", GONE_AT_ONCE]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stderr == ""
