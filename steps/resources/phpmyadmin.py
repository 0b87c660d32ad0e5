"""phpMyAdmin: neither as a package nor as a copy below a document root."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.apache import APACHE
from steps.model import Finding
from steps.resource import Context, Planned
from steps.resources.package import Package, plan_removal

PACKAGE = "phpmyadmin"
MARKS = ("libraries/vendor_config.php", "app/config/vendor_config.php", "show_config_errors.php")
"""Files that only phpMyAdmin has: releases 4 and 5, later ones, and 4.8 to 5.2."""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class PhpMyAdmin(Package):
    """`phpmyadmin: {}`."""

    kind: ClassVar[str] = "phpmyadmin"

    @classmethod
    def parse(cls, step_id: str, body: Any) -> PhpMyAdmin:
        msgspec.convert(body, _Body)
        # Not purged: its configuration holds the password of an account in MariaDB, which an
        # installation anew would change.
        return cls((), (PACKAGE,))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (*super().facts(), APACHE)

    def observe(self, ctx: Context) -> list[Finding]:
        copies = _copies(ctx)
        return [
            *super().observe(ctx),
            Finding(
                resource="web",
                setting="copies below the document roots",
                expected="none",
                running=", ".join(copies) or "none",
                ok=not copies,
            ),
        ]

    def plan(self, ctx: Context) -> Planned:
        planned = plan_removal(ctx, "remove", self.removed)
        # Nobody but who unpacked it knows what else lies there.
        refusals = tuple(
            f"{path} looks like a copy of phpMyAdmin that somebody unpacked by hand; nothing was"
            " changed. Move that directory out of the document root (or delete it), then look"
            " again."
            for path in _copies(ctx)
        )
        return msgspec.structs.replace(planned, refusals=(*planned.refusals, *refusals))


def _copies(ctx: Context) -> list[str]:
    """Directories with phpMyAdmin in them, at most two levels below what a site shows."""
    try:
        apache = ctx.facts.get(APACHE)
        roots = {apache.document_root, *(host.document_root for host in apache.hosts)}
    except FactUnavailable:
        roots = set()
    roots = {root.rstrip("/") for root in roots if root.startswith("/") and root != "/"}
    found = set()
    for root in roots | {"/var/www", "/var/www/html"}:
        for below in (root, f"{root}/*"):
            for mark in MARKS:
                found |= {
                    path.removesuffix(f"/{mark}") for path in ctx.host.glob(f"{below}/{mark}")
                }
    return sorted(found)
