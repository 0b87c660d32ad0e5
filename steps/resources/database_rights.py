"""What an application's database account may do, and from where: no more than it needs."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.app_database import APP_DATABASES, APP_LOGINS
from host.facts.app_grants import APP_GRANTS, Granted, Holder
from host.facts.mariadb import MARIADB, Account
from host.grants import ALL, DATA, UPGRADE, Trimmed, of_a_database, trim
from host.mariadb import account, ask, listed
from snapshots.domains.mariadb import ACCOUNTS
from snapshots.model import RunSql
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.mariadb_accounts import CONNECTED, DEFINERS, NEVER_DROPPED

Phase = Literal["update", "runtime"]

_RUNTIME = (*DATA, "CREATE TEMPORARY TABLES")
_ALLOWED: dict[tuple[str, Phase], tuple[str, ...]] = {
    ("i-doit", "update"): (ALL,),
    ("i-doit", "runtime"): (*_RUNTIME, "LOCK TABLES", "EXECUTE"),
    ("typo3", "update"): UPGRADE,
    ("typo3", "runtime"): _RUNTIME,
}
_SERVERS_OWN = {user for user, _ in NEVER_DROPPED}


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""
    rights: Phase = "update"


class DatabaseRights(Resource):
    """`database-rights: {path: /var/www/html/i-doit, rights: update}`."""

    kind: ClassVar[str] = "database-rights"

    def __init__(self, path: str, phase: Phase) -> None:
        self.path = path.rstrip("/")
        self.phase = phase

    @classmethod
    def parse(cls, step_id: str, body: Any) -> DatabaseRights:
        given = msgspec.convert(body, _Body)
        return cls(given.path, given.rights)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APP_DATABASES, APP_GRANTS, APP_LOGINS, MARIADB)

    def observe(self, ctx: Context) -> list[Finding]:
        databases = [
            one for one in ctx.facts.get(APP_DATABASES) if self.path in ("", one.application.path)
        ]
        findings = [
            Finding(
                resource=one.application.label,
                setting="database account",
                expected="only what it needs",
                origin=one.config,
                note=one.problem or "its database is on another machine",
                applicable=bool(one.problem),
            )
            for one in databases
            if not one.is_local
        ]
        if not databases:
            return [
                Finding(
                    resource="applications",
                    setting="database account",
                    expected="only what it needs",
                    note="no i-doit and no TYPO3 was found below Apache's document roots",
                    applicable=False,
                )
            ]
        for holder in self._holders(ctx):
            for entry in holder.entries:
                findings += self._findings(ctx, holder, entry)
        for one in databases:
            if one.access is not None and one.access.login.is_local:
                why = ctx.facts.get(APP_LOGINS).get(one.access.login)
                findings.append(
                    Finding(
                        resource=one.application.label,
                        setting="login",
                        expected="let in by MariaDB",
                        running=f"refused: {why}" if why else "let in",
                        origin=f"{one.config}:{one.access.line}",
                        ok=None if why is None else not why,
                    )
                )
        return findings

    def plan(self, ctx: Context) -> Planned:
        changes: list[RunSql] = []
        refusals: list[str] = []
        for holder in self._holders(ctx):
            if holder.user in _SERVERS_OWN:
                refusals.append(
                    f"{' and '.join(holder.labels)} logs in to MariaDB as {holder.user}, the"
                    " server's own account; nothing was changed. Give it an account of its own."
                )
                continue
            known = ctx.facts.get(APP_LOGINS)
            wrong = [why for login, why in known.items() if why and login.user == holder.user]
            if wrong:
                # Whoever writes the application's files may name any account there.
                refusals.append(
                    f"{' and '.join(holder.labels)} is not let in as {holder.user} ({wrong[0]}), so"
                    " nothing tells that this account is its own; nothing was changed. Write its"
                    " present password there first."
                )
                continue
            names = {entry.account.host.lower() for entry in holder.entries}
            for entry in holder.entries:
                refusals += _refusals(ctx, entry)
                changes += self._rights(ctx, holder, entry)
            changes += _moves(holder, "localhost" in names)
        if not changes:
            return Planned(refusals=tuple(refusals))
        return Planned(
            changes=tuple(changes),
            roots=(ACCOUNTS,),
            refusals=tuple(refusals),
            notes=("Rights count from the next statement on; nobody is logged out.",),
        )

    def _holders(self, ctx: Context) -> list[Holder]:
        found = ctx.facts.get(APP_GRANTS)
        return [one for one in found if not self.path or self.path in one.paths]

    def _allowed(self, holder: Holder) -> tuple[str, ...]:
        """Of applications that share an account, the one that needs most counts."""
        found = [_ALLOWED[kind, self.phase] for kind in holder.kinds]
        if any(one == (ALL,) for one in found):
            return (ALL,)
        return tuple(dict.fromkeys(word for one in found for word in one))

    def _trimmed(self, ctx: Context, holder: Holder, entry: Granted) -> Trimmed:
        name = account(entry.account.user, entry.account.host)
        every = of_a_database(ctx.facts.get(MARIADB).version)
        return trim(name, entry.rights, holder.own, self._allowed(holder), every)

    def _findings(self, ctx: Context, holder: Holder, entry: Granted) -> list[Finding]:
        one = entry.account
        allowed = ", ".join(self._allowed(holder))
        wide = _SERVERS_OWN & {one.user}
        goes = self._trimmed(ctx, holder, entry).goes
        note = entry.problem or (f"it has the role {', '.join(entry.roles)}" if entry.roles else "")
        return [
            Finding(
                resource=str(one),
                setting="host",
                expected="this machine only",
                running=one.host,
                origin="mysql.global_priv",
                ok=one.is_local,
            ),
            Finding(
                resource=str(one),
                setting="rights",
                expected=f"at most {allowed} on {', '.join(holder.own)}",
                running="the server's administrator"
                if wide
                else f"too much: {'; '.join(goes)}"
                if goes
                else "no more than that",
                origin=f"SHOW GRANTS FOR {one}",
                ok=False if wide or goes else None if note else True,
                note=note,
            ),
        ]

    def _rights(self, ctx: Context, holder: Holder, entry: Granted) -> list[RunSql]:
        trimmed = self._trimmed(ctx, holder, entry)
        if not trimmed.statements:
            return []
        name = account(entry.account.user, entry.account.host)
        lines = [f"-GRANT {line}\n" for line in trimmed.goes]
        lines += [f"+GRANT {line}\n" for line in trimmed.comes]
        return [
            RunSql(
                sql=trimmed.statements,
                why=f"leave {name} what {' and '.join(holder.labels)} needs",
                diff=f"--- grants of {name}\n+++ grants of {name}\n{''.join(lines)}",
            )
        ]


def _moves(holder: Holder, is_local: bool) -> list[RunSql]:
    """Entries for other machines: the first becomes the one for this, the others go."""
    found = []
    for entry in holder.entries:
        one = entry.account
        if one.is_local:
            continue
        name, here = account(one.user, one.host), account(one.user, "localhost")
        move = not is_local
        is_local = True
        found.append(
            RunSql(
                sql=(f"RENAME USER {name} TO {here}" if move else f"DROP USER {name}",),
                why=f"bind {name} to localhost" if move else f"drop {name}: {here} is there",
                diff=f"--- accounts\n+++ accounts\n-account {name}\n"
                + (f"+account {here}\n" if move else ""),
            )
        )
    return found


def _refusals(ctx: Context, entry: Granted) -> list[str]:
    one = entry.account
    name = account(one.user, one.host)
    if entry.problem or entry.roles:
        why = entry.problem or f"it has the role {', '.join(entry.roles)}"
        return [f"The rights of {name} cannot be told: {why}; nothing was changed."]
    if one.is_local:
        return []
    if ctx.facts.get(MARIADB).value("skip_name_resolve").upper() == "ON":
        return [
            f"{name} cannot be bound to localhost while skip_name_resolve is on: programs that use"
            " 127.0.0.1 need an account of their own. Nothing was changed; do it by hand."
        ]
    found = [
        f"{name} is in use right now from {host}; nothing was changed. Let that program go first."
        for user, host, _ in ask(ctx.host, CONNECTED)
        if user == one.user and not Account(user, host).is_local
    ]
    system = listed(("mysql", "sys"))
    found += [
        f"The {what} belongs to {name} and would stop working; nothing was changed. Give it another"
        " DEFINER first."
        for definer, what in ask(ctx.host, DEFINERS.format(system=system))
        if definer == f"{one.user}@{one.host}"
    ]
    return found
