"""The password of an application's database account: good, known in all its places, replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.app_database import APP_DATABASES, APP_LOGINS, TENANTS, Database, Tenant
from host.facts.mariadb import MARIADB, Account
from host.facts.units import UNITS
from host.mariadb import account
from host.rotation import Rotation
from snapshots.domains.mariadb import ACCOUNTS
from snapshots.mariadb_cells import rows
from snapshots.model import Activation, Root, RotatePassword
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.mariadb_accounts import NEVER_DROPPED
from steps.resources.weak_password import weakness

_NATIVE = ("", "mysql_native_password")
_ANYBODY = {user for user, _ in NEVER_DROPPED}


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    path: str = ""
    max_age_days: int = 365
    changed_since: str = ""


class DatabasePassword(Resource):
    """`database-password: {path: /var/www/html/i-doit, max-age-days: 365, changed-since: ""}`.

    Of the application in `path`, or of every one that is found.
    """

    kind: ClassVar[str] = "database-password"

    def __init__(self, path: str, max_age_days: int, since: datetime | None) -> None:
        self.path = path.rstrip("/")
        self.max_age_days = max_age_days
        self.since = since

    @classmethod
    def parse(cls, step_id: str, body: Any) -> DatabasePassword:
        given = msgspec.convert(body, _Body)
        if given.max_age_days < 0:
            raise StepError("max-age-days: must not be negative")
        try:
            since = datetime.fromisoformat(given.changed_since) if given.changed_since else None
        except ValueError:
            raise StepError("changed-since: expected a date such as 2026-01-31") from None
        if since is not None and since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        return cls(given.path, given.max_age_days, since)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (APP_DATABASES, TENANTS, APP_LOGINS, MARIADB, UNITS)

    def observe(self, ctx: Context) -> list[Finding]:
        mine = self._mine(ctx)
        if not mine:
            return [_absent()]
        return [finding for one in mine for finding in self._findings(ctx, one)]

    def plan(self, ctx: Context) -> Planned:
        parts = [
            self._planned(ctx, one)
            for one in self._mine(ctx)
            if any(f.ok is False for f in self._findings(ctx, one))
        ]
        return Planned(
            changes=tuple(change for part in parts for change in part.changes),
            activations=tuple(a for part in parts for a in part.activations),
            roots=tuple(dict.fromkeys(root for part in parts for root in part.roots)),
            refusals=tuple(why for part in parts for why in part.refusals),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        )

    def _mine(self, ctx: Context) -> list[Database]:
        found = ctx.facts.get(APP_DATABASES)
        return [one for one in found if self.path in ("", one.application.path)]

    def _findings(self, ctx: Context, one: Database) -> list[Finding]:
        if one.access is None:
            return [_finding(one, "password", "plain text in its file", ok=None, note=one.problem)]
        login = one.access.login
        if not login.is_local:
            note = f"the database is on {login.host}, so this has to be done there"
            return [_finding(one, "password", "a good one", note=note, applicable=False)]
        why = weakness(login.password.reveal(), login.user, one.access.database)
        findings = [
            _finding(
                one,
                "password",
                "a long one that nobody chose",
                running=why or "long enough, and none that is known",
                ok=not why,
            ),
            self._age(one, [a for a in _accounts(ctx, one) if a.changed_s]),
            _login(ctx, one, "login", login),
        ]
        for tenant in _tenants(ctx, one):
            findings.append(_tenant(ctx, one, tenant))
        return findings

    def _age(self, one: Database, found: list[Account]) -> Finding:
        expected = []
        if self.max_age_days:
            expected.append(f"at most {self.max_age_days} days")
        if self.since:
            expected.append(f"since {self.since:%Y-%m-%d}")
        wanted = ", ".join(expected) or "any"
        if not found:
            note = "MariaDB does not say when the password was set"
            return _finding(one, "set", wanted, note=note, applicable=bool(expected))
        oldest = datetime.fromtimestamp(min(a.changed_s for a in found), UTC)
        age = datetime.now(UTC) - oldest
        late = bool(self.max_age_days) and age > timedelta(days=self.max_age_days)
        late = late or (self.since is not None and oldest < self.since)
        said = f"{oldest:%Y-%m-%d} ({age.days} days ago)"
        return _finding(one, "set", wanted, running=said, ok=not late, origin="mysql.global_priv")

    def _planned(self, ctx: Context, one: Database) -> Planned:
        if one.access is None:
            return Planned(
                refusals=(
                    f"The password of {one.application.label} cannot be changed: {one.problem}."
                    " Nothing was changed. Write it there as plain text, or change it by hand.",
                )
            )
        login = one.access.login
        mine = [t for t in _tenants(ctx, one) if t.login.user == login.user]
        accounts = _accounts(ctx, one)
        refusals = tuple(self._refusals(ctx, one, accounts, mine))
        reloads = _web_server(ctx)
        crypt = any(t.encrypted and t.readable for t in mine)
        rotation = Rotation(
            kind=one.application.kind,
            path=one.application.path,
            config=one.config,
            user=login.user,
            hosts=tuple(a.host for a in accounts),
            database=one.access.database,
            tenants=tuple(t.number for t in mine),
            crypt=crypt,
            reloads=reloads,
        )
        notes = [
            f"The new password is made when this is applied; afterwards it stands in {one.config}."
            f" Other programs that log in as {login.user} need it too."
        ]
        if not crypt and any(tenant.encrypted for tenant in mine):
            notes.append(
                "i-doit's own encryption does not work on the command line here, so the tenants'"
                " table gets the password as plain text, which i-doit takes too. Save each tenant"
                " once in the Admin Center to have it encrypted."
            )
        roots = [ACCOUNTS, Root(one.config, content=True)]
        if mine:
            roots.append(rows(one.access.database, "isys_mandator", rotation.tenants))
        return Planned(
            changes=(RotatePassword(rotation),),
            activations=tuple(Activation("reload", unit, settle_s=0.0) for unit in reloads),
            roots=tuple(roots),
            refusals=refusals,
            notes=tuple(notes),
        )

    def _refusals(
        self, ctx: Context, one: Database, accounts: list[Account], tenants: list[Tenant]
    ) -> list[str]:
        assert one.access is not None
        user = one.access.login.user
        label = one.application.label
        if user in _ANYBODY:
            return [
                f"{label} logs in to MariaDB as {user}, which is the server's own account; nothing"
                " was changed. Give the application an account of its own first."
            ]
        if not accounts:
            return [
                f"{label} logs in as {user}, and MariaDB has no such account; nothing was changed."
            ]
        why = ctx.facts.get(APP_LOGINS).get(one.access.login)
        if why:
            # Else whoever writes the file could name any account there and get its new password.
            return [
                f"{label} is not let in as {user} ({why}), so nothing tells that this account is"
                f" its own; nothing was changed. Write the present password to {one.at} first."
            ]
        found = [
            f"{account(a.user, a.host)} is let in by {' or '.join(a.methods)}, not by one password"
            " alone; nothing was changed. Change it by hand."
            for a in accounts
            if len(a.methods) != 1 or a.methods[0] not in _NATIVE
        ]
        found += [
            f"The tenant {t.title} has its database on {t.login.host}; nothing was changed. Change"
            " the password there and here by hand."
            for t in tenants
            if not t.login.is_local
        ]
        for tenant in _tenants(ctx, one):
            if tenant.login.user != user and ctx.facts.get(APP_LOGINS).get(tenant.login):
                found.append(
                    f"The tenant {tenant.title} logs in as {tenant.login.user} and is not let in;"
                    " nothing was changed. Mend it in the Admin Center first."
                )
        for other in ctx.facts.get(APP_DATABASES):
            same = other.access is not None and other.access.login.user == user
            if same and other.application.path != one.application.path:
                found.append(
                    f"{label} and {other.application.label} share the account {user}; nothing was"
                    " changed. Give each an account of its own first."
                )
        return found


def _accounts(ctx: Context, one: Database) -> list[Account]:
    user = one.access.login.user if one.access else ""
    return [a for a in ctx.facts.get(MARIADB).accounts if a.user == user and user]


def _tenants(ctx: Context, one: Database) -> tuple[Tenant, ...]:
    return ctx.facts.get(TENANTS).get(one.application.path, ())


def _web_server(ctx: Context) -> tuple[str, ...]:
    """Units whose processes keep compiled PHP files in memory."""
    found = ctx.facts.get(UNITS)
    return tuple(
        sorted(
            name
            for name, unit in found.items()
            if unit.active == "active"
            and (name == "apache2.service" or (name.startswith("php") and "-fpm" in name))
            and name.endswith(".service")
        )
    )


def _login(ctx: Context, one: Database, setting: str, login: Any, origin: str = "") -> Finding:
    why = ctx.facts.get(APP_LOGINS).get(login)
    return _finding(
        one,
        setting,
        "let in by MariaDB",
        running="" if why is None else f"refused: {why}" if why else "let in",
        ok=None if why is None else not why,
        origin=origin or one.at,
    )


def _tenant(ctx: Context, one: Database, tenant: Tenant) -> Finding:
    assert one.access is not None
    setting = f"login of tenant {tenant.title}"
    origin = f"{one.access.database}.isys_mandator {tenant.number}"
    if not tenant.login.is_local:
        note = f"its database is on {tenant.login.host}"
        return _finding(
            one, setting, "let in by MariaDB", note=note, applicable=False, origin=origin
        )
    if not tenant.readable:
        note = "its password is encrypted and i-doit's own class could not read it"
        return _finding(one, setting, "let in by MariaDB", note=note, origin=origin)
    return _login(ctx, one, setting, tenant.login, origin)


def _absent() -> Finding:
    return Finding(
        resource="applications",
        setting="password",
        expected="a long one that nobody chose",
        note="no i-doit and no TYPO3 was found below Apache's document roots",
        applicable=False,
    )


def _finding(one: Database, setting: str, expected: str, **more: Any) -> Finding:
    given = {"resource": one.application.label, "origin": one.at, **more}
    running = given.get("running", "")
    return Finding(setting=setting, expected=expected, persistent=running, **given)
