"""What must hold after a fault and a `recover`, looked at from outside the program."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from snapshots import guard_units
from tests.faults.disks import DiskHost
from tests.faults.launch import Worker
from tests.hosts.fingerprint import Fingerprint, differences, fingerprint
from tests.hosts.lab import LabHost

_SAYS: Final = {
    "before": ("the state before", "was rolled back"),
    "after": ("the state after", "was applied, proved and kept", "was undone."),
}
"""The words by which a person knows where the host is."""

_BY_EXIT: Final = {0: "after", 3: "before", 4: "before"}

_LEFT_OVER: Final = """
find /var/lib/harden-tui /var/log/harden-tui \\( -name '.*' -o -name reserve -o -name settle \\)
find /run /var/www -name '*harden-tui*' ! -path '/run/systemd/*'
for folder in /var/lib/harden-tui/transactions/*/; do
    test -e "$folder/record.json" || echo "$folder"
done
"""
"""Prints what is there only while something is at work. What is left in /etc is a difference."""


_WATCH_LIMIT_S: Final = 30.0


class Sides(msgspec.Struct, frozen=True):
    """The host as it must be: before the work, or after it."""

    before: Fingerprint
    after: Fingerprint
    roots: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """`side` is "before", "after" or "between"; `problems` a sentence each, empty where all is
    well."""

    side: str
    problems: tuple[str, ...]


def side_told(exit_status: int, ended: str, recovered: str) -> str:
    """Which side a person must think the host is on; empty where nobody said so clearly.

    The exit status of the work says it, or its last words and those of recover.
    """
    if exit_status in _BY_EXIT:
        return _BY_EXIT[exit_status]
    if any(words in recovered for words in (*_SAYS["before"], *_SAYS["after"])):
        ended = ""  # it was brought back since
    told = [side for side, all_words in _SAYS.items()
            if any(words in ended + recovered for words in all_words)]  # fmt: skip
    return told[0] if len(told) == 1 else ""


def judge(worker: Worker, sides: Sides, told: str, said: str) -> Verdict:
    """Which side the host is on, whether a person was told so, and what is wrong."""
    side, problems = _side(sides, look(worker.host, sides.roots))
    if told != side:
        problems.append(f"the host is in the state {side}, a person was told {told!r}: {said}")
    problems += whole(worker)
    return Verdict(side, tuple(problems))


def whole(worker: Worker, *, swept: bool = True) -> list[str]:
    """What is wrong with the program's own memory, or (`swept`) was left lying about."""
    problems = []
    for command in (("history", "verify"), ("log", "verify")):
        done = worker.say(*command)
        if done.returncode != 0:
            problems.append(f"{' '.join(command)}: {_one_line(done.stdout + done.stderr)}")
    if not swept:
        return problems
    left = worker.host.run("sh", "-c", _LEFT_OVER, check=False).stdout.split("\n")
    problems += [f"left over: {path}" for path in left if path]
    return problems


def _side(sides: Sides, now: Fingerprint) -> tuple[str, list[str]]:
    from_before = differences(sides.before, now)
    if not from_before:
        return "before", []
    from_after = differences(sides.after, now)
    if not from_after:
        return "after", []
    nearest = min(from_before, from_after, key=len)
    return "between", [f"between: {line[:300]}" for line in nearest[:5]]


def settled(host: LabHost, roots: Iterable[str]) -> Fingerprint:
    """The fingerprint, once no unit is on its way any more."""
    host.run("systemctl", "is-system-running", "--wait", check=False)
    return look(host, roots)


def look(host: LabHost, roots: Iterable[str]) -> Fingerprint:
    """The fingerprint, once no shell waits any more for a deadline that is none (it sees so every
    two seconds); after a boot without the settings of the container's network device, which takes
    over the defaults of the moment at which it is moved in."""
    until_s = time.monotonic() + _WATCH_LIMIT_S
    scopes = Path(f"/proc/{host.leader}/root/run/systemd/transient")
    while any(scopes.glob(f"{guard_units.WATCH}*")) and time.monotonic() < until_s:
        time.sleep(0.1)
    waits_still = any(scopes.glob(f"{guard_units.WATCH}*"))
    found = fingerprint(host, *roots)
    if not waits_still:  # systemd may name it for a moment after its file is gone
        found["units"] = {
            unit: state for unit, state in found["units"].items() if guard_units.WATCH not in unit
        }
    if isinstance(host, DiskHost):
        found["sysctls"] = {
            key: value for key, value in found["sysctls"].items() if ".host0." not in key
        }
    return found


def _one_line(text: str) -> str:
    return " | ".join(text.strip().splitlines())[:300]
