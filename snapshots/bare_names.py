"""Names in groups of accounts that are no more, where a change of their lists goes back. Pure.

Such a name would give the rights of the group to whoever is called so next.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from snapshots.accounts import (
    OF_GROUPS,
    PASSWD,
    Book,
    by_name,
    members_in,
    name_of,
    with_members,
)
from snapshots.merge import Lines


def without(lists: Book, before: Book, now: Book, first: Book | None = None) -> dict[str, Lines]:
    """`lists` without members that had an account `before`, or at `first`, or have one `now`, and
    have none in `lists`.

    Whom others removed stays where he is a member `now`, for they left the name there; who goes
    stays where he was one `before`.
    """
    found = {path: list(lines) for path, lines in lists.items()}
    if PASSWD not in lists:
        return found
    stays, has, *had = (_accounts(side) for side in (lists, now, before, first or {}))
    went, removed = has - stays, set().union(*had) - has - stays
    for path in found.keys() & set(OF_GROUPS):
        for side, names in ((before, went), (now, removed)):
            known = by_name(side.get(path, ()))
            found[path] = [
                _without(path, line, names, known.get(name_of(line), b"")) for line in found[path]
            ]
    return found


def _accounts(lists: Book) -> set[bytes]:
    return {os.fsencode(name) for name in by_name(lists.get(PASSWD, ()))}


def _without(path: str, line: bytes, names: Collection[bytes], known: bytes) -> bytes:
    """The line of a group without these, but for those that are in its list in `known`."""
    lists, old = members_in(path, line), members_in(path, known)
    bare = {at: {*members} & {*names} - {*old.get(at, ())} for at, members in lists.items()}
    if not any(bare.values()):
        return line
    return with_members(
        line, {at: [one for one in lists[at] if one not in bare[at]] for at in lists}
    )
