"""i-doit's tokens against forged requests: in its settings, and in force."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.app_database import APP_DATABASES, Database
from host.facts.app_settings import CACHE, CSRF, IDOIT_CSRF, Setting
from host.idoit_crypt import as_web_user
from host.mariadb import base_table, identifier, literal
from snapshots.mariadb_cells import rows
from snapshots.model import Activation, RunSql
from steps.model import Finding
from steps.resource import Context, Planned, Resource


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""


class IdoitCsrf(Resource):
    """`idoit-csrf: {path: /var/www/html/i-doit}`."""

    kind: ClassVar[str] = "idoit-csrf"

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/")

    @classmethod
    def parse(cls, step_id: str, body: Any) -> IdoitCsrf:
        return cls(msgspec.convert(body, _Body).path)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APP_DATABASES, IDOIT_CSRF)

    def observe(self, ctx: Context) -> list[Finding]:
        mine = self._mine(ctx)
        if not mine:
            return [
                Finding(
                    resource="i-doit",
                    setting=CSRF,
                    expected="1",
                    note="no i-doit was found below Apache's document roots",
                    applicable=False,
                )
            ]
        return [_finding(one, ctx.facts.get(IDOIT_CSRF)[one.application.path]) for one in mine]

    def plan(self, ctx: Context) -> Planned:
        changes, roots, activations, refusals = [], [], [], []
        for one in self._mine(ctx):
            setting = ctx.facts.get(IDOIT_CSRF)[one.application.path]
            if setting.problem or one.access is None:
                refusals.append(
                    f"{CSRF} of {one.application.label} cannot be set: {setting.problem}. Nothing"
                    " was changed. Set it in the Admin Center: System settings, Security."
                )
                continue
            if _finding(one, setting).ok:
                continue
            table = f"{identifier(one.access.database)}.isys_settings"
            held = base_table(one.access.database, "isys_settings")
            before = "".join(f"-{CSRF} = {value}\n" for value in setting.rows.values())
            changes.append(
                RunSql(
                    sql=(
                        # No view, and none until the end: see host.mariadb.base_table.
                        "START TRANSACTION",
                        f"SELECT 1 FROM {held} LIMIT 0",
                        f"INSERT INTO {table} (isys_settings__key, isys_settings__value,"
                        f" isys_settings__isys_mandator__id) VALUES ({literal(CSRF)}, '1', 0)"
                        " ON DUPLICATE KEY UPDATE isys_settings__value = '1'",
                        f"UPDATE {held} SET isys_settings__value = '1'"
                        f" WHERE isys_settings__key = {literal(CSRF)}",
                        "COMMIT",
                    ),
                    why=f"turn CSRF tokens on in {one.application.label}",
                    diff=f"--- {one.access.database}.isys_settings\n"
                    f"+++ {one.access.database}.isys_settings\n{before}+{CSRF} = 1\n",
                )
            )
            roots.append(rows(one.access.database, "isys_settings"))
            cache = f"{one.application.path}/{CACHE}"
            clear = (*as_web_user(ctx.host, one.application.path), "rm", "-f", cache)
            activations.append(Activation("command", argv=clear))
        return Planned(
            changes=tuple(changes),
            roots=tuple(roots),
            activations=tuple(activations),
            refusals=tuple(refusals),
        )

    def _mine(self, ctx: Context) -> list[Database]:
        return [
            one
            for one in ctx.facts.get(APP_DATABASES)
            if one.application.kind == "i-doit" and self.path in ("", one.application.path)
        ]


def _finding(one: Database, setting: Setting) -> Finding:
    """In force is what the cache says, and after it is cleared what the table says."""
    table = f"{one.access.database}.isys_settings" if one.access else one.config
    stored = ", ".join(dict.fromkeys(setting.rows.values())) or "unset (off)"
    if "0" not in setting.rows and setting.rows:
        stored = f"unset (off), of tenants {stored}"
    running = (setting.cached or "unset (off)") if setting.has_cache else stored
    return Finding(
        resource=one.application.label,
        setting=CSRF,
        expected="1",
        running="" if setting.problem else running,
        persistent="" if setting.problem else stored,
        origin=f"{one.application.path}/{CACHE}" if setting.has_cache else table,
        ok=None if setting.problem else (running, stored) == ("1", "1"),
        note=setting.problem,
    )
