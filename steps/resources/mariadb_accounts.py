"""Who may log in to MariaDB: what mysql_secure_installation takes away, and what it overlooks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from host.base import HostError
from host.facts import Fact
from host.facts.mariadb import MARIADB, Account, Server
from host.mariadb import account, ask, identifier, literal
from snapshots.domains.mariadb import ACCOUNTS, LARGEST_BYTES, TEST, size_of_test
from snapshots.mariadb_rows import HIDDEN
from snapshots.model import RunSql
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError

NEVER_DROPPED = (("root", "localhost"), ("mysql", "localhost"), ("mariadb.sys", "localhost"))
"""debian-start, logrotate and MariaDB itself log in as these."""

AS_DEBIAN_HAS_IT = "IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket"

_ACCOUNT = re.compile(r"([^@\s]*)@([^@\s]+)")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'")
_TEST_RIGHTS = (TEST, "test\\_%")
_SYSTEM = ("mysql", "sys")
"""Databases whose routines and views belong to MariaDB itself."""

DEFINERS = """\
SELECT DEFINER, CONCAT('view ', TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.VIEWS
  WHERE TABLE_SCHEMA NOT IN ({system})
UNION SELECT definer, CONCAT(LOWER(type), ' ', db, '.', name) FROM mysql.proc
  WHERE db NOT IN ({system})
UNION SELECT definer, CONCAT('event ', db, '.', name) FROM mysql.event
UNION SELECT DEFINER, CONCAT('trigger ', TRIGGER_SCHEMA, '.', TRIGGER_NAME)
  FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA NOT IN ({system}) ORDER BY 1, 2;
"""

CONNECTED = """\
SELECT USER, SUBSTRING_INDEX(HOST, ':', 1), COUNT(*) FROM information_schema.PROCESSLIST
  WHERE HOST <> '' GROUP BY 1, 2 ORDER BY 1, 2;
"""


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keep: list[str] = []


class Fault(msgspec.Struct, frozen=True):
    """An account that is not as it should be: why, and what is done with it.

    `moved_to`: the host it is bound to instead of being dropped; `mended`: it keeps its name and
    gets Debian's own way in.
    """

    account: Account
    why: str
    moved_to: str = ""
    mended: bool = False

    def statements(self) -> tuple[str, ...]:
        """The SQL for it, each without its semicolon."""
        name = account(self.account.user, self.account.host)
        if self.mended:
            return (f"ALTER USER {name} {AS_DEBIAN_HAS_IT}",)
        if self.moved_to:
            return (f"RENAME USER {name} TO {account(self.account.user, self.moved_to)}",)
        return (f"DROP USER {name}",)


class MariadbAccounts(Resource):
    """`mariadb-accounts: {keep: ["app@10.0.0.%"]}`."""

    kind: ClassVar[str] = "mariadb-accounts"

    def __init__(self, keep: Iterable[tuple[str, str]]) -> None:
        self.keep = frozenset(keep)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> MariadbAccounts:
        keep = []
        for name in msgspec.convert(body, _Body).keep:
            found = _ACCOUNT.fullmatch(name)
            if not found:
                raise StepError(f"keep: expected user@host, not {name!r}")
            keep.append((found[1], found[2]))
        return cls(keep)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (MARIADB,)

    def observe(self, ctx: Context) -> list[Finding]:
        server = ctx.facts.get(MARIADB)
        faults = {fault.account: fault for fault in faults_of(server, frozenset())}
        findings = []
        for one in server.accounts:
            fault = faults.get(one)
            kept = fault is not None and (one.user, one.host) in self.keep
            findings.append(
                Finding(
                    resource="mariadb-accounts",
                    setting=str(one),
                    expected="a name, a host of its own, and a way in that is not open to all",
                    running=_way_in(one),
                    origin="mysql.global_priv",
                    ok=fault is None,
                    applicable=not kept,
                    note=f"{fault.why}{'; kept by choice' if kept else ''}" if fault else "",
                )
            )
        return [*findings, *_test(server)]

    def plan(self, ctx: Context) -> Planned:
        server = ctx.facts.get(MARIADB)
        faults = faults_of(server, self.keep)
        refusals: list[str] = []
        changes = []
        for fault in faults:
            refusals += _used_elsewhere(ctx, server, fault)
            changes.append(
                RunSql(sql=fault.statements(), why=_why(fault), diff=_diff(ctx, server, fault))
            )
        refusals += _definers(ctx, faults)
        rights = [one for one in server.grants if one.database in _TEST_RIGHTS]
        for right in rights:
            changes.append(
                RunSql(
                    sql=(
                        f"DELETE FROM mysql.db WHERE Db = {literal(right.database)} AND"
                        f" User = {literal(right.user)} AND Host = {literal(right.host)}",
                        "FLUSH PRIVILEGES",
                    ),
                    why=f"take the rights of {account(right.user, right.host)} on"
                    f" {right.database} away",
                    diff=f"--- mysql.db\n+++ mysql.db\n-{account(right.user, right.host)} on"
                    f" {identifier(right.database)}\n",
                )
            )
        notes = []
        if TEST in server.databases:
            size = size_of_test(ctx.host)
            if size > LARGEST_BYTES:
                refusals.append(
                    f"The database {TEST} holds {size // 1024**2} MiB, which is more than a test."
                    f" Look at it, dump it if it matters (`mariadb-dump {TEST}`), and drop it"
                    " yourself."
                )
            tables = ask(ctx.host, _TABLES)
            listed = "".join(f"-table {name} ({rows} rows)\n" for name, rows in tables)
            changes.append(
                RunSql(
                    sql=(f"DROP DATABASE {identifier(TEST)}",),
                    why=f"drop the database {TEST}",
                    diff=f"--- databases\n+++ databases\n-database {TEST}\n{listed}",
                )
            )
            notes.append(f"A dump of {TEST} is kept with the restore point; an undo puts it back.")
        if not changes:
            return Planned()
        return Planned(
            changes=tuple(changes), roots=(ACCOUNTS,), refusals=tuple(refusals), notes=tuple(notes)
        )


_TABLES = (
    "SELECT TABLE_NAME, IFNULL(TABLE_ROWS, 0) FROM information_schema.TABLES"
    f" WHERE TABLE_SCHEMA = '{TEST}' ORDER BY 1;"
)


def faults_of(server: Server, keep: frozenset[tuple[str, str]]) -> list[Fault]:
    """What is wrong with the accounts, but for those that are kept by choice. Pure."""
    names = {(one.user, one.host) for one in server.accounts}
    taken: set[tuple[str, str]] = set()
    found = []
    for one in server.accounts:
        name = (one.user, one.host)
        fault = _fault(one)
        if fault is None or name in keep:
            continue
        if fault.moved_to:
            there = (one.user, fault.moved_to)
            if there in names or there in taken:
                fault = Fault(one, f"{fault.why}, and {account(*there)} exists beside it")
            else:
                taken.add(there)
        found.append(fault)
    return found


def _fault(one: Account) -> Fault | None:
    is_open = one.open and not one.locked
    if (one.user, one.host) in NEVER_DROPPED:
        return Fault(one, "anybody gets in without a password", mended=True) if is_open else None
    if not one.user:
        return Fault(one, "an anonymous account: any name gets in")
    if is_open:
        return Fault(one, "anybody gets in without a password")
    if one.user == "root" and not one.is_local:
        return Fault(one, "root may log in from another machine")
    if one.is_wild:
        return Fault(one, "may log in from whole networks", moved_to="localhost")
    return None


def _way_in(one: Account) -> str:
    if one.locked:
        return "locked"
    if one.open:
        return "no password"
    return " or ".join(method or "password" for method in one.methods)


def _test(server: Server) -> list[Finding]:
    there = TEST in server.databases
    rights = [one for one in server.grants if one.database in _TEST_RIGHTS]
    return [
        Finding(
            resource="mariadb-accounts",
            setting=f"database {TEST}",
            expected="absent",
            running="there" if there else "absent",
            origin="information_schema.SCHEMATA",
            ok=not there,
        ),
        Finding(
            resource="mariadb-accounts",
            setting="rights on databases named test",
            expected="none",
            running=", ".join(str(account(one.user, one.host)) for one in rights) or "none",
            origin="mysql.db",
            ok=not rights,
        ),
    ]


def _why(fault: Fault) -> str:
    if fault.mended:
        return f"let {fault.account} in as Debian does, by who asks (unix_socket): {fault.why}"
    if fault.moved_to:
        return f"bind {fault.account} to {fault.moved_to}: {fault.why}"
    return f"drop {fault.account}: {fault.why}"


def _diff(ctx: Context, server: Server, fault: Fault) -> str:
    """The account with its grants as they are and as they would be, without passwords."""
    name = account(fault.account.user, fault.account.host)
    lines = grants_shown(row[0] for row in ask(ctx.host, f"SHOW GRANTS FOR {name};"))
    before = [f"account {name} ({_way_in(fault.account)})\n", *lines]
    after: list[str] = []
    if fault.mended:
        after = [f"account {name} (unix_socket)\n", *lines]
    elif fault.moved_to:
        new = account(fault.account.user, fault.moved_to)
        after = [
            line.replace(name, new).replace(_quoted(fault.account), _quoted_at(fault))
            for line in before
        ]
    return "".join(difflib.unified_diff(before, after, "accounts", "accounts", n=9))


def grants_shown(lines: Iterable[str]) -> list[str]:
    """What SHOW GRANTS prints, with what lets somebody in left out."""
    shown = []
    for line in lines:
        rights, identified, secret = " ".join(line.split()).partition(" IDENTIFIED ")
        shown.append(f"{rights}{identified}{_QUOTED.sub(HIDDEN, secret)}\n")
    return shown


def _quoted(one: Account) -> str:
    return f"{identifier(one.user)}@{identifier(one.host)}"


def _quoted_at(fault: Fault) -> str:
    return f"{identifier(fault.account.user)}@{identifier(fault.moved_to)}"


def _used_elsewhere(ctx: Context, server: Server, fault: Fault) -> list[str]:
    """Connections that the account has now and could not make again."""
    if fault.mended:
        return []
    if fault.moved_to and server.value("skip_name_resolve").upper() == "ON":
        return [
            f"{fault.account} cannot be bound to localhost: with skip_name_resolve programs that"
            f" use 127.0.0.1 need an account of their own. Make '{fault.account.user}'@'127.0.0.1'"
            f" and drop this one by hand, or keep it: --set mariadb.accounts.keep="
            f"{fault.account.user}@{fault.account.host}"
        ]
    others = [
        host
        for user, host, _ in ask(ctx.host, CONNECTED)
        if user == fault.account.user and (host not in ("localhost", "127.0.0.1", "::1"))
    ]
    return [
        f"{fault.account} is in use right now from {host}. Let that program go first, or keep the"
        f" account: --set mariadb.accounts.keep={fault.account.user}@{fault.account.host}"
        for host in others
    ]


def _definers(ctx: Context, faults: list[Fault]) -> list[str]:
    """Views and programs in the database that would have no owner any more."""
    gone = {f"{f.account.user}@{f.account.host}": f for f in faults if not f.mended}
    if not gone:
        return []
    system = ", ".join(map(literal, _SYSTEM))
    try:
        found = ask(ctx.host, DEFINERS.format(system=system))
    except HostError as error:
        return [f"It cannot be told what belongs to these accounts: {error}"]
    return [
        f"The {what} belongs to {gone[definer].account} and would stop working. Give it another"
        f" DEFINER first, or keep the account: --set mariadb.accounts.keep={definer}"
        for definer, what in found
        if definer in gone
    ]
