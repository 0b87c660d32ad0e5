"""Lists of accounts while packages come or go: what concerns persons is never theirs. Pure.

Debian's packages make and remove system accounts only (policy 9.2.2), so a password, an account or
a membership of a person that changed meanwhile was changed by somebody else.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping

from snapshots.accounts import (
    GROUP,
    OF_GROUPS,
    OF_USERS,
    PASSWD,
    Book,
    by_name,
    id_of,
    lines_by_name,
    members_in,
    name_of,
    with_members,
)
from snapshots.merge import Lines

FIRST_PERSON, NOBODY = 1000, 65534
"""Who has a UID from the first on is a person, and so is root (policy 9.2.2)."""


def with_persons_of(lists: Book, source: Book) -> dict[str, Lines]:
    """`lists` with all that is about persons as it is in `source`; by path, those in both."""
    numbers = {
        path: [
            (name, id_of(line))
            for book in (lists, source)
            for name, line in by_name(book.get(path, ())).items()
        ]
        for path in (PASSWD, GROUP)
    }
    users, groups = (
        {name for name, number in numbers[path] if _is_of_a_person(number)}
        for path in (PASSWD, GROUP)
    )
    programs = {name for name, _ in numbers[PASSWD]} - users
    found = {}
    for path in lists.keys() & source.keys():
        theirs = users if path in OF_USERS else groups
        found[path] = _with_lines_of(lists[path], source[path], theirs)
        if path in OF_GROUPS:
            there = by_name(source[path])
            first = by_name(found[path])  # of a group on several lines
            found[path] = [
                _with_members(path, line, there, programs)
                if first.get(name_of(line)) is line
                else line
                for line in found[path]
            ]
    return found


def _is_of_a_person(number: int | None) -> bool:
    return number == 0 or (number is not None and number >= FIRST_PERSON and number != NOBODY)


def _with_lines_of(lines: Lines, source: Lines, names: Container[str]) -> Lines:
    had, there = (lines_by_name(one) for one in (lines, source))
    kept: Lines = []
    put: set[str] = set()
    for line in lines:
        name = name_of(line)
        if b":" not in line or name not in names:
            kept.append(line)
        elif had[name] == there.get(name):
            kept.append(line)
            put.add(name)
        elif name not in put:  # of subordinate ids an account has several lines
            kept += there.get(name, [])
            put.add(name)
    rest = (one for name, found in there.items() if name not in put for one in found)
    return [*kept, *(one for one in rest if name_of(one) in names)]


def _with_members(
    path: str, line: bytes, source: Mapping[str, bytes], programs: Container[str]
) -> bytes:
    """The line of a group with those in it that `source` has there and that are no account of a
    program: persons may be known from elsewhere (LDAP)."""
    lists, there = members_in(path, line), members_in(path, source.get(name_of(line), b""))
    if lists.keys() != there.keys():
        return line
    for at, names in lists.items():
        has, shall = (
            [name for name in side if name and os.fsdecode(name) not in programs]
            for side in (names, there[at])
        )
        if has != shall:
            lists[at] = [*(name for name in names if name and name not in has), *shall]
    return with_members(line, lists)
