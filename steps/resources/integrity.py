"""Whether files are still those that were installed: AIDE, or debsums for packaged files only."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.packages import PACKAGES
from host.facts.units import UNITS
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources import integrity_aide, integrity_debsums
from steps.resources.package import installed_finding


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The resource as a catalogue file writes it.

    `web-tree` is watched, all but the `writable` directories in it; `exclude` are directories that
    change all the time or take too long.
    """

    by: Literal["aide", "debsums"]
    web_tree: str
    writable: list[str] = []
    exclude: list[str] = []


class Integrity(Resource):
    """`integrity: {by: aide, web-tree: /var/www/html, writable: [log], exclude: [/home]}`."""

    kind: ClassVar[str] = "integrity"

    def __init__(self, step_id: str, body: Body) -> None:
        self.body = body
        self.rules = integrity_aide.rules(step_id, body.web_tree, body.writable, body.exclude)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Integrity:
        given = msgspec.convert(body, Body)
        for path in (given.web_tree, *given.exclude):
            if not path.startswith("/") or any(blank in path for blank in " \t"):
                raise StepError(f"{path!r} is no absolute path without blanks")
        return cls(step_id, given)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        name = "aide-common" if self.body.by == "aide" else "debsums"
        installed = installed_finding(ctx, name)
        if not installed.ok:
            return [installed]
        if self.body.by == "aide":
            return [installed, *integrity_aide.observe(ctx, self.rules)]
        return [installed, *integrity_debsums.observe(ctx)]

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        if self.body.by == "aide":
            return integrity_aide.plan(ctx, self.rules)
        return integrity_debsums.plan(ctx)

    def prove(self, ctx: Context) -> list[Finding]:
        return [] if self.body.by == "aide" else integrity_debsums.prove(ctx)
