"""Talking to the MariaDB of this host: over its socket, as root, and what its client prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from host.base import CommandFailed, Completed, Host, HostError

CLIENT = (
    "mariadb", "--user=root", "--protocol=socket", "--batch", "--no-auto-rehash",
    "--default-character-set=utf8mb4", "--connect-timeout=5",
)  # fmt: skip
"""Root is let in by who it is (unix_socket); a password is never given, nor asked for."""

DUMP_ROWS = (
    "mariadb-dump", "--user=root", "--protocol=socket", "--default-character-set=utf8mb4",
    "--single-transaction", "--quick", "--hex-blob", "--skip-dump-date",
)  # fmt: skip

DUMP = (*DUMP_ROWS, "--routines", "--events", "--triggers")
"""A database with its programs; the same database gives the same text each time."""

SESSION = "SET SESSION sql_mode='', time_zone='+00:00', sql_warnings=0;\n"
"""Literals are read, and times written, the same whatever the server's own settings are."""

UNLOGGED = "SET SESSION sql_log_off=ON, slow_query_log=OFF;\n"
"""Before what holds a password or its hash: the server writes it to none of its query logs."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MEANING = {"n": "\n", "t": "\t", "0": "\0"}
_ERROR = re.compile(r"ERROR (\d+)")
_NAMES_ACCOUNTS_ONLY = ("1396",)
"""ER_CANNOT_USER: "Operation %s failed for %.256s", that is a command's two words and accounts."""
_DENIED = ("1045", "1698", "1044", "1130")


class NotRunning(HostError):
    """No MariaDB answers on this host's socket."""


def ask(host: Host, sql: str, *, timeout_s: float = 20.0) -> list[list[str]]:
    """The rows of every statement of `sql`, one after the other; NULL is "NULL".

    Raises `NotRunning`, and `HostError` where root is not let in or the server complains.
    """
    answer = tell(host, sql, "--skip-column-names", timeout_s=timeout_s)
    return list(rows(answer.stdout))


def tell(host: Host, sql: str, *options: str, timeout_s: float = 20.0) -> Completed:
    """Have `sql` carried out, and stop at the first statement that fails. Raises as `ask`."""
    try:
        return host.run(
            (*CLIENT, *options), stdin=(SESSION + sql).encode("utf-8"), timeout_s=timeout_s
        )
    except CommandFailed as error:
        raise complaint(error) from None


def complaint(error: CommandFailed) -> HostError:
    """What a client that failed means, for a person; it never repeats a statement."""
    said = (error.completed.stderr.strip() or error.completed.stdout.strip()).splitlines()
    last = next((line for line in said if _ERROR.search(line)), said[-1] if said else "")
    found = _ERROR.search(last)
    number = found[1] if found else ""
    if number in ("2002", "2003", "2013"):
        return NotRunning(
            "MariaDB does not answer on its socket, so it cannot be asked. `systemctl status"
            " mariadb` says why; `systemctl start mariadb` starts it."
        )
    if number in _DENIED:
        return HostError(
            "MariaDB does not let root in without a password, so it cannot be asked. Let it:"
            " ALTER USER root@localhost IDENTIFIED VIA unix_socket OR mysql_native_password …"
        )
    what = f"error {number}" if number else f"exit status {error.completed.returncode}"
    hint = last.partition(": ")[2].strip()
    if number not in _NAMES_ACCOUNTS_ONLY:
        hint = re.split(r"['\"`]| near ", hint)[0].strip()  # statements follow
    return HostError(f"MariaDB refused what it was told ({what}: {hint or 'no reason given'})")


def rows(text: str) -> Iterator[list[str]]:
    """What `mariadb --batch` prints: a line a row, fields between tabs, escaped with backslashes.

    >>> list(rows("a\\\\tb\\tNULL\\n"))
    [['a\\tb', 'NULL']]
    """
    for line in text.split("\n"):
        if line:
            yield [unescaped(field) for field in line.split("\t")]


def unescaped(field: str) -> str:
    """A field as it is in the table."""
    if "\\" not in field:
        return field
    return _ESCAPED.sub(lambda found: _MEANING.get(found[1], found[1]), field)


def literal(text: str) -> str:
    """`text` as an SQL string: 'O\\'Brien'. Only under `SESSION`."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return "'" + escaped.replace("\n", "\\n").replace("\r", "\\r") + "'"


def identifier(name: str) -> str:
    """`name` as the name of a database, table or column."""
    return "`" + name.replace("`", "``") + "`"


def base_table(database: str, name: str) -> str:
    """A table that an application made, for SELECT and UPDATE; a view is refused (error 1176).

    A view, and what it calls, runs with the rights of whoever asks if its maker wrote SQL SECURITY
    INVOKER. So nobody who may make one shall have root ask it. Views take no hints for indexes.
    """
    return f"{identifier(database)}.{identifier(name)} USE INDEX ()"


def account(user: str, host: str) -> str:
    """'bob'@'localhost'."""
    return f"{literal(user)}@{literal(host)}"


def listed(words: Sequence[str]) -> str:
    """SQL strings between commas."""
    return ", ".join(map(literal, words))
