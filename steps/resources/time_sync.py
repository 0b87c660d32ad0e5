"""Exactly one daemon that sets the clock: installed, started, and with servers that answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.packages import PACKAGES
from host.facts.time_sync import DAEMONS, clock, sources
from host.facts.units import UNITS
from snapshots.model import Change, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.package import plan_install

_STARTS = ("enabled", "enabled-runtime", "linked")
_LEFT_OUT = (
    "systemd does not start it here because of a condition of its unit (`systemctl status {unit}`"
    " names it); in a container the clock is that of the machine below, and is set there"
)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    daemon: Literal["chrony", "systemd-timesyncd"]


class TimeSync(Resource):
    """`time-sync: {daemon: chrony}`."""

    kind: ClassVar[str] = "time-sync"

    def __init__(self, daemon: str) -> None:
        self.daemon = daemon
        self.unit = DAEMONS[daemon]
        self._clock = clock(daemon)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> TimeSync:
        return cls(msgspec.convert(body, _Body).daemon)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, UNITS, self._clock)

    def observe(self, ctx: Context) -> list[Finding]:
        others = _others(ctx, self.daemon)
        there = self.daemon in ctx.facts.get(PACKAGES)
        names = ", ".join([*([self.daemon] if there else []), *others]) or "none"
        findings = [
            Finding(
                resource="time",
                setting="daemons that set the clock",
                expected=f"{self.daemon}, and no other",
                running=names,
                persistent=names,
                ok=there and not others,
            )
        ]
        if there:
            findings += [self._starts(ctx), self._runs(ctx), self._asks(ctx), self._works(ctx)]
        return findings

    def plan(self, ctx: Context) -> Planned:
        others = _others(ctx, self.daemon)
        packages = ctx.facts.get(PACKAGES)
        units = ctx.facts.get(UNITS)
        installed = [name for name in others if name in packages]
        if installed:
            return Planned(refusals=(self._beside(installed),))
        parts = [plan_install(ctx, (self.daemon,))]
        stray = [DAEMONS[name] for name in others]
        changes: list[Change] = []
        if stray:
            changes.append(
                RunCommand(
                    argv=("systemctl", "disable", "--now", *stray),
                    why=f"stop {', '.join(stray)}: two daemons would pull the clock to and fro",
                )
            )
        there = units.get(self.unit)
        if self.daemon in packages and there is not None:
            if there.enabled == "masked":
                changes.append(_systemctl(f"let {self.unit} start again", "unmask", self.unit))
            if there.enabled not in _STARTS or there.active != "active":
                changes += self._start(ctx, there.enabled in _STARTS)
        parts.append(Planned(changes=tuple(changes), stops=tuple(stray)))
        return Planned(
            changes=tuple(change for part in parts for change in part.changes),
            packages=tuple(name for part in parts for name in part.packages),
            notes=tuple(note for part in parts for note in part.notes),
            refusals=tuple(one for part in parts for one in part.refusals),
            stops=tuple(unit for part in parts for unit in part.stops),
        )

    def _beside(self, installed: Sequence[str]) -> str:
        names = ", ".join(installed)
        keep = next((name for name in installed if name in ("chrony", "systemd-timesyncd")), "")
        way = f"Keep it (--set time.sync.daemon={keep}), or replace" if keep else "Replace"
        return (
            f"{names} sets the clock of this host, and Debian does not let {self.daemon} be beside"
            f" it; nothing was changed. {way} it by hand (`apt-get install {self.daemon}` takes it"
            " away), carry its time servers over, then apply again."
        )

    def _start(self, ctx: Context, starts_at_boot: bool) -> list[Change]:
        if starts_at_boot and ctx.facts.get(self._clock).left_out:
            return []
        return [_systemctl(f"start {self.unit}, now and at boot", "enable", "--now", self.unit)]

    def _starts(self, ctx: Context) -> Finding:
        unit = ctx.facts.get(UNITS).get(self.unit)
        enabled = unit.enabled if unit else "no unit file"
        return Finding(
            resource=self.unit,
            setting="at boot",
            expected="enabled",
            persistent=enabled,
            running=enabled,
            ok=enabled in _STARTS,
        )

    def _runs(self, ctx: Context) -> Finding:
        unit = ctx.facts.get(UNITS).get(self.unit)
        active = unit.active if unit else "inactive"
        left_out = active != "active" and ctx.facts.get(self._clock).left_out
        return Finding(
            resource=self.unit,
            setting="now",
            expected="active",
            running=active,
            ok=None if left_out else active == "active",
            applicable=not left_out,
            note=_LEFT_OUT.format(unit=self.unit) if left_out else "",
        )

    def _asks(self, ctx: Context) -> Finding:
        found = sources(ctx.host, self.daemon)
        servers = ", ".join(found.servers) if found else ""
        return Finding(
            resource="time",
            setting="time servers",
            expected="at least one",
            running=servers or "none",
            persistent=servers or "none",
            origin=(found.origin if found else "") or "built-in default",
            ok=bool(servers),
        )

    def _works(self, ctx: Context) -> Finding:
        now = ctx.facts.get(self._clock)
        tracking = now.tracking
        running, note = "", ""
        if now.left_out:
            note = _LEFT_OUT.format(unit=self.unit)
        elif tracking is None:
            note = f"{self.daemon} does not tell, because it does not run"
        elif tracking.synchronised:
            running = "synchronised"
            if tracking.server:
                running += (
                    f" with {tracking.server} (stratum {tracking.stratum}), {tracking.off_s:+.4f} s"
                )
        else:
            running = "not yet"
            note = (
                "no time server has answered yet: a minute after the start it should have, unless"
                " this host has no network or UDP port 123 is closed on the way out"
            )
        return Finding(
            resource="time",
            setting="clock",
            expected="synchronised",
            running=running,
            ok=True if tracking is not None and tracking.synchronised else None,
            applicable=not now.left_out,
            note=note,
        )


def _others(ctx: Context, daemon: str) -> list[str]:
    """The other daemons that are installed, or whose unit runs or starts at boot."""
    packages, units = ctx.facts.get(PACKAGES), ctx.facts.get(UNITS)
    found = []
    for name, unit in DAEMONS.items():
        there = units.get(unit)
        alive = there is not None and (there.active == "active" or there.enabled in _STARTS)
        if name != daemon and (name in packages or alive):
            found.append(name)
    return found


def _systemctl(why: str, *words: str) -> RunCommand:
    return RunCommand(argv=("systemctl", *words), why=why)
