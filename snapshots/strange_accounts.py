"""What of accounts is neither as it was found nor as it shall be: somebody made it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from snapshots.account_books import LISTS, book_of
from snapshots.accounts import OF_GROUPS, ONE_LINE_EACH, by_name, members_in
from snapshots.capture import Keeper
from snapshots.inverse import Contents
from snapshots.merge import Lines
from snapshots.model import Item, SnapshotError


def strange_lists(
    keeper: Keeper,
    first: Mapping[str, Item | None],
    now: Mapping[str, Item | None],
    wanted: Mapping[str, Item | None],
) -> list[str]:
    """The lists that are `wanted` otherwise than they stand `now`, with something in them that
    goes and was not there at `first`.

    An account that comes back may have had another number or password in between.
    """
    contents = Contents(keeper.store.get)
    found = []
    for path in LISTS:
        if path not in wanted:
            continue
        try:
            sides = [book_of(contents, {path: side.get(path)}) for side in (first, now, wanted)]
        except SnapshotError:  # damaged; what is not known is nobody's
            continue
        if _strange_lines(path, *(side.get(path, []) for side in sides)):
            found.append(path)
    return found


def _strange_lines(path: str, first: Lines, now: Lines, goal: Lines) -> list[bytes]:
    """The lines of `now` in which something is neither side's."""
    old, new = by_name(first), by_name(goal)
    known = {*first, *goal}
    return [
        line
        for name, line in by_name(now).items()
        if line not in known
        and not (name in new and name not in old)
        and (name not in old or _has_more(path, line, old[name], new.get(name, b"")))
    ]


def _has_more(path: str, line: bytes, old: bytes, new: bytes) -> bool:
    if path not in ONE_LINE_EACH:
        return True
    fields, was, shall = (one.split(b":") for one in (line, old, new))
    lists = members_in(path, line) if path in OF_GROUPS else {}
    sides = [[side[at] for side in (was, shall) if at < len(side)] for at in range(len(fields))]
    return any(
        {*lists[at]} - {name for side in sides[at] for name in side.split(b",")}
        if at in lists
        else field not in sides[at]
        for at, field in enumerate(fields)
    )
