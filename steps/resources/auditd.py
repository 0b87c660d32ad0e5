"""auditd: running, with a group of rules for each thing that shall leave a trace."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar, Final

import msgspec

from host.audit_netlink import AuditStatus
from host.facts import Fact
from host.facts.audit import (
    AUDIT_KERNEL,
    AUDIT_LENDING,
    AUDIT_LOADED,
    AUDIT_PENDING,
    AUDIT_WRITTEN,
    RULES_D,
    Written,
)
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from snapshots.model import Activation, Change, RemoveFile, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.audit_coverage import atoms, missing
from steps.resources.audit_rules import arches, expand
from steps.resources.package import installed_finding, plan_install

RULES_FILE: Final = f"{RULES_D}/50-harden-tui.rules"
LOCK_FILE: Final = f"{RULES_D}/99-zz-harden-tui-immutable.rules"
UNIT: Final = "auditd.service"
LOADER: Final = "audit-rules.service"
"""Since trixie; auditd does not start without it."""

PRIVILEGED: Final = "privileged"
"""The group whose rules are made of this host's own programs with set-user-ID or set-group-ID."""

_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The resource as a catalogue file writes it.

    `rules`: group -> lines of audit.rules(7) without -k, "arch=*" for each of this machine's.
    """

    groups: list[str]
    rules: dict[str, list[str]]
    immutable: bool = False


class Auditd(Resource):
    """`auditd: {groups: [identity, …], rules: {identity: [-w /etc/passwd -p wa, …]}}`."""

    kind: ClassVar[str] = "auditd"

    def __init__(self, step_id: str, body: Body) -> None:
        self.step_id = step_id
        self.groups = tuple(dict.fromkeys(body.groups))
        self.rules = {group: tuple(body.rules.get(group, ())) for group in self.groups}
        self.immutable = body.immutable

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Auditd:
        given = msgspec.convert(body, Body)
        for group in given.groups:
            if group != PRIVILEGED and group not in given.rules:
                known = ", ".join((*given.rules, PRIVILEGED))
                raise StepError(f"groups: there is no group {group!r} (there are: {known})")
        for group, lines in given.rules.items():
            if not _NAME.fullmatch(group):
                raise StepError(f"rules: {group!r} is no name for a group")
            for line in lines:
                if not atoms(line.replace("arch=*", "arch=b64"), ("b64",), lambda path: False):
                    raise StepError(f"rules: {group}: {line!r} is no rule that can be compared")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, UNITS, AUDIT_KERNEL)

    def observe(self, ctx: Context) -> list[Finding]:
        kernel = ctx.facts.get(AUDIT_KERNEL)
        if kernel.status is None:
            return [
                Finding(
                    resource="auditd",
                    setting="auditing",
                    expected="running, with rules",
                    applicable=False,
                    note=kernel.why,
                )
            ]
        if "auditd" not in ctx.facts.get(PACKAGES):
            return [installed_finding(ctx, "auditd")]
        written = ctx.facts.get(AUDIT_WRITTEN)
        findings = [*_units(ctx), _recording(kernel.status)]
        loaded = ctx.facts.get(AUDIT_LOADED)
        lacking = _missing(ctx)
        wanted = {group: self._lines(ctx, group) for group in self.groups}
        rules = [rule for lines in wanted.values() for rule in lines]
        unloaded = lacking(rules, loaded)
        unwritten = lacking(rules, [line.text for line in written.lines])
        for group, lines in wanted.items():
            first = (one.origin for one in written.lines if not lacking(lines[:1], [one.text]))
            origin = next(first, "") if lines else ""
            findings.append(_group(group, lines, unloaded, unwritten, origin))
        findings.append(_pending(ctx))
        findings.append(_lock(kernel.status, written, wanted=self.immutable))
        return findings

    def plan(self, ctx: Context) -> Planned:
        kernel = ctx.facts.get(AUDIT_KERNEL)
        if kernel.status is None:
            return Planned(notes=(f"Nothing is done: {kernel.why}.",))
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        if kernel.status.enabled == 2:
            return Planned(
                refusals=(
                    "The rules of this kernel are locked until the next boot (-e 2). Nothing was"
                    f" changed. Take `-e 2` out of {RULES_D}, reboot, and apply again.",
                )
            )
        install = plan_install(ctx, ("auditd",))
        if install.refusals:
            return install
        changes: list[Change] = [*install.changes]
        content = self._content(ctx).encode()
        texts = {} if install.changes else ctx.facts.get(AUDIT_WRITTEN).texts
        if texts.get(RULES_FILE, "").encode() != content:
            changes.append(WriteFile(path=RULES_FILE, content=content, mode=0o640))
        if self.immutable and LOCK_FILE not in texts:
            lock = f"# Written by harden-tui for the step {self.step_id}.\n-e 2\n"
            changes.append(WriteFile(path=LOCK_FILE, content=lock.encode(), mode=0o640))
        elif not self.immutable and LOCK_FILE in texts:
            changes.append(RemoveFile(LOCK_FILE))
        if not install.changes:
            changes += _start(ctx)
        if not changes:
            why = "load the rules of /etc/audit/rules.d into the kernel again"
            changes.append(RunCommand(argv=("augenrules", "--load"), why=why))
        return Planned(
            changes=tuple(changes),
            activations=(Activation("command", UNIT, ("augenrules", "--load")),),
            packages=("auditd",),
            notes=(*install.notes, *self._notes()),
        )

    def _notes(self) -> list[str]:
        if not self.immutable:
            return []
        return [
            "Cannot come back before the next boot: with -e 2 the kernel takes no other rules, and"
            " keeps these when the step is undone."
        ]

    def _lines(self, ctx: Context, group: str) -> list[str]:
        """The rules of a group for this machine, with their key."""
        if group == PRIVILEGED:
            programs = ctx.facts.get(AUDIT_LENDING)
            return privileged(programs)
        return expand(group, self.rules[group], _architecture(ctx), _exists(ctx))

    def _content(self, ctx: Context) -> str:
        parts = [
            f"# Written by harden-tui for the step {self.step_id}.",
            "# A rule this kernel does not take must not keep the others from being loaded, nor",
            "# auditd from starting: since trixie it needs a loader that did not fail, as with -c.",
            "-i",
        ]
        for group in self.groups:
            parts += ["", f"# {group}", *self._lines(ctx, group)]
        return "\n".join(parts) + "\n"


def privileged(programs: Iterable[str]) -> list[str]:
    """One rule for each program; names with blanks cannot be written."""
    return [
        f"-a always,exit -F path={path} -F perm=x -F auid>=1000 -F auid!=unset -k {PRIVILEGED}"
        for path in programs
        if path.startswith("/") and not re.search(r"[\s\"']", path)
    ]


def _exists(ctx: Context) -> Callable[[str], bool]:
    return cache(lambda path: ctx.host.state(path) is not None)


def _missing(ctx: Context) -> Callable[[Iterable[str], Iterable[str]], list[str]]:
    """Which rules are wanted and not among others, on this machine."""
    machine = arches(_architecture(ctx))

    @cache
    def is_folder(path: str) -> bool:
        state = ctx.host.state(ctx.host.realpath(path))
        return state is not None and state.kind == "dir"

    return lambda wanted, there: missing(wanted, there, machine, is_folder)


def _architecture(ctx: Context) -> str:
    dpkg = ctx.facts.get(PACKAGES).get("dpkg")
    return dpkg.architecture if dpkg is not None else "amd64"


def _start(ctx: Context) -> list[Change]:
    unit = ctx.facts.get(UNITS).get(UNIT)
    if unit is not None and unit.active == "active" and unit.enabled == "enabled":
        return []
    why = "start auditd, now and at every boot"
    return [RunCommand(argv=("systemctl", "enable", "--now", UNIT), why=why)]


def _units(ctx: Context) -> list[Finding]:
    units = ctx.facts.get(UNITS)
    findings = []
    for name in (UNIT, LOADER):
        unit = units.get(name)
        if unit is None and name == LOADER:
            continue  # bookworm has none
        active = unit.active if unit is not None else "not there"
        enabled = unit.enabled if unit is not None else "not there"
        once = name == LOADER
        findings.append(
            Finding(
                resource="auditd",
                setting=name,
                expected="not failed" if once else "active and enabled",
                running=active,
                persistent=enabled,
                ok=active != "failed" if once else active == "active" and enabled == "enabled",
                note="auditd does not start without it" if once and active == "failed" else "",
            )
        )
    return findings


def _recording(status: AuditStatus) -> Finding:
    running = "off" if not status.enabled else f"on, taken by process {status.pid or 'none'}"
    return Finding(
        resource="auditd",
        setting="the kernel's audit",
        expected="on, taken by auditd",
        running=running,
        ok=bool(status.enabled and status.pid),
        note=f"{status.lost} events were lost since boot" if status.lost else "",
    )


def _group(
    group: str, wanted: list[str], unloaded: list[str], unwritten: list[str], origin: str
) -> Finding:
    """Each rule of the group is in the kernel and in the files. A rule that records the same, or
    more, under another key does the job."""
    lacking = {
        "not in the kernel": [rule for rule in wanted if rule in unloaded],
        "in no file": [rule for rule in wanted if rule in unwritten],
    }
    running, persistent = (str(len(wanted) - len(rules)) for rules in lacking.values())
    notes = [
        f"{len(rules)} {where}: {rules[0]}{', …' if len(rules) > 1 else ''}"
        for where, rules in lacking.items()
        if rules
    ]
    return Finding(
        resource="auditd",
        setting=group,
        expected=f"{len(wanted)} rules" if len(wanted) != 1 else "1 rule",
        running=running,
        persistent=persistent,
        origin=origin,
        ok=not notes,
        note="; ".join(notes),
    )


def _pending(ctx: Context) -> Finding:
    changed = ctx.facts.get(AUDIT_PENDING)
    return Finding(
        resource="auditd",
        setting="augenrules --check",
        expected="no change",
        running="rules.d says otherwise than /etc/audit/audit.rules" if changed else "no change",
        ok=not changed,
    )


def _lock(status: AuditStatus, written: Written, *, wanted: bool) -> Finding:
    running = "locked" if status.enabled == 2 else "may be changed"
    persistent = "locked" if written.immutable else "may be changed"
    return Finding(
        resource="auditd",
        setting="rules until the next boot",
        expected="locked" if wanted else "may be changed",
        running=running,
        persistent=persistent,
        origin=written.immutable,
        ok=running == persistent == "locked" if wanted else True,
        note="" if wanted or running != "locked" else "stricter than asked for, and kept",
    )
