"""dpkg's lock: taken, found taken, named; and scratch names that tell who left them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from host import scratch
from host.holders import describe
from host.local import LocalHost
from host.package_lock import PackageLock

HOLD = """
import fcntl, sys, time
lock = open(sys.argv[1], "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


def ended_pid() -> int:
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ended.pid


def test_the_lock_keeps_another_process_out_and_lets_it_in(tmp_path: Path) -> None:
    path = tmp_path / "lock-frontend"
    lock = PackageLock(str(path))
    assert lock.take() == 0 and lock.take() == 0 and lock.is_held
    attempt = (
        "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    argv = [sys.executable, "-c", attempt, str(path)]
    lock.let_go()
    assert subprocess.run(argv, stderr=subprocess.DEVNULL).returncode != 0
    lock.let_go()
    assert not lock.is_held
    assert subprocess.run(argv).returncode == 0
    lock.let_go()  # once too often is no harm
    assert lock.take() == 0


def test_whoever_holds_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lock-frontend"
    program = tmp_path / "unattended-upgrade"
    program.write_text(HOLD)
    argv = [sys.executable, str(program), str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert PackageLock(str(path)).take() == holder.pid
        words = describe(LocalHost(), holder.pid)
        assert words.startswith(f"unattended-upgrade (process {holder.pid}, since 20")
        holder.kill()
    argv = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as nameless:
        assert nameless.stdout is not None and nameless.stdout.readline() == "held\n"
        assert "python" in describe(LocalHost(), nameless.pid)
        nameless.kill()
    assert PackageLock(str(path)).take() == 0


def test_where_there_is_no_dpkg_nobody_is_in_the_way(tmp_path: Path) -> None:
    assert PackageLock(str(tmp_path / "none/lock-frontend")).take() == 0


def test_a_scratch_name_tells_whether_its_maker_is_gone() -> None:
    now = time.time()
    assert not scratch.is_left(f".record.json.{scratch.suffix()}", now)
    assert scratch.is_left(f".record.json.{ended_pid()}-0123abcd", now)
    assert not scratch.is_left("record.json", now)
    # Our number, but made long before we began: it was another process's.
    assert scratch.is_left(f"/run/x-{scratch.suffix()}", 1.0)
