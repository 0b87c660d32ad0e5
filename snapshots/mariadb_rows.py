"""MariaDB's tables of accounts and grants as rows of text: parsed, written back, and shown. Pure.

A key is the table and its primary key, `mysql.db ["localhost","app","bob"]`; a value the whole row
as a JSON object. Rows hold password hashes: they lie in restore points, which only root can read,
and `shown` is all that anybody sees of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from host.mariadb import identifier, literal, rows

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "global_priv": ("Host", "User"),
    "db": ("Host", "Db", "User"),
    "tables_priv": ("Host", "Db", "User", "Table_name"),
    "columns_priv": ("Host", "Db", "User", "Table_name", "Column_name"),
    "procs_priv": ("Host", "Db", "User", "Routine_name", "Routine_type"),
    "proxies_priv": ("Host", "User", "Proxied_host", "Proxied_user"),
    "roles_mapping": ("Host", "User", "Role"),
}

HIDDEN = "(not shown)"
DATABASE = "database"
"""Table's place in the key of a whole database, whose value is its dump."""

_SECRET = ("authentication_string", "password", "auth_string")
_MARKER = ["harden_tui_marker", "harden_tui_table"]

QUESTION = "".join(
    f"SELECT '' AS {_MARKER[0]}, '{table}' AS {_MARKER[1]};\nSELECT * FROM mysql.{table};\n"
    for table in KEYS
)
"""For a client that prints the names of columns too."""


class Unreadable(ValueError):
    """An answer or a saved row is not what it must be; the message names no content."""


def parse(text: str) -> dict[str, str]:
    """The answer to `QUESTION`: key -> value. Raises `Unreadable`."""
    found: dict[str, str] = {}
    table, columns, wait = "", None, False
    for row in rows(text):
        if row == _MARKER:
            wait = True
        elif wait:
            table, columns, wait = row[-1], None, False
            if table not in KEYS:
                raise Unreadable("MariaDB's tables of accounts could not be told apart")
        elif columns is None:
            columns = row
            if not set(KEYS.get(table, ("",))) <= set(columns):
                raise Unreadable(f"mysql.{table} lacks columns of its key")
        elif len(row) != len(columns):
            raise Unreadable(f"a row of mysql.{table} has {len(row)} fields, not {len(columns)}")
        else:
            values = dict(zip(columns, row, strict=True))
            found[key_of(table, (values[name] for name in KEYS[table]))] = value_of(values)
    return found


def key_of(table: str, parts: Iterable[str]) -> str:
    """`mysql.global_priv ["localhost","bob"]`."""
    return f"mysql.{table} {_json(list(parts))}"


def split_key(key: str) -> tuple[str, list[str]]:
    """(table, parts of the primary key). Raises `Unreadable`."""
    table, _, parts = key.removeprefix("mysql.").partition(" ")
    try:
        return table, msgspec.json.decode(parts, type=list[str])
    except msgspec.DecodeError:
        raise Unreadable("a saved key of MariaDB's accounts cannot be read") from None


def statements(wanted: Mapping[str, str | None]) -> Iterator[str]:
    """What makes these rows so (`None`: absent), and has the server read them. Raises
    `Unreadable`."""
    for key, value in wanted.items():
        table, parts = split_key(key)
        names = KEYS.get(table, ())
        if len(names) != len(parts):
            raise Unreadable("a saved key of MariaDB's accounts cannot be read")
        if value is None:
            where = " AND ".join(
                f"{identifier(name)} = BINARY {literal(part)}"
                for name, part in zip(names, parts, strict=True)
            )
            yield f"DELETE FROM mysql.{table} WHERE {where};"
            continue
        row = row_of(value)
        columns = ", ".join(map(identifier, row))
        yield (
            f"REPLACE INTO mysql.{table} ({columns})"
            f" VALUES ({', '.join(literal(str(field)) for field in row.values())});"
        )
    yield "FLUSH PRIVILEGES;"


def is_row(value: str) -> bool:
    """Whether a saved value is a row, or a database, of MariaDB."""
    return value.startswith(('{"Host":', '{"Dump":')) or value == LARGE


def shown(value: str) -> str:
    """A saved row as a person may see it: what it says, without passwords and contents."""
    try:
        row = row_of(value)
    except Unreadable:
        return HIDDEN
    if value == LARGE:
        return "too large to be kept"
    if "Dump" in row:
        return f"a dump of {len(str(row['Dump']).encode())} bytes {HIDDEN}"
    words = []
    for name, field in row.items():
        if name == "Priv":
            words.append(_masked_json(str(field)))
        elif field not in ("N", "") and name != "Timestamp":
            words.append(f"{name}={field}")
    return " ".join(words)


LARGE: Final = '{"Large":true}'
"""A database that is there, and of which no dump is taken."""


def dump_value(dump: str) -> str:
    """A database as a value."""
    return _json({"Dump": dump})


def dump_of(value: str) -> str:
    """Raises `Unreadable`."""
    return str(row_of(value).get("Dump", ""))


def masked(value: Any) -> Any:
    """JSON of an account with whatever lets somebody in left out."""
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in _SECRET and inner else masked(inner)
            for name, inner in value.items()
        }
    return [masked(inner) for inner in value] if isinstance(value, list) else value


def _masked_json(text: str) -> str:
    try:
        return _json(masked(msgspec.json.decode(text)))
    except msgspec.DecodeError:
        return HIDDEN


def row_of(value: str) -> dict[str, Any]:
    """The columns of a saved row. Raises `Unreadable`."""
    try:
        return msgspec.json.decode(value, type=dict[str, Any])
    except msgspec.DecodeError:
        raise Unreadable("a saved row of MariaDB's accounts cannot be read") from None


def value_of(row: Mapping[str, Any]) -> str:
    """A row as it is saved."""
    return _json(row)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")
