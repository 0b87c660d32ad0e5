"""Accounts that stand in all of their lists or in none, where a change of some goes back. Pure.

Half of an account can log in nowhere, and a name left in a group would give its rights to whoever
is called so next.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection

from snapshots import bare_names
from snapshots.accounts import (
    GROUP,
    OF_GROUPS,
    OF_USERS,
    ONE_LINE_EACH,
    PASSWD,
    Book,
    by_name,
    gid_of,
    id_of,
    lines_by_name,
    members_in,
    name_of,
    with_members,
)
from snapshots.merge import Lines


def made_whole(planned: Book, before: Book, left: Book, now: Book) -> dict[str, Lines]:
    """What is `planned` to stand, without anything of accounts that the change brought (it `left`
    them and they were not there `before`), and with all of those that others did by `now`; whom
    others removed is in no group in which they left no such name."""
    whole = {path: list(lines) for path, lines in planned.items()}
    for main, lists in ((GROUP, OF_GROUPS), (PASSWD, OF_USERS)):
        went = _names(left, main) - _names(before, main)
        came = _names(planned, main) - _names(before, main) - went
        for path in whole.keys() & set(lists):
            _without(whole, path, went, before.get(path, ()))
            _with(whole, path, came, now)
        if main == PASSWD:
            _with_primary_groups(whole, came, now)
            for path in whole.keys() & set(OF_GROUPS):
                had, has = by_name(before.get(path, ())), by_name(now.get(path, ()))
                whole[path] = [
                    _membership(path, line, had.get(name), has.get(name), went, came)
                    for line in whole[path]
                    for name in (name_of(line),)
                ]
    whole = bare_names.without(whole, before, now)
    for path in whole.keys() & set(ONE_LINE_EACH):
        whole[path] = _once(whole[path], *(list(side.get(path, ())) for side in (now, before)))
    return whole


def _once(lines: Lines, now: Lines, before: Lines) -> Lines:
    """Without a second line of a name that stands twice on neither side: that of `now` stays."""
    most = Counter(map(name_of, now)) | Counter(map(name_of, before))
    found = list(lines)
    for name, same in lines_by_name(lines).items():
        surplus = len(same) - max(1, most[name])
        for line in sorted(same, key=now.__contains__)[: max(0, surplus)]:
            found.remove(line)
    return found


def written_over(before: Book, left: Book, now: Book) -> set[str]:
    """The lists in which somebody changed the line of an account that the change brought."""
    return {
        path
        for main, lists in ((PASSWD, OF_USERS), (GROUP, OF_GROUPS))
        for name in _names(left, main) - _names(before, main)
        for path in lists
        if (line := by_name(now.get(path, ())).get(name)) is not None
        and line != by_name(left.get(path, ())).get(name)
    }


def _names(book: Book, path: str) -> set[str]:
    return set(by_name(book.get(path, ())))


def _without(
    whole: dict[str, Lines], path: str, names: Collection[str], before: Collection[bytes]
) -> None:
    """Without these names, but for lines that stood there `before` there was the account."""
    whole[path] = [line for line in whole[path] if name_of(line) not in names or line in before]


def _with(whole: dict[str, Lines], path: str, names: Collection[str], now: Book) -> None:
    had = set(by_name(whole[path]))
    whole[path] += [
        line for line in now.get(path, ()) if name_of(line) in names and name_of(line) not in had
    ]


def _with_primary_groups(whole: dict[str, Lines], came: Collection[str], now: Book) -> None:
    users = by_name(whole.get(PASSWD, ()))
    needed = {gid_of(users[name]) for name in came if name in users}
    needed -= {id_of(line) for line in whole.get(GROUP, ())}
    names = {name_of(line) for line in now.get(GROUP, ()) if id_of(line) in needed - {None}}
    for path in whole.keys() & set(OF_GROUPS):
        _with(whole, path, names, now)


def _membership(
    path: str,
    line: bytes,
    had: bytes | None,
    has: bytes | None,
    went: Collection[str],
    came: Collection[str],
) -> bytes:
    """The line of a group without those who `went`, and with those who `came` where it has them."""
    old, there = (members_in(path, one or b"") for one in (had, has))
    went_now, came_now = ({os.fsencode(name) for name in names} for names in (went, came))
    lists = members_in(path, line)
    for at, members in lists.items():
        was = old.get(at, ())
        stay = [name for name in members if name not in went_now or name in was]
        new = (name for name in there.get(at, ()) if name in came_now and name not in stay)
        lists[at] = [*stay, *new]
    return with_members(line, lists)
