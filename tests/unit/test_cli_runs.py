"""Runs: found by their id or as the latest, followed to their end, told apart from dead ones."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
import time
from pathlib import Path

import msgspec
import pytest

from steps.events import Done, OutputEvent, ProgressEvent, Started
from tui import runs
from tui.cli_follow import follow_run
from tui.failures import Stop
from tui.hands import follow
from tui.options import Options
from tui.out import Out
from tui.work import Recorder


def begin(state: Path) -> Path:
    return runs.create(state, command="apply", steps=("ssh.limits",), user="alice")


def running(directory: Path, pid: int) -> None:
    runs.mark(directory, status="running", pid=pid, pid_start=runs.start_of(pid))


def test_a_run_is_roots_alone_and_sorts_by_its_beginning(tmp_path: Path) -> None:
    first = begin(tmp_path / "state")
    time.sleep(0.002)
    second = begin(tmp_path / "state")
    for path in (first, *first.iterdir(), first.parent):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert runs.directories(tmp_path / "state") == [first, second]
    assert runs.find(tmp_path / "state", "") == second
    assert runs.find(tmp_path / "state", first.name) == first
    assert runs.find(tmp_path / "state", first.name[:-1]) == first


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    assert runs.find(tmp_path, "") is None
    with pytest.raises(Stop, match="There is none yet") as stopped:
        runs.find(tmp_path, "2026")
    assert stopped.value.exit == 2


def test_a_number_that_was_used_again_is_not_the_worker(tmp_path: Path) -> None:
    directory = begin(tmp_path)
    running(directory, os.getpid())
    assert runs.read(directory).status == "running"
    runs.mark(directory, pid_start=1)
    assert runs.read(directory).status == "interrupted"


def test_a_zombie_does_not_work_any_more(tmp_path: Path) -> None:
    directory = begin(tmp_path)
    child = subprocess.Popen(["true"])
    until = time.monotonic() + 10
    while runs.start_of(child.pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert runs.start_of(child.pid) == 0
    child.wait()
    runs.mark(directory, status="running", pid=child.pid, pid_start=5)
    assert runs.read(directory).status == "interrupted"


def test_following_shows_everything_and_ends_with_the_work(tmp_path: Path) -> None:
    directory = begin(tmp_path)
    running(directory, os.getpid())
    emit = Recorder(directory, ["hunter2"])

    def work() -> None:
        emit(Started(run=directory.name, command="apply"))
        for number in range(50):
            emit(OutputEvent(line=f"line {number} hunter2"))
            time.sleep(0.002)
        emit(Done(exit=4, summary="rolled back"))
        runs.mark(directory, status="finished", exit=4)

    worker = threading.Thread(target=work)
    worker.start()
    seen: list[dict[str, object]] = []
    assert follow(directory, lambda event, _line: seen.append(event)) == 4
    worker.join()
    assert len(seen) == 52
    assert seen[1]["line"] == "line 0 ••••••"
    assert "hunter2" not in (directory / "events.jsonl").read_text()


def test_a_log_is_told_once_what_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = begin(tmp_path)
    emit = Recorder(directory, [])
    emit(Started(run=directory.name, command="apply"))
    for what in ("capturing /etc", *["waiting up to 60 s for apt-get (process 7)"] * 3):
        emit(ProgressEvent(what=what))
    emit(Done(exit=0, summary="done"))
    runs.mark(directory, status="finished", exit=0)
    options = Options(
        practice=True, state_dir=tmp_path, log_dir=tmp_path, checklist="i-doit", format="text"
    )
    assert follow_run(Out(), options, directory) == 0
    begun, waited, ended = capsys.readouterr().out.splitlines()
    assert waited == "    waiting up to 60 s for apt-get (process 7)"
    assert begun.startswith("apply") and ended == "done"


def test_a_worker_that_died_is_told(tmp_path: Path) -> None:
    directory = begin(tmp_path)
    emit = Recorder(directory, [])
    emit(Started(run=directory.name, command="apply"))
    child = subprocess.Popen(["sleep", "60"])
    running(directory, child.pid)
    child.kill()
    child.wait()
    with (directory / "events.jsonl").open("a") as file:
        file.write('{"event":"outp')  # the write that the kill cut off
    with pytest.raises(Stop, match="harden-tui recover") as stopped:
        follow(directory, lambda _event, _line: None)
    assert stopped.value.exit == 5


def test_masking_leaves_what_programs_decide_by(tmp_path: Path) -> None:
    directory = begin(tmp_path)
    Recorder(directory, ["done"])(Done(exit=0, summary="all done"))
    event = msgspec.json.decode((directory / "events.jsonl").read_bytes())
    assert event["event"] == "done"
    assert event["summary"] == "all ••••••"
