"""Accounts of what ran (acct) and of how busy the host was (sysstat)."""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar, Final, Literal

import msgspec

from host.base import HostError
from host.facts import Fact, FactUnavailable
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.package import installed_finding, plan_install

Program = Literal["acct", "sysstat"]

SETTINGS: Final = "/etc/default/sysstat"
PROCESSES: Final = "/var/log/account/pacct"
ACTIVITY: Final = "/var/log/sysstat/sa[0-9]*"
UNIT: Final = "acct.service"
TIMERS: Final = ("sysstat-collect.timer", "sysstat-summary.timer")
FRESH_S: Final = 30 * 60
"""sysstat-collect.timer writes every ten minutes."""

CAP_SYS_PACCT: Final = 20
"""Its bit, of linux/capability.h: without it nobody may switch process accounting on."""

_ENABLED: Final = re.compile(r"(?m)^\s*ENABLED\s*=\s*[\"']?(\w*)[\"']?.*$")


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    programs: list[Program]


class Accounting(Resource):
    """`accounting: {programs: [acct, sysstat]}`."""

    kind: ClassVar[str] = "accounting"

    def __init__(self, programs: tuple[Program, ...]) -> None:
        self.programs = programs

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Accounting:
        return cls(tuple(dict.fromkeys(msgspec.convert(body, Body).programs)))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, UNITS, MAY_ACCOUNT)

    def observe(self, ctx: Context) -> list[Finding]:
        findings: list[Finding] = []
        if "acct" in self.programs:
            findings += _acct(ctx)
        if "sysstat" in self.programs:
            findings += _sysstat(ctx)
        return findings

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        notes = []
        wanted: list[str] = [*self.programs]
        why_not = ctx.facts.get(MAY_ACCOUNT)
        if "acct" in wanted and why_not and "acct" not in ctx.facts.get(PACKAGES):
            wanted.remove("acct")
            notes.append(f"acct is left out: {why_not}.")
        install = plan_install(ctx, wanted)
        if install.refusals:
            return install
        changes: list[Change] = [*install.changes]
        if "acct" in wanted and "acct" in ctx.facts.get(PACKAGES) and not why_not:
            changes += _enable(ctx, UNIT)
        if "sysstat" in wanted:
            changes += _switch_on(ctx)
        return Planned(
            changes=tuple(changes),
            packages=tuple(wanted),
            notes=(*install.notes, *notes),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        """lastcomm and sar answer from what was written."""
        findings = []
        if "acct" in self.programs and not ctx.facts.get(MAY_ACCOUNT):
            ctx.host.run(("true",))
            findings.append(_answers(ctx, "lastcomm", ("lastcomm", "true"), "true"))
        if "sysstat" in self.programs:
            newest = _newest(ctx)
            argv = ("sadf", "-H", newest) if newest else ("sar", "-u")
            findings.append(_answers(ctx, "sar", argv, "Host"))
        return findings


def bounding_set(status: str) -> int | None:
    """/proc/1/status: what the first process, and with it all others, may ever do."""
    found = re.search(r"(?m)^CapBnd:\s*([0-9a-fA-F]{1,16})\s*$", status)
    return int(found[1], 16) if found else None


def _may_account(host: Any, facts: Any) -> str:
    try:
        status = host.read_bytes("/proc/1/status").decode("utf-8", "replace")
    except HostError:
        return ""
    capabilities = bounding_set(status)
    if capabilities is None or capabilities >> CAP_SYS_PACCT & 1:
        return ""
    return (
        "this container may not switch process accounting on (CAP_SYS_PACCT); keep accounts on the"
        " machine that runs it"
    )


MAY_ACCOUNT: Fact[str] = Fact("may-account", _may_account)
"""Why process accounting cannot be switched on here; empty where it can."""


def _acct(ctx: Context) -> list[Finding]:
    why_not = ctx.facts.get(MAY_ACCOUNT)
    if why_not:
        return [
            Finding(
                resource="accounting",
                setting="accounts of processes",
                expected="kept by acct",
                applicable=False,
                note=why_not,
            )
        ]
    installed = installed_finding(ctx, "acct")
    if not installed.ok:
        return [installed]
    state = ctx.host.state(PROCESSES)
    size = state.size_bytes if state is not None else 0
    return [
        installed,
        _unit(ctx, UNIT),
        Finding(
            resource="accounting",
            setting="accounts of processes",
            expected="written",
            running=f"{size} bytes in {PROCESSES}" if state is not None else "none",
            ok=size > 0,
        ),
    ]


def _sysstat(ctx: Context) -> list[Finding]:
    installed = installed_finding(ctx, "sysstat")
    if not installed.ok:
        return [installed]
    value, line = enabled(_text(ctx))
    newest = _newest(ctx)
    state = ctx.host.state(newest) if newest else None
    age_s = time.time() - state.mtime_ns / 1e9 if state is not None else None
    shown = "none" if age_s is None else f"{max(0, age_s) / 60:.0f} min old"
    return [
        installed,
        Finding(
            resource="accounting",
            setting="ENABLED",
            expected="true",
            running=value,
            persistent=value,
            origin=f"{SETTINGS}:{line}" if line else "",
            ok=value == "true",
        ),
        *(_unit(ctx, timer) for timer in TIMERS),
        Finding(
            resource="accounting",
            setting="accounts of activity",
            expected=f"less than {FRESH_S // 60} min old",
            running=shown,
            origin=newest,
            ok=age_s is not None and age_s < FRESH_S,
        ),
    ]


def enabled(text: str) -> tuple[str, int]:
    """ENABLED of /etc/default/sysstat, and the line that decides (the last); ("", 0) for none."""
    found = list(_ENABLED.finditer(text))
    if not found:
        return "", 0
    return found[-1][1], text.count("\n", 0, found[-1].start(1)) + 1


def _unit(ctx: Context, name: str) -> Finding:
    unit = ctx.facts.get(UNITS).get(name)
    active = unit.active if unit is not None else "not there"
    at_boot = unit.enabled if unit is not None else "not there"
    return Finding(
        resource="accounting",
        setting=name,
        expected="active and enabled",
        running=active,
        persistent=at_boot,
        ok=active == "active" and at_boot == "enabled",
    )


def _enable(ctx: Context, name: str) -> list[Change]:
    if _unit(ctx, name).ok:
        return []
    return [
        RunCommand(
            argv=("systemctl", "enable", "--now", name), why=f"start {name}, now and at every boot"
        )
    ]


def _switch_on(ctx: Context) -> list[Change]:
    """sysstat's own switch, its timers, and a first record that sar can answer from."""
    changes: list[Change] = []
    there = "sysstat" in ctx.facts.get(PACKAGES)
    text = _text(ctx) if there else ""
    if not there:
        pattern = 's/^ENABLED=.*/ENABLED="true"/'
        why = "switch the collection on, as its start script and cron job read it"
        changes.append(RunCommand(argv=("sed", "-i", "-E", pattern, SETTINGS), why=why))
    elif enabled(text)[0] != "true":
        changed = _ENABLED.sub('ENABLED="true"', text)
        if changed == text:
            changed = f'{text.rstrip()}\nENABLED="true"\n'.lstrip("\n")
        changes.append(WriteFile(path=SETTINGS, content=changed.encode()))
    if not there or not all(_unit(ctx, timer).ok for timer in TIMERS):
        why = "collect every ten minutes, now and after every boot"
        changes.append(
            RunCommand(argv=("systemctl", "enable", "--now", "sysstat.service", *TIMERS), why=why)
        )
    changes.append(
        RunCommand(
            argv=("systemctl", "start", "sysstat-collect.service"), why="write a first record"
        )
    )
    return changes


def _newest(ctx: Context) -> str:
    """The newest binary record ("" for none): saDD or saYYYYMMDD, never the text in sarDD."""
    found = [(ctx.host.state(path), path) for path in ctx.host.glob(ACTIVITY)]
    dated = [(state.mtime_ns, path) for state, path in found if state is not None]
    return max(dated)[1] if dated else ""


def _answers(ctx: Context, name: str, argv: tuple[str, ...], word: str) -> Finding:
    try:
        answer = ctx.host.run(argv, ok=None)
    except HostError as error:
        raise FactUnavailable(str(error)) from None
    said = (answer.stdout.strip() or answer.stderr.strip() or "nothing").splitlines()[0]
    return Finding(
        resource="accounting",
        setting=name,
        expected="answers",
        running=said[:80],
        ok=answer.ok and word in answer.stdout,
    )


def _text(ctx: Context) -> str:
    try:
        return ctx.host.read_bytes(SETTINGS).decode("utf-8", "replace")
    except HostError:
        return ""
