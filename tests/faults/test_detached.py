"""The work outlives what started it: a terminal that hangs up, a front that is killed, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tui import runs

ROOT = Path(__file__).resolve().parents[2]
STEP = "apache.banner"


def program(state: Path, *arguments: str) -> list[str]:
    return [
        sys.executable, "-m", "tui.entry", *arguments,
        "--practice", "--state-dir", str(state), "--checklist", "i-doit",
    ]  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.01)


def status(state: Path) -> str:
    directory = runs.find(state, "")
    return "" if directory is None else runs.read(directory).status


def start_on_a_terminal(arguments: list[str]) -> tuple[int, int]:
    """(pid, our side of the terminal) of a program that leads a session on a new terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(arguments[0], arguments)
    return pid, terminal


def read_until(terminal: int, words: str) -> str:
    text = ""
    until = time.monotonic() + 60
    while words not in text:
        assert time.monotonic() < until, text
        try:
            text += os.read(terminal, 4096).decode("utf-8", "replace")
        except OSError:
            raise AssertionError(f"the program ended: {text}") from None
    return text


def finished_well(state: Path) -> None:
    wait_for(lambda: status(state) not in ("", "starting", "running"))
    directory = runs.find(state, "")
    assert directory is not None
    run = runs.read(directory)
    assert (run.status, run.exit) == ("finished", 0), run.summary
    done = subprocess.run(
        program(state, "follow", "--format", "events"), cwd=ROOT, capture_output=True, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert events[0]["event"] == "started" and events[0]["run"] == run.run
    assert events[-1]["event"] == "done" and events[-1]["exit"] == 0
    assert any(event.get("applied") for event in events)
    checked = subprocess.run(program(state, "check", STEP), cwd=ROOT, check=False)
    assert checked.returncode == 0


def test_a_terminal_that_hangs_up_stops_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    pid, terminal = start_on_a_terminal(program(state, "apply", STEP))
    read_until(terminal, "Apply? [y/N]")
    os.write(terminal, b"y\n")
    wait_for(lambda: status(state) == "running")
    os.close(terminal)  # the kernel sends SIGHUP to everyone on it
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    finished_well(state)


def test_a_killed_front_stops_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    front = subprocess.Popen(
        program(state, "apply", STEP, "--yes"), cwd=ROOT, stdout=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: status(state) == "running")
    os.killpg(front.pid, signal.SIGKILL)
    front.wait()
    finished_well(state)


def test_ctrl_c_says_how_to_see_the_rest(tmp_path: Path) -> None:
    state = tmp_path / "state"
    pid, terminal = start_on_a_terminal(program(state, "apply", STEP))
    read_until(terminal, "Apply? [y/N]")
    os.write(terminal, b"y\n")
    wait_for(lambda: status(state) == "running")
    os.write(terminal, b"\x03")
    shown = read_until(terminal, " follow")
    assert "the work goes on" in shown
    _, ended = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended) == 130
    os.close(terminal)
    finished_well(state)


def test_no_terminal_and_no_yes_changes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = subprocess.run(
        program(state, "apply", STEP), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--yes" in done.stderr and done.stderr.count("\n") == 1
    assert runs.directories(state) == []


def test_no_is_the_answer_unless_it_is_yes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    pid, terminal = start_on_a_terminal(program(state, "apply", STEP))
    read_until(terminal, "Apply? [y/N]")
    os.write(terminal, b"\n")
    assert "Nothing was changed." in read_until(terminal, "changed.")
    _, ended = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended) == 3
    assert runs.directories(state) == []


@pytest.mark.parametrize("reader", ["true", "head -c 10"])
def test_a_reader_that_leaves_stops_nothing(tmp_path: Path, reader: str) -> None:
    state = tmp_path / "state"
    apply = subprocess.Popen(
        program(state, "apply", STEP, "--yes"), cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    subprocess.run(reader.split(), stdin=apply.stdout, stdout=subprocess.DEVNULL, check=True)
    assert apply.stdout is not None and apply.stderr is not None
    apply.stdout.close()
    said = apply.stderr.read()
    assert apply.wait() == 0
    assert said == b""
    finished_well(state)
