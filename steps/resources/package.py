"""Packages that must be installed, from the host's own sources, or must not be there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.apt import DPKG_BUSY, Simulation, removal, simulation
from host.facts.packages import KNOWN_PACKAGES, PACKAGES, units_of
from snapshots import purge_reach
from snapshots.captured import TRIGGERED
from snapshots.model import InstallPackages, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")
_WHOLE = frozenset({"installed", *TRIGGERED})


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`removed` keeps configuration and data, `purged` wipes both."""

    installed: list[str] = []
    removed: list[str] = []
    purged: list[str] = []


class Package(Resource):
    """`package: {installed: [name, …], removed: [name, …], purged: [name, …]}`."""

    kind: ClassVar[str] = "package"

    def __init__(
        self, names: Sequence[str], removed: Sequence[str] = (), purged: Sequence[str] = ()
    ) -> None:
        self.names = tuple(names)
        self.removed = tuple(removed)
        self.purged = tuple(purged)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Package:
        given = msgspec.convert(body, _Body)
        named = {"installed": given.installed, "removed": given.removed, "purged": given.purged}
        for field, names in named.items():
            for name in names:
                if not _NAME.fullmatch(name):
                    raise StepError(f"{field}: {name!r} is no package name")
        every = [name for names in named.values() for name in names]
        if not every:
            raise StepError("installed: expected at least one package (or in removed, or purged)")
        if len(set(every)) < len(every):
            twice = next(name for name in every if every.count(name) > 1)
            raise StepError(f"installed: {twice} is named twice")
        return cls(given.installed, given.removed, given.purged)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PACKAGES, KNOWN_PACKAGES) if self.purged else (PACKAGES,)

    def observe(self, ctx: Context) -> list[Finding]:
        return [
            *(installed_finding(ctx, name) for name in self.names),
            *(removed_finding(ctx, name, wiped=False) for name in self.removed),
            *(removed_finding(ctx, name, wiped=True) for name in self.purged),
        ]

    def plan(self, ctx: Context) -> Planned:
        leaving = frozenset((*self.removed, *self.purged))
        parts = [  # what leaves first: it may be in the way of what comes
            plan_removal(ctx, "remove", self.removed),
            plan_removal(ctx, "purge", self.purged),
            plan_install(ctx, self.names, leaving),
        ]
        return Planned(
            changes=tuple(change for part in parts for change in part.changes),
            packages=tuple(name for part in parts for name in part.packages),
            notes=tuple(note for part in parts for note in part.notes),
            refusals=tuple(dict.fromkeys(refusal for part in parts for refusal in part.refusals)),
            stops=tuple(unit for part in parts for unit in part.stops),
        )


APT_WAITS = ("-o", "DPkg::Lock::Timeout=60", "-o", "APT::Get::AutomaticRemove=false")
REMOVAL_TIMEOUT_S = 1800.0


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


def removed_finding(ctx: Context, name: str, *, wiped: bool) -> Finding:
    """Whether a package is gone; with `wiped` its configuration too."""
    package = (ctx.facts.get(KNOWN_PACKAGES) if wiped else ctx.facts.get(PACKAGES)).get(name)
    if package is None or package.status == "not-installed":
        running, ok = "not installed", True
    elif package.installed:
        running, ok = f"installed ({package.version})", False
    else:
        running, ok = "removed, its configuration is still there", False
    return Finding(
        resource="package",
        setting=name,
        expected="not installed, no configuration left" if wiped else "not installed",
        running=running,
        persistent=running,
        ok=ok,
    )


def plan_removal(ctx: Context, verb: str, names: Sequence[str]) -> Planned:
    """What would take those of `names` away that are there; their .deb is kept before."""
    there = ctx.facts.get(KNOWN_PACKAGES if verb == "purge" else PACKAGES)
    going = tuple(name for name in names if name in there and there[name].status != "not-installed")
    if not going:
        return Planned()
    refusal = not_now(ctx)
    if refusal:
        return Planned(refusals=(refusal,))
    essential = [name for name in going if there[name].essential]
    if essential:
        return Planned(
            refusals=(f"{essential[0]} is essential to Debian; nothing was changed. Leave it.",)
        )
    held = [name for name in going if there[name].want == "hold"]
    if held:
        return Planned(
            refusals=(
                f"Somebody put {held[0]} on hold; nothing was changed. `apt-mark unhold {held[0]}`"
                " lets it go.",
            )
        )
    if verb == "purge":
        try:
            purge_reach.refuse_mounted(ctx.host, going)
        except HostError as error:
            return Planned(refusals=(f"{error}; nothing was changed.",))
    answer = ctx.facts.get(removal(verb, going))
    if answer.problem:
        return Planned(
            refusals=(
                f"apt cannot {verb} {', '.join(going)} ({answer.problem}); nothing was changed."
                " Run `apt-get --fix-broken install` and look again.",
            )
        )
    others = [name for name in answer.removes if name not in going]
    if others:
        return Planned(
            refusals=(
                f"Removing {', '.join(going)} would also remove {', '.join(others)}; nothing was"
                " changed. Name them in the step too, or decide by hand what needs them.",
            )
        )
    wipes = (
        f"Cannot come back: what {', '.join(going)} keeps outside of /etc (databases, queues,"
        " logs) where the purge wipes it.",
    )
    return Planned(
        changes=(
            RunCommand(
                argv=("apt-get", verb, "-y", "-q", *APT_WAITS, *going),
                why=f"{verb} {', '.join(going)}",
                timeout_s=REMOVAL_TIMEOUT_S,
            ),
        ),
        notes=wipes if verb == "purge" else (),
        stops=ctx.facts.get(units_of(going)),
    )


def absent(ctx: Context, names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are not installed."""
    packages = ctx.facts.get(PACKAGES)
    return tuple(name for name in names if name not in packages)


def plan_install(
    ctx: Context, names: Sequence[str], leaving: frozenset[str] = frozenset()
) -> Planned:
    """What would install those of `names` that are missing; a refusal where it cannot be done.

    `leaving`: what the step takes away before.
    """
    wanted = absent(ctx, names)
    packages = ctx.facts.get(PACKAGES)
    if not wanted and all(packages[name].status == "installed" for name in names):
        return Planned()
    refusal = not_now(ctx)
    if refusal:
        return Planned(refusals=(refusal,))
    answer = ctx.facts.get(simulation(wanted))
    staying = tuple(name for name in answer.removes if name not in leaving)
    refusal = refusal_of(wanted, msgspec.structs.replace(answer, removes=staying))
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


def not_now(ctx: Context) -> str:
    """Why dpkg cannot be used now: somebody holds it, or an installation was cut off."""
    busy = ctx.facts.get(DPKG_BUSY)
    if busy:
        return busy
    half = [
        f"{name} ({package.status})"
        for name, package in sorted(ctx.facts.get(PACKAGES).items())
        if package.status not in _WHOLE
    ]
    if half:
        return (
            f"An installation was interrupted on this host and left {', '.join(half)}; nothing was"
            " changed. Run `dpkg --configure -a`, then look again."
        )
    return ""


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
