"""The real worker in a test host, behind the gate; and the programs a person would run after."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from snapshots import guard_units
from steps.guard_settings import Guarding
from tests.faults import syscalls
from tests.faults.supervisor import Call, Decide, supervise
from tests.hosts.lab import LabHost
from tui import hands, runs
from tui.options import Options

STATE: Final = Path("/var/lib/harden-tui")
LOG: Final = Path("/var/log/harden-tui")
LIBRARY: Final = "/usr/lib/harden-tui"


_ALONE: Final = Guarding(program=("/usr/bin/harden-tui",), wait=False)
"""Nobody sits at a second terminal: what is guarded is confirmed when its run has ended."""


class Ended(msgspec.Struct, frozen=True):
    """How a run ended: `exit` as run.json has it (-1: it never said), `said` its last words."""

    exit: int
    said: str
    calls: list[Call]
    run: str


class Worker:
    """Starts pieces of work on one host, as `tui.hands` does, only behind the gate."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        host.person.present = False
        ask = "import json, sys; print(json.dumps([p for p in sys.path if p]))"
        found: list[str] = json.loads(host.out("python3", "-I", "-c", ask))
        self._path = [LIBRARY, *found]

    def run(self, command: str, *steps: str, decide: Decide, limit_s: float = 300.0) -> Ended:
        """One job under `decide`; returns when it and everything it started has ended."""
        options = Options(
            practice=False, state_dir=STATE, log_dir=LOG, checklist="i-doit", format="events",
            values={}, from_stdin=frozenset(), keep_days=90, user="alice",
        )  # fmt: skip
        outside = runs.create(self._outside(STATE), command=command, steps=steps, user="alice")
        job = hands.job_of(options, STATE / "runs" / outside.name, command, steps=steps,
                           guarding=_ALONE)  # fmt: skip
        given = json.dumps({"path": self._path}).encode() + b"\n" + json.dumps(job).encode()
        program = ("python3", "-I", "-X", "utf8", f"{LIBRARY}/tui/worker.py")
        calls = supervise(
            self._inside(*program), given, "tui/worker.py", decide,
            limit_s=limit_s,
        )  # fmt: skip
        return self._ended(outside, calls)

    def confirm(self) -> None:
        """Keep what waits, if anything does."""
        refusal = self.try_to_confirm()
        if refusal:
            raise AssertionError(f"confirm: {refusal}")

    def try_to_confirm(self) -> str:
        """Keep what waits, if anything does; what was said where that was not possible."""
        if not self.is_guarded:
            return ""
        done = self.say("confirm", "--without-login", "--word", self.host.name)
        return f"{done.stdout}{done.stderr}" if done.returncode != 0 else ""

    @property
    def is_guarded(self) -> bool:
        """Whether something waits, or would be taken back by itself."""
        return self._outside(STATE / "guard").exists()

    @property
    def guard_is_to_act(self) -> bool:
        """Whether the guard takes something back at this boot or is at it. It does nothing for
        what was never armed, or is no more."""
        wanted = any(
            os.path.lexists(self._outside(Path(guard_units.DIRECTORY, link)))
            for link in guard_units.WANTS
        )
        if wanted and (self._outside(STATE / "guard") / "armed").exists():
            return True
        unit = self.host.run("systemctl", "is-active", guard_units.BOOT_SERVICE, check=False)
        return self.is_guarded and unit.stdout.strip() in ("activating", "active")

    def program(self, *arguments: str, decide: Decide) -> list[Call]:
        """A command that works without a worker (`history prune`), under `decide`."""
        argv = self._inside("/usr/bin/harden-tui", *arguments)
        return supervise(argv, b"", "/usr/bin/harden-tui", decide)

    def say(self, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """`harden-tui …` as root inside, the whole of it."""
        return self.host.run(
            "harden-tui", *arguments, "--checklist", "i-doit", check=False, timeout_s=timeout_s
        )

    def _ended(self, outside: Path, calls: list[Call]) -> Ended:
        try:
            run = runs.load(outside)
        except Exception:  # what was cut off may lack even that
            return Ended(-1, "", calls, outside.name)
        if run.status == "finished":
            return Ended(run.exit, run.summary, calls, outside.name)
        return Ended(-1, "", calls, outside.name)

    def _outside(self, path: Path) -> Path:
        return self.host.root / str(path).lstrip("/")

    def _inside(self, *argv: str) -> list[str]:
        return ["nsenter", "-t", str(self.host.leader), "-a", "--", *argv]


def let_through(call: Call) -> int:
    return 0


def kill(call: Call) -> int:
    """End the process that makes the call; an error, because the signal alone might come late."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(call.pid, signal.SIGKILL)
    return errno.EINTR


def killed_at(number: int) -> Decide:
    """SIGKILL for the worker just before its call `number`; nothing after it happens."""

    def decide(call: Call) -> int:
        return kill(call) if call.number >= number else 0

    return decide


def killed_before_it_counts() -> Decide:
    """SIGKILL just before the transaction's record says that it is committed."""
    records = 0

    def decide(call: Call) -> int:
        nonlocal records
        records += call.name.startswith("rename") and "/.record.json." in call.target
        return kill(call) if records >= 2 else 0  # the first said that it was open

    return decide


def failing_at(number: int, error: int) -> Decide:
    """Call `number` fails with `error`; those after it do not."""
    return lambda call: error if call.number == number else 0


def no_space_from(number: int) -> Decide:
    """From call `number` on everything that needs room on a disk fails."""

    def decide(call: Call) -> int:
        late = call.number >= number
        return errno.ENOSPC if late and call.name in syscalls.NEEDS_ROOM else 0

    return decide


def no_space_at(number: int) -> Decide:
    """Call `number` finds the disk full, if it needs room; those after it do not."""

    def decide(call: Call) -> int:
        there = call.number == number
        return errno.ENOSPC if there and call.name in syscalls.NEEDS_ROOM else 0

    return decide
