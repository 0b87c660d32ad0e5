"""Changes of lists of accounts on top of other changes of them: by account and by field. Pure.

Programs that change accounts change single fields: a password and its age, a shell, one member.
"""

from __future__ import annotations

from snapshots import bare_names
from snapshots.accounts import LISTS_AT_END, OF_GROUPS, ONE_LINE_EACH, Book, by_name, name_of
from snapshots.members import merged_names
from snapshots.merge import Lines


def with_changes(target: Book, first: Book, now: Book) -> dict[str, Lines]:
    """`target` with what made `now` of `first`; by path, those in all three.

    Where both changed one field it is as it is `now`. Who was removed is removed, and is in no
    group in which no such name is `now`.
    """
    found = {
        path: _with_changes(path, target[path], first[path], now[path])
        for path in target.keys() & first.keys() & now.keys()
    }
    return bare_names.without(found, target, now, first)


def _with_changes(path: str, target: Lines, first: Lines, now: Lines) -> Lines:
    if path not in ONE_LINE_EACH:
        stay = [line for line in target if line in now or line not in first]
        return [*stay, *(line for line in now if line not in first and line not in target)]
    old, new = by_name(first), by_name(now)
    found: Lines = []
    known: set[str] = set()
    for line in target:
        name = name_of(line)
        if b":" not in line or name in known or name not in old:
            found.append(line)
        elif name in new:
            found.append(_with_fields(path, line, old[name], new[name]))
        known.add(name)
    return [*found, *(one for name, one in new.items() if name not in old and name not in known)]


def _with_fields(path: str, line: bytes, old: bytes, new: bytes) -> bytes:
    if old == new:
        return line
    fields, was, shall = (one.split(b":") for one in (line, old, new))
    if len({len(fields), len(was), len(shall)}) > 1:
        return new if line == old else line
    lists = LISTS_AT_END[path] if path in OF_GROUPS else 0
    for at, (before, after) in enumerate(zip(was, shall, strict=True)):
        if at >= len(fields) - lists:
            fields[at] = merged_names(before, fields[at], after)
        elif before != after:
            fields[at] = after
    return b":".join(fields)
