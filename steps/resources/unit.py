"""Services that shall not run: stopped and disabled, with whatever would start them again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import msgspec

from host.base import HostError, Port
from host.facts import Fact, FactUnavailable
from host.facts.ports import PORTS
from host.facts.unit_family import Unit as UnitFact
from host.facts.unit_family import family_fact, members
from host.facts.units import UNITS
from host.facts.units_unneeded import KNOWN, unneeded_units
from snapshots.model import RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

ESSENTIAL = (
    "ssh", "sshd", "ssh@*", "sshd@*", "sshd-*", "systemd-*", "dbus", "dbus-*", "networking",
    "NetworkManager*", "ifup@*", "ifupdown*", "getty@*", "serial-getty@*", "console-getty",
    "container-getty@*", "user@*", "user-runtime-dir@*", "polkit", "wpa_supplicant*", "cron",
    "rsyslog", "syslog", "ufw", "nftables", "netfilter-persistent", "fail2ban", "apparmor",
    "auditd", "cloud-init*", "cloud-config", "cloud-final", "open-vm-tools", "qemu-guest-agent",
)  # fmt: skip
"""Names without their type: what keeps the host reachable, guarded or logged."""

_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+\.(service|socket|path|timer)")
_STARTS_AT_BOOT = ("enabled", "enabled-runtime", "linked", "linked-runtime")
_CANNOT_BE_DISABLED = ("static", "generated", "indirect", "transient", "alias", "")


class Stopped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The YAML body."""

    stopped: list[str]


class Unit(Resource):
    """`unit: {stopped: [cups.service, …]}`."""

    kind: ClassVar[str] = "unit"

    def __init__(self, wanted: Sequence[str]) -> None:
        self.wanted = tuple(wanted)
        self._family = family_fact(self.wanted)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Unit:
        names = []
        for name in msgspec.convert(body, Stopped).stopped:
            unit = name if "." in name else f"{name}.service"
            if not _NAME.fullmatch(unit):
                raise StepError(f"{name!r} is no service, socket, path or timer unit")
            names.append(unit)
        return cls(names)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (self._family, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        family = self._members(ctx)
        findings = [_finding(unit, ctx) for unit in family]
        if not findings:
            findings = [
                Finding(
                    resource="unit",
                    setting="unneeded services",
                    expected="none",
                    running="none of the chosen units exists" if self.wanted else "none chosen",
                    ok=True,
                )
            ]
        kept = [name for name in unneeded_units(ctx.facts) if not _covers(family, name)]
        findings += [
            Finding(
                resource="unit",
                setting=name,
                expected="whatever it is",
                running=ctx.facts.get(UNITS)[name].active,
                persistent=ctx.facts.get(UNITS)[name].enabled,
                applicable=False,
                note=f"{KNOWN[name]}; kept by choice",
            )
            for name in kept
        ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        known = ctx.facts.get(self._family)
        family = self._members(ctx)
        names = {unit.name for unit in family}
        wrong = [unit for unit in family if _wrong(unit, ctx)]
        if not wrong:
            return Planned()
        refusals = _essential([*self.wanted, *names]) + _needed(family, known)
        masked = [unit for unit in wrong if _must_be_masked(unit, known, names)]
        disabled = [unit.name for unit in wrong if unit not in masked]
        refusals += [
            f"{unit.name} can only be kept from starting by a mask, but its own file "
            f"{unit.fragment} lies where the mask would go. Remove that file first."
            for unit in masked
            if unit.fragment.startswith("/etc/systemd/system/")
        ]
        changes = []
        if disabled:
            changes.append(
                RunCommand(
                    argv=("systemctl", "disable", "--now", *disabled),
                    why=f"stop {_list(disabled)} and start it at boot no more",
                )
            )
        # systemd 252 leaves a unit made from an init script running when it disables it.
        scripts = [unit.name for unit in wrong if unit.is_sysv and unit.runs]
        if scripts:
            changes.append(
                RunCommand(argv=("systemctl", "stop", *scripts), why=f"stop {_list(scripts)}")
            )
        if masked:
            names_masked = [unit.name for unit in masked]
            changes.append(
                RunCommand(
                    argv=("systemctl", "mask", "--now", *names_masked),
                    why=f"stop and mask {_list(names_masked)}, which cannot be disabled",
                )
            )
        return Planned(
            changes=tuple(changes),
            notes=tuple(_notes(wrong, known, names, ctx)),
            refusals=tuple(refusals),
            stops=tuple(sorted(names)),
        )

    def _members(self, ctx: Context) -> list[UnitFact]:
        """The chosen units, what triggers them, and known unneeded ones that pull them in."""
        known = ctx.facts.get(self._family)
        family = members(self.wanted, known)
        pulling = {
            name
            for unit in family
            for name in (*unit.required_by, *unit.wanted_by)
            if name in KNOWN
        }
        family = members([*self.wanted, *sorted(pulling)], known)
        # Triggers first, and always in the same order: systemd names them in a different one
        # each time, and a preview must not go stale by that.
        return sorted(family, key=lambda unit: (unit.name.endswith(".service"), unit.name))


def _finding(unit: UnitFact, ctx: Context) -> Finding:
    wrong = _wrong(unit, ctx)
    return Finding(
        resource="unit",
        setting=unit.name,
        expected="stopped and disabled",
        running=unit.active,
        persistent=unit.enabled or "no unit file",
        origin=unit.fragment or unit.source,
        ok=not wrong,
        note=wrong,
    )


def _wrong(unit: UnitFact, ctx: Context) -> str:
    """What is not yet as it should be; empty if nothing."""
    reasons = []
    if unit.runs:
        reasons.append("runs" if unit.name.endswith(".service") else "waits to start its service")
    if unit.enabled in _STARTS_AT_BOOT:
        reasons.append("starts at boot")
    elif unit.enabled in _CANNOT_BE_DISABLED and _pulled_at_boot(unit, ctx):
        reasons.append("is pulled in at boot")
    return " and ".join(reasons)


def _pulled_at_boot(unit: UnitFact, ctx: Context) -> bool:
    """Whether a target, or a unit that itself starts, asks for this one."""
    units = ctx.facts.get(UNITS)
    for name in (*unit.required_by, *unit.wanted_by):
        if name.endswith(".target"):
            return True
        asking = units.get(name)
        if asking is not None and asking.enabled in _STARTS_AT_BOOT:
            return True
    return False


def _must_be_masked(unit: UnitFact, known: dict[str, UnitFact], family: set[str]) -> bool:
    """Whether disabling is not enough: nothing to disable, or a unit that stays asks for it."""
    if unit.is_sysv:
        return False  # systemctl disables the init script's links
    if unit.enabled in _CANNOT_BE_DISABLED:
        return True
    return any(
        name in known and name not in family and _alive(known[name]) for name in unit.wanted_by
    )


def _alive(unit: UnitFact) -> bool:
    return unit.runs or unit.enabled in _STARTS_AT_BOOT


def _essential(names: Sequence[str]) -> list[str]:
    bad = sorted(
        {
            name
            for name in names
            if any(fnmatchcase(name.rpartition(".")[0], pattern) for pattern in ESSENTIAL)
        }
    )
    return [
        f"{name} keeps this host reachable, guarded or logged and is never stopped here. "
        "Take it out of the list."
        for name in bad
    ]


def _needed(family: Sequence[UnitFact], known: dict[str, UnitFact]) -> list[str]:
    """Running or enabled units outside the family that cannot do without it."""
    names = {unit.name for unit in family}
    return [
        f"{asking} needs {unit.name} and would stop with it. "
        f"Add {asking} to the list, or take {unit.name} out."
        for unit in family
        for asking in unit.required_by
        if asking not in names and asking in known and _alive(known[asking])
    ]


def _notes(
    wrong: Sequence[UnitFact], known: dict[str, UnitFact], family: set[str], ctx: Context
) -> list[str]:
    notes = []
    try:
        ports = ctx.facts.get(PORTS)
    except (FactUnavailable, HostError):
        ports = ()
        notes.append("Which ports these units listen on could not be found out.")
    for unit in wrong:
        held = sorted({_port(port) for port in ports if port.unit == unit.name})
        listens = held or list(unit.listens)
        if listens:
            notes.append(f"{unit.name} listens on {_list(listens)}.")
        elif unit.runs and unit.name.endswith(".service"):
            notes.append(f"{unit.name} runs; it listens on no port.")
        notes += [
            f"{asking} asks for {unit.name}, which is therefore masked."
            for asking in unit.wanted_by
            if asking in known and asking not in family and _alive(known[asking])
        ]
        if unit.is_sysv:
            notes.append(
                f"{unit.name} is made from {unit.source}; its links in /etc/rc?.d change too."
            )
    return notes


def _port(port: Port) -> str:
    address = f"[{port.address}]" if ":" in port.address else port.address
    where = "from anywhere" if port.exposed else "this machine only"
    return f"{port.protocol} {address}:{port.port} ({where})"


def _covers(family: Sequence[UnitFact], name: str) -> bool:
    return any(name == unit.name or name in unit.names for unit in family)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
