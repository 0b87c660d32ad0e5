"""Single cells of applications' tables in restore points: which, as text, and written back. Pure.

A step declares a table, or rows of it, among its roots (`rows`); of these the columns in `TABLES`
are captured, and nothing else of the database. A key is the table and the row's own key,
`idoit_system.isys_mandator ["1"]`. A value is a JSON object of cells: `null`, the bytes in
hexadecimal, or, of a password, only a keyed hash of them in a list of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from host.mariadb import base_table, identifier, listed, literal
from snapshots.mariadb_rows import HIDDEN, Unreadable, key_of, split_key
from snapshots.model import Root

FOLDER: Final = "/var/lib/mysql"


class Table(msgspec.Struct, frozen=True):
    """What is captured of a table: the columns of its key, and those that a step changes.

    `secret` are those that hold passwords or hashes of them. `where`: the only rows for us.
    `whole`: key and columns are all that a row must have, so that it can be made anew.
    """

    key: tuple[str, ...]
    columns: tuple[str, ...]
    secret: tuple[str, ...] = ()
    where: str = "1"
    whole: bool = False


TABLES: Final[Mapping[str, Table]] = {
    "isys_mandator": Table(
        key=("isys_mandator__id",),
        columns=("isys_mandator__db_pass", "isys_mandator__db_password"),
        secret=("isys_mandator__db_pass", "isys_mandator__db_password"),
    ),
    "isys_settings": Table(
        key=("isys_settings__key", "isys_settings__isys_mandator__id"),
        columns=("isys_settings__value",),
        where="isys_settings__key = 'system.security.csrf'",
        whole=True,
    ),
    "isys_cats_person_list": Table(
        key=("isys_cats_person_list__id",),
        columns=("isys_cats_person_list__user_pass", "isys_cats_person_list__disabled_login"),
        secret=("isys_cats_person_list__user_pass",),
    ),
}

_ROOT = re.compile(rf"{FOLDER}/([^/]+)/([A-Za-z0-9_]+)(?:/([0-9]+(?:,[0-9]+)*))?")
_BEGINS = '{"Cells":'


class Selection(msgspec.Struct, frozen=True, order=True):
    """A table of a database, and the rows of it by number; all rows where there are none."""

    database: str
    table: str
    rows: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`idoit_system.isys_mandator`."""
        return f"{self.database}.{self.table}"


def rows(database: str, table: str, numbers: Iterable[str] = ()) -> Root:
    """What a step declares that changes cells of this table (of these rows)."""
    return Root("/".join(filter(None, (FOLDER, database, table, ",".join(numbers)))))


def selected(roots: Iterable[Root]) -> list[Selection]:
    """The tables among the roots."""
    found = set()
    for root in roots:
        parts = _ROOT.fullmatch(root.path)
        if parts and parts[2] in TABLES:
            numbers = tuple(parts[3].split(",")) if parts[3] else ()
            found.add(Selection(parts[1], parts[2], numbers))
    return sorted(found)


def columns_question(selections: Iterable[Selection]) -> str:
    """Which columns there are: database, table, column."""
    wanted = list(selections)
    return (
        "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE"
        f" TABLE_SCHEMA IN ({listed([one.database for one in wanted])})"
        f" AND TABLE_NAME IN ({listed([one.table for one in wanted])});\n"
    )


def question(selection: Selection, there: Iterable[str]) -> str:
    """Its rows: the table, the key as JSON would have it, then column and cell in turns."""
    table = TABLES[selection.table]
    columns = sorted(set(table.columns) & set(there))
    parts = [literal(selection.name), *map(identifier, table.key)]
    for column in columns:
        name = identifier(column)
        parts += [
            literal(column),
            f"IF({name} IS NULL, 'null', CONCAT('x', HEX(CAST({name} AS BINARY))))",
        ]
    where = table.where
    if selection.rows:
        where += f" AND {identifier(table.key[0])} IN ({', '.join(selection.rows)})"
    source = base_table(selection.database, selection.table)
    return f"SELECT {', '.join(parts)} FROM {source} WHERE {where};\n"


def parse(answer: Iterable[list[str]]) -> Iterator[tuple[str, dict[str, bytes | None]]]:
    """The answers to `question`: key, and cells. Raises `Unreadable`."""
    for row in answer:
        database, _, name = row[0].rpartition(".") if row else ("", "", "")
        table = TABLES.get(name)
        if not database or table is None:
            raise Unreadable("cells of a table that was not asked for")
        keys, cells = row[1 : 1 + len(table.key)], row[1 + len(table.key) :]
        if len(keys) != len(table.key) or len(cells) % 2:
            raise Unreadable(f"a row of {row[0]} has {len(row)} fields")
        found: dict[str, bytes | None] = {}
        for column, cell in zip(cells[::2], cells[1::2], strict=True):
            try:
                found[column] = bytes.fromhex(cell[1:]) if cell != "null" else None
            except ValueError:
                raise Unreadable(f"a cell of {row[0]} could not be read") from None
        yield _key(row[0], keys), found


def value_of(key: str, cells: Mapping[str, bytes | None], hashed: Callable[[bytes], str]) -> str:
    """A row as a value; `hashed` gives what stands for a password."""
    secret = TABLES[_split(key)[1]].secret
    shown = {
        column: None
        if cell is None
        else [hashed(cell)]
        if column in secret and cell
        else cell.hex()
        for column, cell in cells.items()
    }
    return msgspec.json.encode({"Cells": shown}).decode()


def is_cells(value: str) -> bool:
    return value.startswith(_BEGINS)


def secrets_of(value: str) -> list[str]:
    """The keyed hashes of what is needed to put a row back."""
    if not is_cells(value):
        return []
    return [cell[0] for cell in _cells(value).values() if isinstance(cell, list)]


def shown(value: str) -> str:
    """A saved row as a person may see it."""
    try:
        cells = _cells(value)
    except Unreadable:
        return HIDDEN
    return " ".join(f"{column.partition('__')[2]}={_word(cell)}" for column, cell in cells.items())


def statements(wanted: Mapping[str, str | None], content: Callable[[str], bytes]) -> Iterator[str]:
    """What makes these rows so (`None`: absent). Raises `Unreadable`.

    `content` gives the password for its keyed hash.
    """
    for key, value in wanted.items():
        database, name, parts = _split(key)
        table = TABLES[name]
        source = f"{identifier(database)}.{identifier(name)}"
        held = base_table(database, name)
        where = " AND ".join(
            f"{identifier(column)} = {literal(part)}"
            for column, part in zip(table.key, parts, strict=True)
        )
        if value is None:
            if not table.whole:
                raise Unreadable(f"a row of {database}.{name} is not ours to take away")
            yield _as_base_table(held, f"DELETE FROM {source} WHERE {where};")
            continue
        cells = [(c, _literal(cell, content)) for c, cell in _cells(value).items()]
        sets = ", ".join(f"{identifier(column)} = {cell}" for column, cell in cells)
        if not table.whole:
            yield f"UPDATE {held} SET {sets} WHERE {where};"
            continue
        names = ", ".join(map(identifier, (*table.key, *(column for column, _ in cells))))
        values = ", ".join((*map(literal, parts), *(cell for _, cell in cells)))
        yield _as_base_table(
            held,
            f"INSERT INTO {source} ({names}) VALUES ({values}) ON DUPLICATE KEY UPDATE {sets};",
        )


def _as_base_table(held: str, sql: str) -> str:
    """`sql`, where the table is no view; until its transaction ends nobody can make it one."""
    return f"START TRANSACTION;\nSELECT 1 FROM {held} LIMIT 0;\n{sql}\nCOMMIT;"


def _literal(cell: Any, content: Callable[[str], bytes]) -> str:
    if cell is None:
        return "NULL"
    if isinstance(cell, list):
        return f"X'{content(cell[0]).hex()}'"
    return f"X'{cell}'"


def _word(cell: Any) -> str:
    if cell is None:
        return "NULL"
    if isinstance(cell, list):
        return HIDDEN
    return repr(bytes.fromhex(cell).decode("utf-8", "backslashreplace"))


def _cells(value: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(value, type=dict[str, dict[str, str | list[str] | None]])
        cells = found["Cells"]
        for cell in cells.values():
            if isinstance(cell, str):
                bytes.fromhex(cell)
            elif cell is not None and len(cell) != 1:
                raise ValueError
    except (msgspec.DecodeError, KeyError, ValueError):
        raise Unreadable("a saved row of an application's table cannot be read") from None
    return cells


def _key(name: str, parts: Iterable[str]) -> str:
    return key_of(name, parts).removeprefix("mysql.")


def _split(key: str) -> tuple[str, str, list[str]]:
    """(database, table, parts of the key). Raises `Unreadable`."""
    name, parts = split_key(key)
    database, _, table = name.rpartition(".")
    if table not in TABLES or not database or len(parts) != len(TABLES[table].key):
        raise Unreadable("a saved key of an application's table cannot be read")
    return database, table, parts
