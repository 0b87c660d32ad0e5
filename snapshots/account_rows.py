"""Whose a row of MariaDB's tables of accounts is, and how it is called under another name. Pure."""

from __future__ import annotations

from typing import NamedTuple

from host.mariadb import account
from snapshots.mariadb_rows import KEYS, Unreadable, key_of, row_of, split_key, value_of
from snapshots.model import Item, ValueItem


class Name(NamedTuple):
    """An account as MariaDB knows it."""

    user: str
    host: str

    def __str__(self) -> str:
        return account(self.user, self.host)


def account_of(key: str) -> Name | None:
    """Whose row it is; `None` of what is no row of an account."""
    if not key.startswith("mysql."):
        return None
    try:
        table, parts = split_key(key)
    except Unreadable:
        return None
    names = KEYS.get(table, ())
    if not names or len(names) != len(parts):
        return None
    return Name(parts[names.index("User")], parts[names.index("Host")])


def is_account(key: str) -> bool:
    """Whether it is the row of the account itself, not of a grant."""
    return key.startswith("mysql.global_priv ")


def named(key: str) -> str:
    """'app'@'localhost'."""
    return str(account_of(key) or key)


def without_name(item: Item | None) -> dict[str, object] | None:
    """What a row says, whoever it is about."""
    if not isinstance(item, ValueItem):
        return None
    try:
        row = row_of(item.value)
    except Unreadable:
        return None
    return {name: field for name, field in row.items() if name not in ("Host", "User")}


def moved_row(key: str, item: Item, to: Name) -> tuple[str, Item] | None:
    """The same row, key and value, of another account; `None` where it cannot be read."""
    if not isinstance(item, ValueItem):
        return None
    try:
        table, parts = split_key(key)
        row = row_of(item.value)
    except Unreadable:
        return None
    new = {"Host": to.host, "User": to.user}
    names = KEYS[table]
    there = key_of(table, (new.get(n, part) for n, part in zip(names, parts, strict=True)))
    return there, ValueItem(value_of({**row, **new}))
