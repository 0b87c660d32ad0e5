"""The TYPO3 that is installed is of a branch that somebody still mends."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.applications import APPLICATIONS
from host.facts.typo3_support import AS_OF, INSTALLED, SUPPORT, Installed
from steps.model import Finding
from steps.resource import Context, Planned, Resource

OUR_KNOWLEDGE_LASTS = timedelta(days=730)
"""Ends are moved now and then; after two years the table says nothing."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    warn_days: int = 60
    extended: bool = False


class Typo3Support(Resource):
    """`typo3-support: {warn-days: 60, extended: false}`."""

    kind: ClassVar[str] = "typo3-support"

    def __init__(self, body: _Body, today: date | None = None) -> None:
        self.warn_days = body.warn_days
        self.extended = body.extended
        self._today = today

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Typo3Support:
        return cls(msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APPLICATIONS, INSTALLED)

    @property
    def today(self) -> date:
        return self._today or date.today()

    def observe(self, ctx: Context) -> list[Finding]:
        found = ctx.facts.get(INSTALLED)
        if not found:
            return [
                Finding(
                    resource="TYPO3", setting="security fixes", expected="still made",
                    note="no TYPO3 is served here", applicable=False,
                )
            ]  # fmt: skip
        return [self._finding(one) for one in found]

    def plan(self, ctx: Context) -> Planned:
        """Another TYPO3 is an update window, with its database and every extension."""
        bad = [one for one in ctx.facts.get(INSTALLED) if self._finding(one).ok is False]
        return Planned(
            refusals=tuple(
                f"TYPO3 {one.version} in {one.application.path} cannot be replaced by itself: its"
                " extensions must be tried with another version first, and its database is changed."
                " Nothing was changed. Upgrade it in an update window, to"
                f" {SUPPORT[max(SUPPORT)].branch} if its extensions allow."
                for one in bad
            )
        )

    def _finding(self, one: Installed) -> Finding:
        finding = Finding(
            resource=one.application.label,
            setting="security fixes",
            expected=f"for {self.warn_days} more days at least",
            running=one.version,
            persistent=one.version,
            origin=one.origin,
        )
        if not one.version:
            return msgspec.structs.replace(finding, note=one.problem)
        major = int(one.version.split(".")[0])
        support = SUPPORT.get(major)
        if support is None and major > min(SUPPORT):
            note = f"the table of {AS_OF.isoformat()} does not know TYPO3 {major}"
            return msgspec.structs.replace(finding, note=note)
        if support is None:
            note = "nobody has mended it for years, not for money either"
            return msgspec.structs.replace(finding, ok=False, note=note)
        if not f"{one.version}.".startswith(f"{support.branch}."):
            note = f"of TYPO3 {major} only {support.branch} gets fixes"
            return msgspec.structs.replace(finding, ok=False, note=note)
        until = support.extended if self.extended else support.until
        by = " with paid support (ELTS)" if self.extended else ""
        ends = f"{one.version}, until {until.isoformat()}{by}"
        finding = msgspec.structs.replace(finding, running=ends, persistent=ends)
        if self.today > AS_OF + OUR_KNOWLEDGE_LASTS and until >= self.today:
            note = f"the table is of {AS_OF.isoformat()}, too old to rely on; upgrade harden-tui"
            return msgspec.structs.replace(finding, note=note)
        ok = until >= self.today + timedelta(days=self.warn_days)
        note = f"no fixes after that day (table of {AS_OF.isoformat()})"
        if not ok and not self.extended and support.extended >= self.today:
            note += f"; who pays for ELTS gets them until {support.extended.isoformat()}"
        if ok:
            note = (
                "whether it is the newest of its branch is not known without a network: see"
                " https://get.typo3.org, or `composer outdated typo3/cms-core`"
            )
        return msgspec.structs.replace(finding, ok=ok, note=note)
