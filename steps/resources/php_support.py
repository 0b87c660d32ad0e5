"""The PHP that answers web requests is a branch that somebody still mends."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.apache import APACHE, RUNNING
from host.facts.os import DISTRIBUTION
from host.facts.packages import PACKAGES
from host.facts.php import WEB_PHP, WebPhp
from host.facts.php_support import AS_OF, UPSTREAM, support_of
from steps.model import Finding
from steps.resource import Context, Planned, Resource

OUR_KNOWLEDGE_LASTS = timedelta(days=730)
"""Support ends are moved now and then, mostly later; after two years the table says nothing."""

_FOREIGN = re.compile(r"\+0~\d{8}|\+(debian|ubuntu)\d|sury|remi")
"""In the versions of packages from packages.sury.org and the like ("8.3.4-1+0~20240314.1+…")."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    warn_days: int = 30


class PhpSupport(Resource):
    """`php-support: {warn-days: 30}`."""

    kind: ClassVar[str] = "php-support"

    def __init__(self, warn_days: int, today: date | None = None) -> None:
        self.warn_days = warn_days
        self._today = today

    @classmethod
    def parse(cls, step_id: str, body: Any) -> PhpSupport:
        return cls(msgspec.convert(body, _Body).warn_days)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APACHE, RUNNING, WEB_PHP, DISTRIBUTION, PACKAGES)

    @property
    def today(self) -> date:
        return self._today or date.today()

    def observe(self, ctx: Context) -> list[Finding]:
        return [self._finding(ctx, php) for php in ctx.facts.get(WEB_PHP)]

    def plan(self, ctx: Context) -> Planned:
        """Another PHP is another release of the host, or a source that nobody chose yet."""
        bad = [php for php in ctx.facts.get(WEB_PHP) if self._finding(ctx, php).ok is False]
        return Planned(
            refusals=tuple(
                f"PHP {php.version} cannot be replaced by itself: applications must be tried with"
                " another version first. Nothing was changed. Upgrade the host to the next release"
                " of its distribution, or install a supported PHP beside it and let Apache use that"
                f" one (`a2dismod php{php.version}`, `a2enmod php…`)."
                for php in bad
            )
        )

    def _finding(self, ctx: Context, php: WebPhp) -> Finding:
        version, origin, is_own = _package(ctx, php)
        verdict = support_of(
            php.version,
            ctx.facts.get(DISTRIBUTION).codename,
            is_distributions_own=is_own,
        )
        finding = Finding(
            resource=php.label,
            setting="security fixes",
            expected=f"for {self.warn_days} more days at least",
            origin=origin,
        )
        if verdict.until is None:
            last = max(UPSTREAM, key=lambda branch: tuple(map(int, branch.split("."))))
            return msgspec.structs.replace(
                finding,
                running=version,
                note=f"the table of {AS_OF.isoformat()} does not know PHP {php.version}; it ends"
                f" with {last}",
            )
        ends = f"{version}, until {verdict.until.isoformat()} by {verdict.by}"
        if self.today > AS_OF + OUR_KNOWLEDGE_LASTS and verdict.until >= self.today:
            return msgspec.structs.replace(
                finding,
                running=ends,
                note=f"the table is of {AS_OF.isoformat()}, too old to rely on; upgrade harden-tui",
            )
        ok = verdict.until >= self.today + timedelta(days=self.warn_days)
        return msgspec.structs.replace(
            finding,
            running=ends,
            persistent=ends,
            ok=ok,
            note="" if ok else f"no fixes after that day (table of {AS_OF.isoformat()})",
        )


def _package(ctx: Context, php: WebPhp) -> tuple[str, str, bool]:
    """Version, the package it comes in, and whether that is the distribution's own."""
    name = f"libapache2-mod-php{php.version}" if php.sapi == "apache2" else f"php{php.version}-fpm"
    try:
        package = ctx.facts.get(PACKAGES).get(name)
    except FactUnavailable:
        package = None
    if package is None:
        return php.ini.version, "no package of this host", False
    return package.version, f"package {name}", not _FOREIGN.search(package.version)
