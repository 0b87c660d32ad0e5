"""What the database accounts of web applications may do."""

from __future__ import annotations

import msgspec

from host.base import Host
from host.facts.app_database import APP_DATABASES, TENANTS
from host.facts.base import Fact, Facts
from host.facts.mariadb import MARIADB, Account
from host.grants import Right, Unreadable, parse
from host.mariadb import account, ask


class Granted(msgspec.Struct, frozen=True):
    """An entry of an account, and its rights. `problem`: why these are not known."""

    account: Account
    rights: tuple[Right, ...] = ()
    roles: tuple[str, ...] = ()
    problem: str = ""


class Holder(msgspec.Struct, frozen=True):
    """A database user of applications: whose, which databases are theirs, and its entries."""

    user: str
    labels: tuple[str, ...]
    kinds: tuple[str, ...]
    paths: tuple[str, ...]
    own: tuple[str, ...]
    entries: tuple[Granted, ...]


def _read_holders(host: Host, facts: Facts) -> tuple[Holder, ...]:
    tenants = facts.get(TENANTS)
    own: dict[str, dict[str, None]] = {}
    users: dict[str, list[tuple[str, str, str]]] = {}

    def add(user: str, database: str, label: str, kind: str, path: str) -> None:
        own.setdefault(user, {})[database] = None
        if (label, kind, path) not in users.setdefault(user, []):
            users[user].append((label, kind, path))

    for one in facts.get(APP_DATABASES):
        application = one.application
        whose = (application.label, application.kind, application.path)
        if one.access is None or not one.is_local:
            continue
        add(one.access.login.user, one.access.database, *whose)
        for tenant in tenants.get(application.path, ()):
            if tenant.login.is_local:
                add(tenant.login.user, tenant.database, *whose)
    accounts = facts.get(MARIADB).accounts if own else ()
    entries = {user: [a for a in accounts if a.user == user] for user in own}
    granted = _granted(host, [one for found in entries.values() for one in found])
    return tuple(
        Holder(
            user=user,
            labels=tuple(whose[0] for whose in users[user]),
            kinds=tuple(whose[1] for whose in users[user]),
            paths=tuple(whose[2] for whose in users[user]),
            own=tuple(own[user]),
            entries=tuple(granted[one] for one in found),
        )
        for user, found in entries.items()
    )


_MARK = "harden_tui_account"


def _granted(host: Host, accounts: list[Account]) -> dict[Account, Granted]:
    if not accounts:
        return {}
    sql = "".join(
        f"SELECT '{_MARK}'; SHOW GRANTS FOR {account(one.user, one.host)};\n" for one in accounts
    )
    answers: list[list[str]] = []
    for row in ask(host, sql):
        if row == [_MARK]:
            answers.append([])
        elif answers:
            answers[-1].append(row[0])
    return {one: _of(one, lines) for one, lines in zip(accounts, answers, strict=True)}


def _of(one: Account, lines: list[str]) -> Granted:
    try:
        rights, roles = parse(lines)
    except Unreadable as error:
        return Granted(one, problem=str(error))
    return Granted(one, tuple(rights), tuple(roles))


APP_GRANTS: Fact[tuple[Holder, ...]] = Fact("app-grants", _read_holders)
