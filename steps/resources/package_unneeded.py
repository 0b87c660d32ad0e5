"""Packages this server does not need, purged; those a person keeps are shown."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from host.facts.packages import KNOWN_PACKAGES
from host.facts.packages_unneeded import purpose, unneeded_packages
from steps.model import Finding
from steps.resource import Context, Planned
from steps.resources.package import Package, plan_removal


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purged: list[str]


class UnneededPackage(Package):
    """`package-unneeded: {purged: [telnet, …]}`; the list may be empty."""

    kind: ClassVar[str] = "package-unneeded"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> UnneededPackage:
        names = msgspec.convert(body, _Body).purged
        if not names:
            return cls((), (), ())
        checked = Package.parse(step_id, {"purged": names})
        return cls((), (), checked.purged)

    def observe(self, ctx: Context) -> list[Finding]:
        findings = super().observe(ctx)
        if not findings:
            findings = [
                Finding(
                    resource="package",
                    setting="unneeded packages",
                    expected="none",
                    running="none chosen",
                    ok=True,
                )
            ]
        there = ctx.facts.get(KNOWN_PACKAGES)
        kept = [name for name in unneeded_packages(ctx.facts) if name not in self.purged]
        return findings + [
            Finding(
                resource="package",
                setting=name,
                expected="whatever it is",
                running=f"{there[name].version}, {there[name].status}",
                applicable=False,
                note=f"{purpose(name)}; kept by choice",
            )
            for name in kept
        ]

    def plan(self, ctx: Context) -> Planned:
        planned = plan_removal(ctx, "purge", self.purged)
        if not planned.changes:
            return planned
        there = ctx.facts.get(KNOWN_PACKAGES)
        what = [
            f"{name}: {purpose(name)}." for name in self.purged if name in there and purpose(name)
        ]
        return msgspec.structs.replace(planned, notes=(*what, *planned.notes))
