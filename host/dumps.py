"""Dumps of databases that are kept, and read back as a whole: what a database was at one moment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import msgspec

from host.base import CommandFailed, FileState, Host, HostError
from host.mariadb import CLIENT, DUMP, ask, complaint, identifier, literal, tell
from host.restore_test import LONGEST_S, SYSTEM, free_bytes

_SPARE_BYTES = 64 * 1024 * 1024
_SPACE = 1.2
_LAST_LINE = re.compile(rb"-- Dump completed[^\n]*\n?\Z")
"""What mariadb-dump writes when it has written everything, and not before."""
_TAIL_BYTES = 4096

Said = Callable[[str], None]


class Kept(msgspec.Struct, frozen=True):
    """A dump on the disk: its size, and the SHA-256 that it must still have when it is read."""

    bytes_: int
    sha256: str


def refusal(host: Host, database: str, folder: str) -> str:
    """Why no dump of `database` could be kept below `folder`, which exists; empty if one could."""
    if database in SYSTEM:
        return f"{database} belongs to MariaDB itself; name the application's database."
    try:
        rows = ask(
            host,
            "SELECT (SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME ="
            f" {literal(database)}), IFNULL(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM"
            f" information_schema.TABLES WHERE TABLE_SCHEMA = {literal(database)};",
        )
        known, size = rows[0]
        free = free_bytes(host, folder)
    except HostError as error:
        return str(error)
    if known == "0":
        return f"There is no database {database!r} in this host's MariaDB."
    needed = int(int(size.partition(".")[0]) * _SPACE) + _SPARE_BYTES
    if free < needed:
        return (
            f"A dump of {database} needs {needed // 1024**2} MiB, and below {folder}"
            f" {free // 1024**2} MiB are free."
        )
    return ""


def is_there(host: Host, database: str) -> bool:
    """Whether there is such a database now. Raises `HostError`."""
    return bool(
        ask(
            host,
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME ="
            f" {literal(database)};",
        )
    )


def dump(host: Host, database: str, path: str, say: Said) -> Kept:
    """Write `database`, with its routines, events and triggers, to `path`, for root alone.

    Written by the program itself, so that a large one is never held in memory. Under another name
    until it is whole and on the disk. Raises `HostError`; nothing is left then.
    """
    draft = f"{path}.half"
    say(f"dumping the database {database}")
    try:
        # The file is there, for root alone, before anything is in it.
        host.put(draft, FileState("file", 0o600, uid=os.geteuid(), gid=os.getegid()), b"")
        host.run((*DUMP, "--comments", f"--result-file={draft}", database), timeout_s=LONGEST_S)
        size, sha256 = _measured(host, draft, database)
        host.run(("sync", "--", draft))
        host.run(("mv", "--", draft, path))
        host.run(("sync", "--", os.path.dirname(path)))
    except CommandFailed as error:
        raise complaint(error) if error.completed.argv[0] == DUMP[0] else error from None
    finally:
        if host.state(draft) is not None:
            host.put(draft, None)
    return Kept(size, sha256)


def restore(host: Host, database: str, path: str, kept: Kept, say: Said) -> None:
    """Make `database` what the dump says: it is dropped, made anew and read back.

    Accounts and their rights stay. May be repeated where it was cut off. Raises `HostError`; before
    anything was touched where the dump is not what it was.
    """
    size, sha256 = _measured(host, path, database)
    if (size, sha256) != (kept.bytes_, kept.sha256):
        raise HostError(f"The dump {path} was altered since it was written; it was not used.")
    rows = ask(
        host,
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM"
        f" information_schema.SCHEMATA WHERE SCHEMA_NAME = {literal(database)};",
    )
    options = f" CHARACTER SET {rows[0][0]} COLLATE {rows[0][1]}" if rows else ""
    name = identifier(database)
    say(f"putting the database {database} back")
    tell(
        host, f"DROP DATABASE IF EXISTS {name};\nCREATE DATABASE {name}{options};", timeout_s=600.0
    )
    try:
        host.run(
            (*CLIENT, f"--database={database}", f"--execute=source {path}"), timeout_s=LONGEST_S
        )
    except CommandFailed as error:
        raise complaint(error) from None


def _measured(host: Host, path: str, database: str) -> tuple[int, str]:
    """Size and SHA-256 of a dump that is whole. Raises `HostError`."""
    state = host.state(path, content=True)
    if state is None:
        raise HostError(f"The dump {path} of {database} is not there.")
    last = host.run(("tail", "-c", str(_TAIL_BYTES), "--", path)).stdout.encode()
    if not _LAST_LINE.search(last):
        raise HostError(f"The dump {path} of {database} is not whole; it was not used.")
    return state.size_bytes, state.sha256
