"""Whether files are still those that were installed: AIDE for all, debsums for packaged ones."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources import integrity_aide, integrity_debsums
from steps.resources.package import installed_finding, plan_install


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The resource as a catalogue file writes it.

    `by`: aide, debsums or both. `web-tree` is watched, all but the `writable` directories in it;
    `exclude` are directories that change all the time or take too long.
    """

    by: list[Literal["aide", "debsums"]]
    web_tree: str
    writable: list[str] = []
    exclude: list[str] = []


class Integrity(Resource):
    """`integrity: {by: [aide, debsums], web-tree: /var/www, writable: [log], exclude: [/home]}`."""

    kind: ClassVar[str] = "integrity"

    def __init__(self, step_id: str, body: Body) -> None:
        self.body = body
        self.rules = integrity_aide.rules(step_id, body.web_tree, body.writable, body.exclude)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Integrity:
        given = msgspec.convert(body, Body)
        if not given.by:
            raise StepError("by: expected aide, debsums or both")
        for path in (given.web_tree, *given.exclude):
            if not path.startswith("/") or any(blank in path for blank in " \t"):
                raise StepError(f"{path!r} is no absolute path without blanks")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = []
        if "aide" in self.body.by:
            findings.append(installed_finding(ctx, integrity_aide.PACKAGE))
            if findings[-1].ok:
                findings += integrity_aide.observe(ctx, self.rules)
        if "debsums" in self.body.by:
            findings.append(installed_finding(ctx, integrity_debsums.PACKAGE))
            if findings[-1].ok:
                findings += integrity_debsums.observe(ctx)
        return findings

    def plan(self, ctx: Context) -> Planned:
        """debsums first, so that AIDE's database knows its files."""
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        names = (integrity_debsums.PACKAGE, integrity_aide.PACKAGE)
        by = [name for name, chosen in zip(names, ("debsums", "aide"), strict=True)
              if chosen in self.body.by]  # fmt: skip
        install = plan_install(ctx, by)
        if install.refusals:
            return install
        parts = [install]
        if "debsums" in self.body.by:
            parts.append(integrity_debsums.plan(ctx, beside="aide" in self.body.by))
        if "aide" in self.body.by:
            parts.append(integrity_aide.plan(ctx, self.rules))
        return Planned(
            changes=tuple(change for part in parts for change in part.changes),
            validations=tuple(one for part in parts for one in part.validations),
            packages=tuple(by),
            roots=tuple(root for part in parts for root in part.roots),
            notes=tuple(note for part in parts for note in part.notes),
        )

    def prove(self, ctx: Context) -> list[Finding]:
        return integrity_debsums.prove(ctx) if "debsums" in self.body.by else []
