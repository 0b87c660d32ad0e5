"""Running programs: what reaches them, what comes back, and that nothing of them survives."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest

from host import command, streams
from host.base import CommandFailed, CommandMissing, CommandTimeout, Completed, HostError

Run = Callable[..., Completed]


@pytest.fixture(params=("asked", "listened to", "nohup"))
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """`command.run` in each way in which a program is started."""
    if request.param == "listened to":
        yield partial(command.run, on_line=lambda line: None)
        return
    before = signal.getsignal(signal.SIGHUP)
    if request.param == "nohup":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield command.run
    signal.signal(signal.SIGHUP, before)


def alive(marker: str) -> list[int]:
    """Processes that are still there with `marker` in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if marker in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.pid)
    return found


def test_outputs_are_kept_apart_and_decoded(run: Run) -> None:
    done = run(["sh", "-c", r"echo out; printf 'a\377b' >&2"])
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "a�b", 0)
    assert done.argv[0] == "sh"


def test_environment_is_complete_fixed_and_extended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/nowhere.so")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    words = run(["env"], env={"APT_LISTCHANGES_FRONTEND": "none"}).stdout.splitlines()
    assert sorted(words) == sorted(
        [*(f"{k}={v}" for k, v in command.ENVIRONMENT.items()), "APT_LISTCHANGES_FRONTEND=none"]
    )


def test_program_gets_a_session_default_signals_and_umask(run: Run) -> None:
    before = os.umask(0o077)
    try:
        said = run(["sh", "-c", "umask; ps -o sid= -p $$; echo $$; pwd"]).stdout.split()
        ignored = run(["sed", "-n", "s/^SigIgn:\t//p", "/proc/self/status"]).stdout
    finally:
        os.umask(before)
    umask, session, own_pid, directory = said
    assert (umask, session, directory) == ("0022", own_pid, "/")
    # The C library keeps signals 32 and up to itself; nobody but it can reset them.
    assert int(ignored, 16) & 0x7FFFFFFF == 0


def test_standard_input_is_handed_over_whole_and_ends(run: Run) -> None:
    content = os.urandom(3_000_000).hex().encode()
    assert run(["cat"], stdin=content).stdout.encode() == content
    assert run(["cat"], timeout_s=5).stdout == ""


def test_lines_come_while_the_program_runs() -> None:
    seen: list[tuple[str, float]] = []
    began = time.monotonic()
    command.run(
        ["sh", "-c", "echo one; sleep 0.4; echo two >&2; printf three"],
        on_line=lambda line: seen.append((line, time.monotonic() - began)),
    )
    assert [line for line, _ in seen] == ["one", "two", "three"]
    assert seen[0][1] < 0.3 < seen[1][1]


def test_a_failing_program_says_what_it_said(run: Run) -> None:
    with pytest.raises(CommandFailed, match="exit status 3: no such thing") as caught:
        run(["sh", "-c", "echo no such thing >&2; exit 3"])
    assert caught.value.completed.returncode == 3
    assert run(["sh", "-c", "exit 3"], ok=(0, 3)).returncode == 3
    assert run(["sh", "-c", "kill -9 $$"], ok=None).returncode == -9


def test_missing_and_unusable_programs(run: Run) -> None:
    with pytest.raises(CommandMissing, match="`no-such-program` is not installed"):
        run(["no-such-program"])
    with pytest.raises(HostError, match="null byte"):
        run(["echo", "a\0b"])


def test_a_file_that_is_no_program(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF but not really")
    program.chmod(0o755)
    with pytest.raises(HostError, match="could not be started"):
        run([str(program)])


def test_the_path_is_ours(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cat").write_text("#!/bin/sh\necho wrong\n")
    (tmp_path / "cat").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run(["cat"], stdin=b"right").stdout == "right"
    assert command.which("cat") in ("/usr/bin/cat", "/bin/cat")


def test_timeout_stops_children_that_ignore_it_or_left_the_group(run: Run) -> None:
    marker = f"86{os.getpid()}"
    script = f"trap '' TERM; sleep {marker} & setsid sleep {marker} & sleep {marker}"
    began = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"within 0\.3 s; it was stopped with everything"):
        run(["sh", "-c", script], timeout_s=0.3)
    assert time.monotonic() - began < 3
    time.sleep(0.1)
    assert alive(marker) == []


def test_a_listener_that_fails_leaves_no_program_behind() -> None:
    marker = f"87{os.getpid()}"

    def listener(line: str) -> None:
        raise RuntimeError(line)

    with pytest.raises(RuntimeError, match="go"):
        command.run(["sh", "-c", f"echo go; sleep {marker}"], on_line=listener)
    time.sleep(0.1)
    assert alive(marker) == []


def test_a_daemon_that_keeps_the_output_open_does_not_hold_us(run: Run) -> None:
    marker = f"3.{os.getpid()}"
    began = time.monotonic()
    assert run(["sh", "-c", f"sleep {marker} & echo started"]).stdout == "started\n"
    assert time.monotonic() - began < 2
    for pid in alive(marker):
        os.kill(pid, 9)


def test_output_without_end_is_cut_at_its_beginning(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "OUTPUT_LIMIT_BYTES", 100_000)
    text = run(["sh", "-c", "yes | head -c 1000000; echo end"]).stdout
    assert text.startswith("[earlier output left out]\n") and text.endswith("end\n")
    assert len(text) < 200_000


def test_many_threads_and_no_descriptor_is_left(run: Run) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: run(["echo", str(n)]).stdout.strip(), range(80)))
    assert said == [str(n) for n in range(80)]
    assert len(os.listdir("/proc/self/fd")) == before


def test_of_what_is_written_over_on_one_line_the_last_is_shown() -> None:
    seen: list[str] = []
    argv = (
        "printf",
        r"(Reading ... \r(Reading ... 5%%\r(Reading ... 9 files.)\nSetting up x ...\r\n",
    )
    done = command.run(argv, on_line=seen.append)
    assert seen == ["(Reading ... 9 files.)", "Setting up x ..."]
    assert "5%" in done.stdout
