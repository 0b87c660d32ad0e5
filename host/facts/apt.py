"""What apt would do, asked by its own simulation, and who stands in dpkg's way."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts
from host.holders import describe

LOCKS: Final = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock")
"""Held by whoever installs or removes packages."""

UPDATES: Final = "/var/lib/dpkg/updates"
"""dpkg's journal: files named by numbers lie here only while it works or after it was cut off."""

_INST: Final = re.compile(r"^Inst (\S+) (?:\[(?P<old>[^\]]+)\] )?\((?P<new>\S+)")
_NOT_OFFERED: Final = (
    re.compile(r"^E: Unable to locate package (\S+)"),
    re.compile(r"^E: Package '([^']+)' has no installation candidate"),
)


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What `apt-get --simulate install` says.

    `brings` are new packages as "name version"; `upgrades` those that would change version
    ("name old -> new"); `removes` names. `missing` are asked-for packages that no source of this
    host offers; `problem` is apt's own first error where there is another one.
    """

    brings: tuple[str, ...] = ()
    upgrades: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problem: str = ""

    @property
    def possible(self) -> bool:
        return not self.missing and not self.problem


def parse_simulation(stdout: str, stderr: str) -> Simulation:
    """The answer of `apt-get --simulate install`, `remove` or `purge`.

    "Inst ufw (0.36.2-1 Debian:12.0/stable [all])" is new, "Inst libc6 [2.36-9] (2.36-10 …)" an
    upgrade, "Remv iptables-persistent [1.0.20]" a removal.
    """
    brings, upgrades, removes = [], [], []
    for line in stdout.splitlines():
        found = _INST.match(line)
        if found and found["old"]:
            upgrades.append(f"{found[1]} {found['old']} -> {found['new']}")
        elif found:
            brings.append(f"{found[1]} {found['new']}")
        elif line.startswith(("Remv ", "Purg ")):
            removes.append(line.split()[1].partition(":")[0])
    missing: list[str] = []
    problem = ""
    for line in stderr.splitlines():
        name = next((m[1] for pattern in _NOT_OFFERED if (m := pattern.match(line))), "")
        if name:
            missing.append(name)
        elif line.startswith("E: ") and not problem:
            problem = line.removeprefix("E: ").rstrip(".")
    return Simulation(
        brings=tuple(brings),
        upgrades=tuple(upgrades),
        removes=tuple(removes),
        missing=tuple(dict.fromkeys(missing)),
        problem=problem,
    )


def parse_lslocks(text: str) -> dict[str, int]:
    """`lslocks --noheadings --raw --output PID,PATH`: {path: process}."""
    holders: dict[str, int] = {}
    for line in text.splitlines():
        pid, _, path = line.strip().partition(" ")
        if path and pid.isdecimal():
            holders.setdefault(path, int(pid))
    return holders


def simulation(packages: Sequence[str]) -> Fact[Simulation]:
    """What installing `packages` without recommendations would do. Needs no root, takes no lock."""
    names = tuple(packages)

    def read(host: Host, facts: Facts) -> Simulation:
        answer = host.run(
            ("apt-get", "--simulate", "install", "--no-install-recommends", *names),
            timeout_s=60,
            ok=None,
        )
        return parse_simulation(answer.stdout, answer.stderr)

    return Fact(f"apt-simulation {' '.join(names)}", read)


def removal(verb: str, packages: Sequence[str]) -> Fact[Simulation]:
    """What `apt-get remove` or `purge` would do. Needs no root, takes no lock."""
    names = tuple(packages)

    def read(host: Host, facts: Facts) -> Simulation:
        argv = ("apt-get", "--simulate", verb, "-o", "APT::Get::AutomaticRemove=false", *names)
        answer = host.run(argv, timeout_s=60, ok=None)
        return parse_simulation(answer.stdout, answer.stderr)

    return Fact(f"apt-{verb} {' '.join(names)}", read)


def _in_the_way(host: Host, facts: Facts) -> str:
    try:
        held = parse_lslocks(
            host.run(("lslocks", "--noheadings", "--raw", "--output", "PID,PATH"), ok=None).stdout
        )
    except HostError:
        held = {}  # apt itself says who holds the lock, only later
    holder = next((held[lock] for lock in LOCKS if lock in held), 0)
    if holder and holder != os.getpid():
        return (
            f"{describe(host, holder)} is installing packages right now and holds dpkg's lock."
            " Nothing was changed; wait until it has finished and look again."
        )
    # Only now: whoever is at work has files there too.
    if any(name.isdigit() for name in host.listdir(UPDATES)):
        return (
            "dpkg was interrupted on this host: run `dpkg --configure -a` first."
            " Nothing was changed."
        )
    return ""


DPKG_BUSY: Fact[str] = Fact("dpkg-busy", _in_the_way)
"""Why no package can be installed now, one sentence; empty where nothing is in the way."""
