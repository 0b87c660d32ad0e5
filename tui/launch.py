"""The working process: how it is started, and started before its job is known.

A command that will most likely have work done starts it first of all. While this process reads
what is wanted and refuses what cannot be, that one imports its libraries; it gets its job through
the pipe, or finds the pipe closed and ends. Only the standard library is needed here.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

START_TIMEOUT_S: Final = 60.0
"""A start takes 0.2 s; a machine so busy that it takes a minute is told, not waited for."""

WORKER: Final = Path(__file__).with_name("worker.py")


class Waiting:
    """A working process without a job. `run_id` names the run that it shall do."""

    def __init__(self) -> None:
        self.run_id = new_run_id()
        self._process = subprocess.Popen(
            [*prefixes(self.run_id)[0], *program()], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
            bufsize=0,  # what is left in a buffer would complain once more when it is let go
        )  # fmt: skip
        if self._process.stdin is not None:
            self._process.stdin.write(where())

    @property
    def pid(self) -> int:
        return self._process.pid

    def give(self, job: bytes) -> bool:
        """Hand the job over; whether it was taken. What did not take it in time never will."""
        try:
            self._process.communicate(job, START_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        return self._process.returncode == 0

    def let_go(self) -> None:
        """There is no job: it ends by itself."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()


_waiting: list[Waiting] = []


def begin() -> None:
    """Start the working process; whoever has a job takes it."""
    with contextlib.suppress(OSError):  # it is started once more when it is needed, and told then
        _waiting.append(Waiting())


@contextlib.contextmanager
def ahead() -> Iterator[None]:
    """`begin`, and let go of the process where nobody had a job for it."""
    begin()
    try:
        yield
    finally:
        while (left := take()) is not None:
            left.let_go()


def take() -> Waiting | None:
    """The process that waits, if there is one; it does one job."""
    return _waiting.pop() if _waiting else None


def new_run_id() -> str:
    """UTC time to the millisecond, so that runs sort by name in the order they began."""
    started = datetime.now(UTC)
    stamp = f"{started:%Y%m%d-%H%M%S}{started.microsecond // 1000:03d}"
    return f"{stamp}-{secrets.token_hex(2)}"


def program() -> list[str]:
    return [sys.executable, "-I", "-X", "utf8", str(WORKER)]


def where() -> bytes:
    """The line that says where the worker's libraries lie."""
    path = [entry for entry in sys.path if entry and os.path.isabs(entry)]
    return json.dumps({"path": path}).encode() + b"\n"


def prefixes(run_id: str) -> list[list[str]]:
    """Ways to start, best first."""
    found = shutil.which("systemd-run", path="/usr/bin:/bin")
    if found and os.geteuid() == 0 and os.path.isdir("/run/systemd/system"):
        unit = f"--unit=harden-tui-run-{run_id}"
        return [[found, "--scope", "--quiet", "--collect", unit, "--"], []]
    return [[]]
