"""Known holes in installed packages for which there is an update, looked up every day."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.debsecan import (
    DEBSECAN_SETTINGS,
    PLACE,
    REPORT,
    SETTINGS,
    VULNERABILITIES,
    Hole,
    Report,
    parse_settings,
    with_settings,
)
from host.facts.os import DISTRIBUTION
from host.facts.outgoing import Place, places
from host.facts.packages import PACKAGES
from host.facts.ufw import UFW_CONFIGURATION
from snapshots.model import Change, RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.package import installed_finding, plan_install
from steps.resources.way_out import way_refusals

SCRIPT: Final = "/etc/harden-tui/vulnerabilities.sh"
SCANS_S: Final = 300.0
TRACKER: Final = "security-tracker.debian.org"
NAMED: Final = 30
"""So many packages are named one by one."""

CVES: Final = 5
"""And so many holes of each."""

DAY_S: Final = 86400.0


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """`source` where debsecan gets its data (empty: Debian's security tracker)."""

    source: str
    valid_days: int
    grace_days: int


class Vulnerabilities(Resource):
    """`vulnerabilities: {source: "", valid-days: 3, grace-days: 7}`."""

    kind: ClassVar[str] = "vulnerabilities"

    def __init__(self, step_id: str, body: _Body) -> None:
        self.step_id = step_id
        self.body = body

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Vulnerabilities:
        given = msgspec.convert(body, _Body)
        if given.valid_days < 1 or given.grace_days < 0:
            raise StepError("valid-days: expected 1 or more, and grace-days of 0 or more")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, DISTRIBUTION, DEBSECAN_SETTINGS, VULNERABILITIES, UFW_CONFIGURATION)

    def observe(self, ctx: Context) -> list[Finding]:
        installed = installed_finding(ctx, "debsecan")
        if not installed.ok:
            return [installed]
        report = ctx.facts.get(VULNERABILITIES)
        return [
            installed,
            *self._settings(ctx),
            self._script(ctx),
            self._age(report),
            *(self._holes(report.holes) if self._is_fresh(report) else ()),
        ]

    def told(self, findings: Sequence[Finding]) -> str:
        counted = [one.running for one in findings if one.setting == "known holes"]
        return "" if counted in ([], ["none"]) else f"known holes: {counted[0]}"

    def plan(self, ctx: Context) -> Planned:
        install = plan_install(ctx, ("debsecan",))
        if install.refusals:
            return install
        there = not install.changes
        changes: list[Change] = [*install.changes]
        if not there or not all(finding.ok for finding in self._settings(ctx)):
            text = with_settings(ctx.facts.get(DEBSECAN_SETTINGS), self._wanted(ctx))
            changes.append(WriteFile(path=SETTINGS, content=text.encode()))
        if not there or not self._script(ctx).ok:
            changes.append(
                WriteFile(path=SCRIPT, content=self.text.encode(), mode=0o755, force_state=True)
            )
        report = ctx.facts.get(VULNERABILITIES)
        if changes or not self._is_fresh(report):
            changes.append(
                RunCommand(
                    argv=("/bin/sh", SCRIPT), timeout_s=SCANS_S,
                    why="ask which holes of the installed packages are known",
                )
            )  # fmt: skip
        overdue = [hole for hole in report.holes if self._is_overdue(hole)]
        notes = install.notes
        if overdue and self._is_fresh(report):
            notes = (
                *notes,
                f"{len(overdue)} known holes are older than {self.body.grace_days} days, and"
                " looking again closes none: apply updates.pending.",
            )
        return msgspec.structs.replace(
            install, changes=tuple(changes), notes=notes,
            refusals=self._refusals(ctx) if changes else (),
        )  # fmt: skip

    def _refusals(self, ctx: Context) -> tuple[str, ...]:
        """The data is not within reach; a file of this host is."""
        found = [*places(self.body.source)] or [Place(TRACKER, 443)]
        if self.body.source.startswith("file:"):
            return ()
        return way_refusals(ctx, found[0].host, found[0].port)

    @property
    def text(self) -> str:
        """The script of the timer: a report, and since when each hole is known here."""
        return f"""\
#!/bin/sh
# Written by harden-tui for the step {self.step_id}.
# Asks debsecan for known holes that an update closes. Where that cannot be asked the last report
# stays, with its age.
set -eu
umask 077
place={PLACE}
mkdir -p "$place"
trap 'rm -f "$place"/*.new' EXIT
. {SETTINGS}
debsecan --suite "$SUITE" --only-fixed --format detail > "$place/report.new"
touch "$place/since"
awk '/^[A-Z]/ {{ hole = $1 }} /^  installed: / {{ print hole, $2 }}' "$place/report.new" |
    sort -u | awk -v now="$(date +%s)" '
        FILENAME == "-" {{ key = $1 " " $2; print (key in seen ? seen[key] : now), key; next }}
        {{ seen[$2 " " $3] = $1 }}
    ' "$place/since" - > "$place/since.new"
mv "$place/since.new" "$place/since"
mv "$place/report.new" "$place/report"
"""

    def _wanted(self, ctx: Context) -> dict[str, str]:
        return {
            "SUITE": ctx.facts.get(DISTRIBUTION).codename,
            "SOURCE": self.body.source,
        }

    def _settings(self, ctx: Context) -> list[Finding]:
        there = parse_settings(ctx.facts.get(DEBSECAN_SETTINGS))
        found = []
        for name, value in self._wanted(ctx).items():
            running, line = there.get(name, ("", 0))
            found.append(
                Finding(
                    resource="debsecan", setting=name, expected=value or "Debian's own",
                    running=running or ("GENERIC" if name == "SUITE" else "Debian's own"),
                    persistent=running, origin=f"{SETTINGS}:{line}" if line else "",
                    ok=running == value,
                    note="GENERIC does not know which holes are closed in this release"
                    if name == "SUITE" and running != value else "",
                )
            )  # fmt: skip
        return found

    def _script(self, ctx: Context) -> Finding:
        try:
            text = ctx.host.read_bytes(SCRIPT).decode("utf-8", "replace")
        except HostError:
            text = ""
        same = text == self.text
        running = "the same" if same else ("different" if text else "absent")
        return Finding(
            resource="debsecan", setting=SCRIPT, expected="as the step has it", running=running,
            persistent=running, origin=SCRIPT if text else "", ok=same,
        )  # fmt: skip

    def _is_fresh(self, report: Report) -> bool:
        return time.time() - report.written_s < self.body.valid_days * DAY_S

    def _age(self, report: Report) -> Finding:
        days = (time.time() - report.written_s) / DAY_S
        fresh = self._is_fresh(report)
        return Finding(
            resource="debsecan",
            setting="report",
            expected=f"at most {self.body.valid_days} days old",
            running=f"{max(0.0, days):.1f} days old" if report.written_s else "none yet",
            origin=REPORT if report.written_s else "",
            ok=True if fresh else None,
            note="" if fresh else "what is known of the installed packages could not be asked"
            f" lately; it needs the way to {TRACKER}, or a `source` of your own"
            " (journalctl -u harden-tui-vulnerabilities)",
        )  # fmt: skip

    def _is_overdue(self, hole: Hole) -> bool:
        return time.time() - hole.since_s > self.body.grace_days * DAY_S

    def _holes(self, holes: Sequence[Hole]) -> list[Finding]:
        packages: dict[str, list[Hole]] = {}
        for hole in holes:
            packages.setdefault(hole.package, []).append(hole)
        overdue = [hole for hole in holes if self._is_overdue(hole)]
        counted = f"{len(holes)} in {len(packages)} packages, each with an update"
        findings = [
            Finding(
                resource="debsecan",
                setting="known holes",
                expected=f"none for longer than {self.body.grace_days} days",
                running=counted if holes else "none",
                ok=not overdue,
                note=f"{len(overdue)} for longer; updates.pending installs the updates"
                if overdue else "",
            )
        ]  # fmt: skip
        worst = sorted(packages.items(), key=lambda one: (-_weight(one[1]), one[0]))
        findings += [
            Finding(
                resource="debsecan",
                setting=package,
                expected=f"upgraded within {self.body.grace_days} days",
                running=f"{its[0].installed}, {_closed(its)}: {_named(its)}",
                ok=not any(self._is_overdue(hole) for hole in its),
            )
            for package, its in worst[:NAMED]
        ]
        return findings


def _weight(holes: Sequence[Hole]) -> int:
    urgencies = {"high": 8, "medium": 4, "low": 1}
    return max(urgencies.get(hole.urgency, 2) + (16 if hole.remote else 0) for hole in holes)


def _closed(holes: Sequence[Hole]) -> str:
    versions = dict.fromkeys(version for hole in holes for version in hole.fixed_in)
    return f"closed in {' or '.join(versions)}" if versions else "closed in a newer version"


def _named(holes: Sequence[Hole]) -> str:
    more = f" and {len(holes) - CVES} more" if len(holes) > CVES else ""
    return ", ".join(_said(hole) for hole in holes[:CVES]) + more


def _said(hole: Hole) -> str:
    words = [word for word in (hole.urgency, "remote" if hole.remote else "") if word]
    return f"{hole.name} ({', '.join(words)})" if words else hole.name
