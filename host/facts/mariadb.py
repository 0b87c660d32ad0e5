"""What the running MariaDB says of itself, in one question: settings, accounts, databases."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.units import UNITS
from host.mariadb import ask

SERVICE = "mariadb.service"

QUESTION = """\
SELECT 'variable', VARIABLE_NAME, IFNULL(GLOBAL_VALUE, ''), IFNULL(GLOBAL_VALUE_ORIGIN, ''),
  IFNULL(GLOBAL_VALUE_PATH, ''), IFNULL(DEFAULT_VALUE, '')
  FROM information_schema.SYSTEM_VARIABLES WHERE GLOBAL_VALUE_ORIGIN IS NOT NULL;
SELECT 'account', Host, User, Priv FROM mysql.global_priv ORDER BY User, Host;
SELECT 'grant', Host, User, Db FROM mysql.db ORDER BY User, Host, Db;
SELECT 'database', SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME;
"""

_WITH_PASSWORD = ("", "mysql_native_password", "mysql_old_password")
"""Plugins that let everybody in whose account has an empty authentication string."""

LOOPBACK = ("localhost", "127.0.0.1", "::1", "127.0.0.0/255.0.0.0")


class Variable(msgspec.Struct, frozen=True):
    """A setting as the server has it now. `how` is COMPILE-TIME, CONFIG, COMMAND-LINE, AUTO, SQL …

    `path` is the file it came from, where it came from one; `default` what it is without any.
    """

    value: str
    how: str = ""
    path: str = ""
    default: str = ""


class Account(msgspec.Struct, frozen=True, order=True):
    """An account, without what it is let in by. `open`: anybody may take it without a password.

    `changed_s`: when its password was last set, in seconds since 1970; 0 where that is not known.
    """

    user: str
    host: str
    locked: bool = False
    open: bool = False
    methods: tuple[str, ...] = ()
    changed_s: int = 0

    def __str__(self) -> str:
        return f"'{self.user}'@'{self.host}'"

    @property
    def is_local(self) -> bool:
        return self.host.lower() in LOOPBACK

    @property
    def is_wild(self) -> bool:
        """Its host is a pattern or a network."""
        return not self.is_local and (
            not self.host or "%" in self.host or "_" in self.host or "/" in self.host
        )


class Grant(msgspec.Struct, frozen=True, order=True):
    """Rights on a database, or on all whose names are like it."""

    user: str
    host: str
    database: str


class Server(msgspec.Struct, frozen=True):
    """The running server. `variables` by name in lower case."""

    variables: dict[str, Variable]
    accounts: tuple[Account, ...] = ()
    grants: tuple[Grant, ...] = ()
    databases: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """ "10.11"."""
        found = re.match(r"\d+\.\d+", self.value("version"))
        return found[0] if found else ""

    def value(self, name: str) -> str:
        """A setting; "" where this server has no such setting."""
        variable = self.variables.get(name)
        return variable.value if variable else ""


def parse_server(rows: Iterable[list[str]]) -> Server:
    """The answer to `QUESTION`. Rows that mean nothing are passed over."""
    variables: dict[str, Variable] = {}
    accounts: list[Account] = []
    grants: list[Grant] = []
    databases: list[str] = []
    for row in rows:
        match row:
            case ["variable", name, value, how, path, default]:
                variables[name.lower()] = Variable(value, how, path, default)
            case ["account", host, user, priv]:
                account = parse_account(host, user, priv)
                if account is not None:
                    accounts.append(account)
            case ["grant", host, user, database]:
                grants.append(Grant(user, host, database))
            case ["database", name]:
                databases.append(name)
    return Server(variables, tuple(accounts), tuple(grants), tuple(databases))


def parse_account(host: str, user: str, priv: str) -> Account | None:
    """A row of mysql.global_priv; `None` for a role, which nobody logs in to.

    {"plugin": "mysql_native_password", "authentication_string": "invalid",
    "auth_or": [{}, {"plugin": "unix_socket"}]}: one of these lets in, {} being the first.
    """
    try:
        known: Any = msgspec.json.decode(priv)
    except msgspec.DecodeError:
        known = {}
    if not isinstance(known, dict) or known.get("is_role"):
        return None
    ways = known.get("auth_or")
    ways = [way or known for way in ways if isinstance(way, dict)] if ways else [known]
    methods = tuple(str(way.get("plugin", "")) for way in ways)
    free = any(
        way.get("plugin", "") in _WITH_PASSWORD and not way.get("authentication_string")
        for way in ways
    )
    changed = known.get("password_last_changed")
    changed_s = changed if isinstance(changed, int) else 0
    return Account(user, host, bool(known.get("account_locked")), free, methods, changed_s)


def ready(host: Host, facts: Facts) -> None:
    """Raises `FactUnavailable` where there is no MariaDB to be asked, without starting one."""
    if not host.is_root:
        raise FactUnavailable("MariaDB can only be asked as root; start harden-tui with sudo")
    if host.which("mariadb") is None:
        raise FactUnavailable("there is no MariaDB client here (package mariadb-client)")
    try:
        service = facts.get(UNITS).get(SERVICE)
    except FactUnavailable:
        return  # no service manager: the socket tells
    # Only to connect would start it, where a socket unit stands before it.
    if service is None or service.active not in ("active", "reloading"):
        state = service.active if service is not None else "not installed"
        raise FactUnavailable(
            f"MariaDB does not run ({SERVICE} is {state}), so it cannot be asked;"
            " `systemctl start mariadb` starts it"
        )


def _server(host: Host, facts: Facts) -> Server:
    ready(host, facts)
    try:
        return parse_server(ask(host, QUESTION))
    except HostError as error:
        raise FactUnavailable(str(error)) from None


MARIADB: Fact[Server] = Fact("mariadb", _server)
