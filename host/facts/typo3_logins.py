"""Where TYPO3 keeps its failed logins on this host, which addresses it wrote, who may read them.

The databases are found by their table: whatever file, layout or environment a site is configured
by, this is what it writes to.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.mariadb import ready
from host.failed_logins.table import COLUMNS
from host.failed_logins.words import plain
from host.mariadb import ask, identifier, listed, literal

ACCOUNT = "harden-tui-typo3"
"""Of the system and of MariaDB, which lets it in by its name (unix_socket)."""

LOGGED = 50
"""Logins whose addresses are looked at."""


class Typo3Logins(msgspec.Struct, frozen=True, kw_only=True):
    """`databases` with a sys_log of TYPO3. `logged`: addresses of the last logins in each, those
    that worked too. `rights`: "database.sys_log.column" that our account may read; `methods` how
    it is let in ("unix_socket"), empty where there is none; `more`: rights beyond these."""

    databases: tuple[str, ...] = ()
    logged: dict[str, tuple[str, ...]] = {}
    rights: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


QUESTION = f"""\
SELECT 'database', TABLE_SCHEMA FROM information_schema.COLUMNS
  JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME)
  WHERE TABLE_NAME = 'sys_log' AND TABLE_TYPE = 'BASE TABLE'
  AND COLUMN_NAME IN ({listed(COLUMNS)})
  GROUP BY TABLE_SCHEMA HAVING COUNT(*) = {len(COLUMNS)} ORDER BY TABLE_SCHEMA;
SELECT 'account', Priv FROM mysql.global_priv
  WHERE User = {literal(ACCOUNT)} AND Host = 'localhost';
SELECT 'column', Db, Table_name, Column_name, Column_priv FROM mysql.columns_priv
  WHERE User = {literal(ACCOUNT)} ORDER BY Db, Table_name, Column_name;
SELECT 'more', CONCAT(Table_priv, ' on ', Db, '.', Table_name) FROM mysql.tables_priv
  WHERE User = {literal(ACCOUNT)} AND Table_priv <> '';
SELECT 'more', CONCAT('rights on ', Db) FROM mysql.db WHERE User = {literal(ACCOUNT)};
"""


def addresses(database: str) -> str:
    """The addresses of the last logins and attempts of the last 30 days, by TYPO3's own index."""
    # The hint changes nothing, but is refused for a view: see host.mariadb.base_table.
    table = f"{identifier(database)}.sys_log IGNORE INDEX (PRIMARY)"
    since = "tstamp > UNIX_TIMESTAMP() - 30 * 86400"
    some = " UNION ALL ".join(
        f"(SELECT IP FROM {table} WHERE type = 255 AND action = {action} AND {since}"
        f" ORDER BY tstamp DESC LIMIT {LOGGED})"
        for action in (1, 3)
    )
    return f"SELECT DISTINCT 'logged', {literal(database)}, IP FROM ({some}) AS some;\n"


def parse(rows: Iterable[list[str]]) -> Typo3Logins:
    """The answers to `QUESTION` and `addresses`. Rows that mean nothing are passed over."""
    databases: list[str] = []
    logged: dict[str, list[str]] = {}
    rights: list[str] = []
    methods: tuple[str, ...] = ()
    more: list[str] = []
    for row in rows:
        match row:
            case ["database", name]:
                databases.append(name)
            case ["account", priv]:
                methods = _methods(priv)
                more += _global(priv)
            case ["column", database, table, column, "Select"]:
                rights.append(f"{database}.{table}.{column}")
            case ["column", database, table, column, priv]:
                more.append(f"{priv} on {database}.{table}.{column}")
            case ["more", text]:
                more.append(text)
            case ["logged", database, text]:
                address = plain(text)
                if address is not None:
                    logged.setdefault(database, []).append(address)
    return Typo3Logins(
        databases=tuple(databases),
        logged={name: tuple(found) for name, found in logged.items()},
        rights=tuple(rights),
        methods=methods,
        more=tuple(more),
    )


def _methods(priv: str) -> tuple[str, ...]:
    from host.facts.mariadb import parse_account

    account = parse_account("localhost", ACCOUNT, priv)
    return account.methods if account is not None else ()


def _global(priv: str) -> list[str]:
    try:
        known = msgspec.json.decode(priv, type=dict[str, object])
    except msgspec.MsgspecError:
        return []
    return ["rights on everything"] if known.get("access") not in (None, 0) else []


def _read(host: Host, facts: Facts) -> Typo3Logins:
    ready(host, facts)
    try:
        rows = ask(host, QUESTION)
        databases = parse(rows).databases
        if databases:
            question = "SET max_statement_time=1;\n" + "".join(map(addresses, databases))
            rows += ask(host, question)
        return parse(rows)
    except HostError as error:
        raise FactUnavailable(str(error)) from None


TYPO3_LOGINS: Fact[Typo3Logins] = Fact("typo3-logins", _read)
