"""Proving that a database can be restored: dumped, read back beside it, compared, dropped again."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from host.base import CommandFailed, Host, HostError
from host.mariadb import CLIENT, DUMP, DUMP_ROWS, ask, complaint, identifier, literal, tell

SCRATCH = "harden_tui_scratch_"
"""How the names of our databases begin; nobody else's do."""

FOLDER = "/var/lib/harden-tui/restore-test"
"""Where the dump lies meanwhile, for root alone."""

SYSTEM = ("information_schema", "performance_schema", "mysql", "sys")
_UNLOGGED = "--init-command=SET SESSION sql_log_bin=0"
"""The copy is nobody's business but ours: no replica, no binary log shall have it."""

ATTEMPTS = 3
"""Of an application that writes all the time: until a moment was found in which it did not."""

LONGEST_S = 6 * 3600.0
_SPACE = 2.2
"""The dump and the copy are each about as large as the database; and some room is left."""
_SPARE_BYTES = 64 * 1024 * 1024

Said = Callable[[str], None]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore test measured. `when` is ISO 8601 UTC; `rows` over all tables.

    `busy`: tables that were written to during each attempt; they came back, but their content
    could not be compared.
    """

    database: str
    when: str
    seconds: float
    tables: int
    rows: int
    bytes_: int = msgspec.field(name="bytes")
    busy: tuple[str, ...] = ()


class Table(msgspec.Struct, frozen=True):
    """Rows and CHECKSUM TABLE of one table; "" of a view, which has none."""

    rows: int
    checksum: str


def measure(host: Host, database: str, say: Said) -> Result:
    """Dump `database`, restore it into one of our own, compare them, and drop ours.

    Ours and the dump go whatever happens. Raises `HostError` with what differs, or what failed;
    the database itself is only read.
    """
    began = time.monotonic()
    clear(host)
    need_room(host, database)
    scratch = f"{SCRATCH}{secrets.token_hex(6)}"
    try:
        host.run(("install", "-d", "-m", "0700", FOLDER))
        for attempt in range(ATTEMPTS):
            before = tables_of(host, database)
            size = _restore(host, database, scratch, say)
            say(f"comparing {len(before)} tables and views")
            copy = tables_of(host, scratch)
            after = tables_of(host, database)
            busy = tuple(sorted(n for n in before if before[n] != after.get(n)))
            if not busy or attempt == ATTEMPTS - 1:
                break
        wrong = differing(before, copy, busy)
        wrong = [one for one in wrong if not _same_text(host, database, scratch, one)]
        if wrong:
            first = wrong[0]
            raise HostError(
                f"The restored copy of {database} is not the same: {first} has"
                f" {_said(copy.get(first))} instead of {_said(before.get(first))}"
                f"{f', and {len(wrong) - 1} more differ' if len(wrong) > 1 else ''}. A backup made"
                " this way could not be relied on; `mariadb-check` may tell why."
            )
    finally:
        clear(host)
    return Result(
        database=database,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 1),
        tables=len(before),
        rows=sum(max(table.rows, 0) for table in copy.values()),
        bytes_=size,
        busy=busy,
    )


def differing(before: dict[str, Table], copy: dict[str, Table], busy: tuple[str, ...]) -> list[str]:
    """Tables and views that did not come back as they were, sorted; of `busy` ones only those
    that did not come back. Pure."""
    names = {name for name in before if name not in busy and copy.get(name) != before[name]}
    return sorted(names | {name for name in busy if name not in copy} | (copy.keys() - before))


def tables_of(host: Host, database: str) -> dict[str, Table]:
    """Every table and view with what is in it. Raises `HostError`."""
    names = ask(
        host,
        "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA ="
        f" {literal(database)} AND TABLE_TYPE <> 'SEQUENCE' ORDER BY TABLE_NAME;",
    )
    found = {name: Table(-1, "") for name, kind in names if kind == "VIEW"}
    tables = [name for name, kind in names if kind != "VIEW"]
    if not tables:
        return found
    where = identifier(database)
    counts = [
        f"SELECT {literal(name)}, COUNT(*) FROM {where}.{identifier(name)};" for name in tables
    ]
    sums = [f"CHECKSUM TABLE {where}.{identifier(name)};" for name in tables]
    rows = ask(host, "\n".join([*counts, *sums]), timeout_s=LONGEST_S)
    if len(rows) != 2 * len(tables):
        raise HostError(f"MariaDB did not tell of all tables of {database}; nothing was changed")
    for name, count, checksum in zip(tables, rows[: len(tables)], rows[len(tables) :], strict=True):
        found[name] = Table(int(count[1]), checksum[1])
    return found


def need_room(host: Host, database: str) -> None:
    """Raises `HostError` where the dump and the copy might fill a disk."""
    rows = ask(
        host,
        "SELECT @@datadir, IFNULL(SUM(DATA_LENGTH + INDEX_LENGTH), 0), COUNT(*) FROM"
        f" information_schema.TABLES WHERE TABLE_SCHEMA = {literal(database)};",
    )
    datadir, size, count = rows[0]
    if count == "0":
        raise HostError(f"There is nothing to test: the database {database} has no tables.")
    needed = int(int(size.partition(".")[0]) * _SPACE) + _SPARE_BYTES
    for folder in (datadir, "/var/lib"):
        free = free_bytes(host, folder)
        if free < needed:
            raise HostError(
                f"There is too little room to test {database}: below {folder}"
                f" {free // 1024**2} MiB are free, and {needed // 1024**2} MiB are needed."
                " Nothing was changed."
            )


def clear(host: Host) -> None:
    """Take our databases and dumps away, those of a run that was killed too. Raises
    `HostError`."""
    host.run(("rm", "-rf", "--one-file-system", "--", FOLDER))
    left = ask(
        host,
        "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA"
        f" WHERE LEFT(SCHEMA_NAME, {len(SCRATCH)}) = '{SCRATCH}';",
    )
    for (name,) in left:
        if re.fullmatch(rf"{SCRATCH}[0-9a-f]+", name):
            tell(host, f"DROP DATABASE {identifier(name)};", _UNLOGGED, timeout_s=600.0)


def _restore(host: Host, database: str, scratch: str, say: Said) -> int:
    """The size of the dump in bytes."""
    dump = f"{FOLDER}/dump.sql"
    say(f"dumping {database}")
    # Without its events: in the copy they would run.
    words = [word for word in DUMP if word != "--events"]
    _run(host, *words, "--skip-comments", f"--result-file={dump}", database)
    state = host.state(dump)
    charset, collation = ask(
        host,
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM"
        f" information_schema.SCHEMATA WHERE SCHEMA_NAME = {literal(database)};",
    )[0]
    tell(
        host,
        f"DROP DATABASE IF EXISTS {identifier(scratch)};\nCREATE DATABASE {identifier(scratch)}"
        f" CHARACTER SET {charset} COLLATE {collation};",
        _UNLOGGED,
    )
    say(f"restoring it into {scratch}")
    _run(host, *CLIENT, _UNLOGGED, f"--database={scratch}", f"--execute=source {dump}")
    return state.size_bytes if state is not None else 0


def _same_text(host: Host, database: str, scratch: str, table: str) -> bool:
    """Whether both dump to the same lines: a checksum also depends on how rows are stored."""
    digests: list[str] = []
    for name in (database, scratch):
        path = f"{FOLDER}/{len(digests)}.sql"
        try:
            _run(
                host, *DUMP_ROWS, "--compact", "--no-create-info", "--skip-triggers",
                "--order-by-primary", f"--result-file={path}", name, table,
            )  # fmt: skip
        except HostError:
            return False
        state = host.state(path, content=True)
        digests.append(state.sha256 if state is not None else secrets.token_hex(4))
    return digests[0] == digests[1]


def _run(host: Host, *argv: str) -> None:
    try:
        host.run(argv, timeout_s=LONGEST_S)
    except CommandFailed as error:
        raise complaint(error) from None


def free_bytes(host: Host, folder: str) -> int:
    """What may still be written below a folder that exists. Raises `HostError`."""
    text = host.run(("df", "--output=avail", "--block-size=1", "--", folder)).stdout
    found = re.search(r"^\s*(\d+)\s*$", text, re.MULTILINE)
    if found is None:
        raise HostError(f"`df {folder}` did not say how much room there is; nothing was changed")
    return int(found[1])


def _said(table: Table | None) -> str:
    if table is None:
        return "nothing"
    return f"{table.rows} rows (checksum {table.checksum})" if table.rows >= 0 else "a view"
