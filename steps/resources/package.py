"""Packages that must be installed, from the host's own sources, without recommendations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.apt import DPKG_BUSY, Simulation, simulation
from host.facts.packages import PACKAGES
from snapshots.model import InstallPackages
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    installed: list[str]


class Package(Resource):
    """`package: {installed: [name, …]}`."""

    kind: ClassVar[str] = "package"

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Package:
        names = msgspec.convert(body, _Body).installed
        for name in names:
            if not _NAME.fullmatch(name):
                raise StepError(f"installed: {name!r} is no package name")
        return cls(names)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES,)

    def observe(self, ctx: Context) -> list[Finding]:
        return [installed_finding(ctx, name) for name in self.names]

    def plan(self, ctx: Context) -> Planned:
        return plan_install(ctx, self.names)


def installed_finding(ctx: Context, name: str) -> Finding:
    """Whether a package is there, and completely configured."""
    package = ctx.facts.get(PACKAGES).get(name)
    if package is None:
        running, ok = "not installed", False
    elif package.status == "installed":
        running, ok = package.version, True
    else:
        running, ok = f"{package.version}, {package.status}", False
    return Finding(
        resource="package",
        setting=name,
        expected="installed",
        running=running,
        persistent=running,
        ok=ok,
    )


def absent(ctx: Context, names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are not installed."""
    packages = ctx.facts.get(PACKAGES)
    return tuple(name for name in names if name not in packages)


def plan_install(ctx: Context, names: Sequence[str]) -> Planned:
    """What would install those of `names` that are missing; a refusal where it cannot be done."""
    wanted = absent(ctx, names)
    if not wanted:
        return Planned()
    busy = ctx.facts.get(DPKG_BUSY)
    if busy:
        return Planned(refusals=(busy,))
    answer = ctx.facts.get(simulation(wanted))
    refusal = refusal_of(wanted, answer)
    if refusal:
        return Planned(refusals=(refusal,))
    notes: tuple[str, ...] = ()
    if answer.upgrades:
        notes = (f"apt would also upgrade {', '.join(answer.upgrades)}.",)
    return Planned(
        changes=(InstallPackages(packages=wanted, brings=answer.brings),),
        packages=wanted,
        notes=notes,
    )


def refusal_of(wanted: Sequence[str], answer: Simulation) -> str:
    """Why apt could not install `wanted`, with the way out; empty if it could."""
    if answer.missing:
        names = ", ".join(answer.missing)
        return (
            f"The package sources of this host do not offer {names}; nothing was changed."
            " Add Debian's own repository to /etc/apt/sources.list.d, run `apt-get update`,"
            " and look again."
        )
    if answer.problem:
        return (
            f"apt cannot install {', '.join(wanted)} ({answer.problem}); nothing was changed."
            " Run `apt-get --fix-broken install` and look again."
        )
    if answer.removes:
        return (
            f"Installing {', '.join(wanted)} would remove {', '.join(answer.removes)};"
            " nothing was changed. Decide by hand which of them this host needs."
        )
    return ""
