"""No update waits: which ones do, which of them are for security, and how old that knowledge is."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.packages import AUTOMATIC_PACKAGES, PACKAGES
from host.facts.pending import LISTS_FETCHED, PENDING, Update, parse_upgrade
from snapshots.dpkg import APT_OPTIONS
from snapshots.model import Change, RunCommand
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.package import not_now

UPGRADE_TIMEOUT_S = 3600.0
_DAY_S = 86400


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    which: Literal["security", "all"] = "security"
    max_age_days: int = 7


class PendingUpdates(Resource):
    """`pending-updates: {which: security, max-age-days: 7}`."""

    kind: ClassVar[str] = "pending-updates"

    def __init__(self, body: _Body) -> None:
        self.is_everything = body.which == "all"
        self.max_age_days = body.max_age_days

    @classmethod
    def parse(cls, step_id: str, body: Any) -> PendingUpdates:
        return cls(msgspec.convert(body, _Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PENDING, LISTS_FETCHED, PACKAGES)

    def observe(self, ctx: Context) -> list[Finding]:
        pending = ctx.facts.get(PENDING)
        findings = [self._lists(ctx)]
        if pending.problem:
            return [*findings, _unknown(pending.problem)]
        findings += [self._finding(update) for update in _ordered(pending.upgrades)]
        if not self._wanted(ctx):
            which = "updates" if self.is_everything else "security updates"
            findings.append(
                Finding(
                    resource="apt", setting=f"pending {which}", expected="none", running="none",
                    persistent="none", ok=True,
                )
            )  # fmt: skip
        findings += [
            Finding(
                resource="apt",
                setting=name,
                expected="whatever it is",
                running="kept back",
                applicable=False,
                note="apt leaves it alone in an upgrade: it is on hold, or would remove something",
            )
            for name in pending.kept_back
        ]
        return findings

    def plan(self, ctx: Context) -> Planned:
        stale = self._stale(ctx)
        if stale:
            return Planned(
                refusals=(
                    f"{stale}, so what waits is not known; nothing was changed. Run `apt-get"
                    " update` (updates.unattended does so daily), then look again.",
                )
            )
        pending = ctx.facts.get(PENDING)
        if pending.problem:
            return Planned(
                refusals=(
                    f"apt cannot tell what waits ({pending.problem}); nothing was changed."
                    " Run `apt-get --fix-broken install`, then look again.",
                )
            )
        wanted = self._wanted(ctx)
        if not wanted:
            return Planned()
        refusal = not_now(ctx)
        if refusal:
            return Planned(refusals=(refusal,))
        names = tuple(update.name for update in wanted)
        words = (
            ("upgrade", "--with-new-pkgs")
            if self.is_everything
            else ("install", "--only-upgrade", *names)
        )
        answer = ctx.host.run(("apt-get", "--simulate", *words), timeout_s=60, ok=None)
        removed = [
            line.split()[1] for line in answer.stdout.splitlines() if line.startswith("Remv ")
        ]
        if removed:
            return Planned(
                refusals=(
                    f"The upgrade would remove {', '.join(removed)}; nothing was changed. Decide by"
                    " hand with `apt-get dist-upgrade` which of them this host needs.",
                )
            )
        coming = parse_upgrade(answer.stdout, answer.stderr)
        if coming.problem:
            return Planned(
                refusals=(
                    f"apt cannot upgrade {', '.join(names)} ({coming.problem}); nothing was"
                    " changed. Run `apt-get --fix-broken install`, then look again.",
                )
            )
        return Planned(
            changes=self._changes(ctx, words, coming.upgrades),
            notes=tuple(
                f"{update.name} {update.old} -> {update.new}{_why(update)}"
                if update.old
                else f"{update.name} {update.new} is new and comes along"
                for update in _ordered(coming.updates)
            ),
        )

    def _changes(
        self, ctx: Context, words: tuple[str, ...], updates: tuple[Update, ...]
    ) -> tuple[Change, ...]:
        count = len(updates)
        upgrade = RunCommand(
            argv=("apt-get", words[0], "-y", *APT_OPTIONS, *words[1:]),
            why=f"upgrade {count} package{'' if count == 1 else 's'}",
            timeout_s=UPGRADE_TIMEOUT_S,
        )
        marked = ctx.facts.get(AUTOMATIC_PACKAGES)
        automatic = sorted(update.name for update in updates if update.name in marked)
        if words[0] != "install" or not automatic:
            return (upgrade,)
        return (
            upgrade,
            RunCommand(
                argv=("apt-mark", "auto", *automatic),
                why="they came for other packages' sake, which apt forgets in such an upgrade",
            ),
        )

    def _wanted(self, ctx: Context) -> tuple[Update, ...]:
        upgrades = ctx.facts.get(PENDING).upgrades
        return tuple(u for u in upgrades if self.is_everything or u.is_security)

    def _finding(self, update: Update) -> Finding:
        counts = self.is_everything or update.is_security
        return Finding(
            resource="security update" if update.is_security else "update",
            setting=update.name,
            expected=update.new,
            running=update.old,
            persistent=update.old,
            origin=update.release,
            ok=False if counts else None,
            applicable=counts,
            note="" if counts else "no security update",
        )

    def _lists(self, ctx: Context) -> Finding:
        stale = self._stale(ctx)
        fetched_ns = ctx.facts.get(LISTS_FETCHED)
        return Finding(
            resource="apt",
            setting="lists of packages",
            expected=f"fetched within {self.max_age_days} days",
            running=_age(fetched_ns),
            ok=not stale,
            note="run `apt-get update`" if stale else "",
        )

    def _stale(self, ctx: Context) -> str:
        """Why the lists say nothing about today; empty where they do."""
        fetched_ns = ctx.facts.get(LISTS_FETCHED)
        if not fetched_ns:
            return "No list of packages was ever fetched on this host"
        if time.time() - fetched_ns / 1e9 > self.max_age_days * _DAY_S:
            return f"The lists of packages were {_age(fetched_ns)}"
        return ""


def _ordered(updates: tuple[Update, ...]) -> list[Update]:
    return sorted(updates, key=lambda update: (not update.is_security, update.name))


def _why(update: Update) -> str:
    return " (security)" if update.is_security else ""


def _age(fetched_ns: int) -> str:
    """ "fetched 3 hours ago", "fetched 12 days ago", "never fetched"."""
    if not fetched_ns:
        return "never fetched"
    hours = int(max(0.0, time.time() - fetched_ns / 1e9) // 3600)
    if hours < 1:
        return "fetched within the last hour"
    amount, unit = (hours, "hour") if hours < 48 else (hours // 24, "day")
    return f"fetched {amount} {unit}{'' if amount == 1 else 's'} ago"


def _unknown(problem: str) -> Finding:
    return Finding(
        resource="apt", setting="pending updates", expected="none", ok=None,
        note=f"apt cannot tell: {problem}",
    )  # fmt: skip
