"""The largest resident set of processes on a test host."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator

from tests.bench.checking import CHECK
from tests.bench.figures import Row, at_most
from tests.bench.hosts import BenchHost

LAUNCH = """
import os, sys
quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
pid = os.posix_spawn("/usr/bin/" + sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
print(os.wait4(pid, 0)[2].ru_maxrss)
"""
"""Prints the largest resident set (KiB) of a program and those it started."""

WATCH = """
import os, re, select, sys
peak = 0
while not select.select([sys.stdin], [], [], 0.01)[0]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if sys.argv[1] in open(f"/proc/{pid}/cmdline").read().split("\\0"):
                status = open(f"/proc/{pid}/status").read()
                peak = max(peak, int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]))
        except (OSError, TypeError):
            continue
print(peak)
"""
"""Looks each 10 ms for processes whose command line names the program; prints their peak (KiB)."""


def measure(host: BenchHost) -> list[Row]:
    """The check, which is one process and the programs it asks."""
    kibibytes = int(host.out("python3", "-I", "-S", "-c", LAUNCH, *CHECK))
    return [at_most("memory of a check", kibibytes / 1024, "MB", 60)]


@contextlib.contextmanager
def watching(host: BenchHost, script: str) -> Iterator[Callable[[], int]]:
    """Watch the processes that run `script` (the end of its path); then say their peak in KiB."""
    inside = ("nsenter", "-t", str(host.leader), "-a", "--")
    watcher = subprocess.Popen(
        [*inside, "python3", "-I", "-S", "-c", WATCH, f"/usr/lib/harden-tui{script}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    try:
        yield lambda: int(said[0])
    finally:
        said.append(watcher.communicate("\n")[0])
