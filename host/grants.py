"""What SHOW GRANTS says, as data; and what of it an application does not need. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from host.mariadb import identifier

DATA: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
UPGRADE: Final = (*DATA, "CREATE", "ALTER", "INDEX", "DROP", "CREATE TEMPORARY TABLES")
"""What TYPO3 asks for: DatabaseAccess of its Core API reference."""

OF_A_DATABASE: Final = (
    *UPGRADE, "REFERENCES", "LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW",
    "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER", "DELETE HISTORY",
)  # fmt: skip
ALL: Final = "ALL PRIVILEGES"
OPTION: Final = "GRANT OPTION"
NEWER: Final = "SHOW CREATE ROUTINE"
"""Of a database too, from MariaDB 11.3 on; earlier ones do not know the word."""

_NAME = r"(?:\*|`(?:[^`]|``)*`)"
_GRANT = re.compile(
    rf"GRANT (.+) ON (?:(FUNCTION|PROCEDURE|PACKAGE|PACKAGE BODY) )?({_NAME})\.({_NAME}) TO (.+)"
)
_SPLIT = re.compile(r", (?![^(]*\))")


class Unreadable(ValueError):
    """A line that is not understood; the message repeats no password."""


class Right(msgspec.Struct, frozen=True):
    """One line: what, on which database and table ("*": all), and whether it may be passed on.

    `kind` is "" for tables, or PROCEDURE and the like. `database` is as MariaDB has it, with `\\`
    before a sign that stands for itself.
    """

    what: tuple[str, ...]
    database: str
    table: str = "*"
    kind: str = ""
    passes_on: bool = False

    @property
    def place(self) -> str:
        """As a statement names it."""
        names = [name if name == "*" else identifier(name) for name in (self.database, self.table)]
        return f"{self.kind} {'.'.join(names)}".lstrip()

    @property
    def words(self) -> frozenset[str]:
        """What is granted, the right to pass it on among it; nothing where it is only a name."""
        found = {word for word in self.what if word != "USAGE"}
        return frozenset(found | {OPTION} if self.passes_on else found)

    @property
    def plain(self) -> str:
        """The database by its name, where it is one."""
        return self.database.replace("\\_", "_").replace("\\%", "%")


def parse(lines: Iterable[str]) -> tuple[list[Right], list[str]]:
    """Rights, and the names of roles. Raises `Unreadable`."""
    rights, roles = [], []
    for line in lines:
        text = " ".join(line.split())
        found = _GRANT.fullmatch(text)
        if found:
            words = tuple(word.strip() for word in _SPLIT.split(found[1]))
            tail = found[5]
            rights.append(
                Right(
                    what=words,
                    database=_unquoted(found[3]),
                    table=_unquoted(found[4]),
                    kind=found[2] or "",
                    passes_on=bool(re.search(r" WITH (?:.* )?GRANT OPTION\b", tail)),
                )
            )
            continue
        role = re.match(r"GRANT (`(?:[^`]|``)+`(?:, `(?:[^`]|``)+`)*) TO ", text)
        if role:
            roles.append(role[1].replace("`", ""))
        elif text.startswith("GRANT PROXY "):
            raise Unreadable("it may become another account (PROXY)")
        elif text and not text.startswith("SET DEFAULT ROLE "):
            raise Unreadable(f"SHOW GRANTS says {text.partition(' ')[0]!r} …")
    return rights, roles


class Trimmed(msgspec.Struct, frozen=True):
    """What an account does not need: statements (grants come first, so that nothing is missing in
    between), and what of its rights goes and comes, a line each."""

    statements: tuple[str, ...] = ()
    goes: tuple[str, ...] = ()
    comes: tuple[str, ...] = ()


def of_a_database(version: str) -> tuple[str, ...]:
    """What ALL PRIVILEGES on a database means in this MariaDB ("11.8")."""
    parts = [int(part) for part in version.split(".") if part.isdigit()]
    return (*OF_A_DATABASE, NEWER) if parts >= [11, 3] else OF_A_DATABASE


def trim(
    account: str,
    rights: Iterable[Right],
    own: Iterable[str],
    allowed: Iterable[str],
    every: tuple[str, ...] = OF_A_DATABASE,
) -> Trimmed:
    """Leave `account` no more than `allowed` on each database of its `own`.

    `allowed` may be `(ALL,)`: everything but to pass it on. `every` is what that means. What an
    account never had is not given to it, unless it comes from a wider right that goes.
    """
    rights, own, allowed = list(rights), list(own), tuple(allowed)
    grants, revokes, goes, comes = [], [], [], []
    wider: dict[str, frozenset[str]] = {}
    for right in rights:
        if not right.words:
            continue
        is_own = right.plain in own
        excess = _excess(right, allowed, every) if is_own else right.words
        if not excess:
            continue
        goes.append(f"{', '.join(sorted(excess))} on {right.place}")
        revokes += _revokes(account, right, excess, whole=not is_own)
        for name in own if not is_own and right.table == "*" else ():
            if right.database == "*" or _like(right.database, name):
                wider[name] = wider.get(name, frozenset()) | right.words
    for name, words in wider.items():
        here = frozenset[str]().union(
            *(r.words for r in rights if r.plain == name and r.table == "*")
        )
        needed = allowed if ALL in words else [word for word in allowed if word in words]
        if allowed == (ALL,) and ALL not in words:
            needed = [word for word in every if word in words]
        missing = [] if ALL in here else [word for word in needed if word not in here]
        if missing:
            place = f"{identifier(name)}.*"
            grants.append(f"GRANT {', '.join(missing)} ON {place} TO {account}")
            comes.append(f"{', '.join(missing)} on {place}")
    return Trimmed((*grants, *revokes), tuple(goes), tuple(comes))


def _excess(right: Right, allowed: tuple[str, ...], every: tuple[str, ...]) -> frozenset[str]:
    """What of a right on an own database is too much."""
    if allowed == (ALL,):
        return right.words & {OPTION}
    words = right.words
    if ALL in words:
        words = (words - {ALL}) | set(every)
    bare = {word: word.partition(" (")[0] for word in words}
    return frozenset(word for word in words if bare[word] not in allowed)


def _revokes(account: str, right: Right, excess: frozenset[str], *, whole: bool) -> list[str]:
    """MariaDB wants ALL PRIVILEGES and GRANT OPTION apart, or takes the rest by name."""
    found = []
    words = sorted(excess - {OPTION})
    if words:
        what = ALL if whole and not right.kind else ", ".join(words)
        found.append(f"REVOKE {what} ON {right.place} FROM {account}")
    if OPTION in excess:
        found.append(f"REVOKE {OPTION} ON {right.place} FROM {account}")
    return found


def _like(pattern: str, name: str) -> bool:
    """Whether a database is meant by a name with % and _ in it."""
    parts = re.split(r"(\\.|%|_)", pattern)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _unquoted(name: str) -> str:
    return name if name == "*" else name[1:-1].replace("``", "`")
