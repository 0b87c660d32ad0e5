"""Which faults are tried on which step, and on what kind of disk."""

from __future__ import annotations

import errno
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Final

import msgspec

from tests.faults import disks, syscalls
from tests.faults.disks import DiskHost
from tests.faults.field import AtNumber, Field, Mend, Tried, nothing
from tests.faults.launch import LIBRARY, Worker, failing_at, killed_at, no_space_at, no_space_from
from tests.faults.pruning import prune_calls, prune_killed
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, furnish

STEPS: Final = (
    "ssh.limits", "minimal.apache-modules", "kernel.sysctl", "firewall.ufw", "defence.fail2ban",
    "app.tree",
)  # fmt: skip
"""One of each kind: a drop-in, links and a reload, the kernel, a firewall with its packages,
packages, a tree."""

TREE_FILES: Final = 40
"""Each costs four calls in a loop."""

STATE: Final = "/var/lib/harden-tui"


class Setting(msgspec.Struct, frozen=True):
    """A step on a host. `disk` is the part of it that lies on a disk of its own, or empty."""

    step: str
    trials: tuple[tuple[str, str], ...]
    disk: str = ""


_BOTH: Final = ("apply", "rollback")
_KILLED: Final = tuple((command, "killed") for command in _BOTH)
_KILLED_TOO: Final = (("recover", "killed"), ("prune", "killed"))
_REFUSED: Final = tuple(
    (command, fault)
    for fault in ("no space once", "no space from then on", "I/O error once")
    for command in _BOTH
)

_NEEDING_ROOM: Final = ("no space once", "no space from then on", "disk filled up")

_MORE: Final = {
    "ssh.limits": (*_KILLED_TOO, *_REFUSED), "firewall.ufw": _KILLED_TOO, "app.tree": _REFUSED,
    "minimal.apache-modules": _REFUSED,
}  # fmt: skip

SETTINGS: Final = (
    *(Setting(step, (*_KILLED, *_MORE.get(step, ()))) for step in STEPS),
    *(
        Setting(
            step,
            (
                *((command, "power cut") for command in (*_BOTH, "recover")),
                ("apply", "disk filled up"), ("apply", "read-only from then on"),
            ),
            "/",
        )
        for step in ("ssh.limits", "firewall.ufw")
    ),
    *(
        Setting(
            "ssh.limits",
            tuple(
                (command, fault)
                for fault in ("disk filled up", "read-only from then on")
                for command in _BOTH
            ),
            part,
        )
        for part in (STATE, "/etc")
    ),
)  # fmt: skip

SAMPLE: Final = (
    Setting("ssh.limits", (("apply", "killed"), ("rollback", "killed"), ("recover", "killed"),
                           ("prune", "killed"), ("apply", "no space from then on"))),
    Setting("ssh.limits", (("apply", "power cut"), ("apply", "read-only from then on")), "/"),
)  # fmt: skip


def host_of(setting: Setting, suite: str, layer: Path) -> LabHost:
    if not setting.disk:
        return LabHost(suite, layer)
    return DiskHost(suite, layer, setting.disk, 700 if setting.disk == "/" else 60)


def field_of(setting: Setting, host: LabHost) -> Field:
    """The host furnished, and the step tried without a fault."""
    furnish(host)
    _hurry(host)
    roots: tuple[str, ...] = ()
    if setting.step == "app.tree":
        for number in range(TREE_FILES):
            host.write(f"{APP}/src/{number % 20}/{number}.php", f"<?php // {number}\n")
        host.run("chown", "-R", "www-data:www-data", APP)
        roots = (APP,)
    return Field(Worker(host), setting.step, roots)


def _hurry(host: LabHost) -> None:
    """A unit that took its configuration is looked at after an eighth of the time: the wait makes
    up half of a point, and no call that writes lies in it."""
    path = f"{LIBRARY}/snapshots/activation.py"
    source = host.root / path.lstrip("/")
    text = source.read_text()
    assert text.count("time.sleep(wait_s)") == 1
    source.write_text(text.replace("time.sleep(wait_s)", "time.sleep(wait_s / 8)"))
    host.run("python3", "-m", "compileall", "-q", path)


def points_of(field: Field, command: str, fault: str) -> list[int]:
    """The numbers of the calls at which this fault is tried, in order.

    A full disk is met only by calls that need room. The power is cut just before each sync, and at
    the last call: between two syncs nothing reaches the disk, and every cut leaves the same.
    """
    if command == "prune":
        calls = prune_calls(field)
    elif command == "recover":
        calls = field.calls_of_recover()
    else:
        calls = field.calls[command]
    names: Container[str] = syscalls.NAMES.values()
    if fault in _NEEDING_ROOM:
        names = syscalls.NEEDS_ROOM
    elif fault == "power cut":
        names = syscalls.SYNCING
    last = calls[-1:] if fault == "power cut" else []
    return sorted({call.number for call in calls if call.name in names or call in last})


def trial(field: Field, command: str, fault: str, numbers: Iterator[int]) -> Iterator[Tried]:
    """Every point of `numbers`; ends early where the host was left between."""
    if command == "prune":
        return prune_killed(field, numbers)
    at, mend = _fault(field, fault)
    if command == "recover":
        return field.in_recover(fault, numbers, at, mend)
    return field.under(command, fault, numbers, at, mend)


def _fault(field: Field, fault: str) -> tuple[AtNumber, Mend]:
    plain: dict[str, AtNumber] = {
        "killed": killed_at,
        "no space once": no_space_at,
        "no space from then on": no_space_from,
        "I/O error once": lambda number: failing_at(number, errno.EIO),
    }
    if fault in plain:
        return plain[fault], nothing
    host = field.worker.host
    assert isinstance(host, DiskHost)
    if fault == "disk filled up":
        return (lambda number: disks.full_from(host, number)), _recover_then(field, host.make_room)
    if fault == "power cut":
        return (lambda number: disks.power_cut_at(host, number)), host.start_again
    return (lambda number: disks.read_only_from(host, number)), host.start_again


def _recover_then(field: Field, mend: Callable[[], None]) -> Mend:
    """A recover while the disk is still full may fail, and must leave what a later one needs."""

    def again() -> None:
        field.recovered_meanwhile()
        mend()

    return again
