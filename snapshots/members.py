"""Merging lists of accounts of which two sides changed one line: by field, and by member. Pure."""

from __future__ import annotations

from snapshots.accounts import LISTS_AT_END, ONE_LINE_EACH, by_name
from snapshots.merge import ends_its_last_line, joined, lines_of, merge3


def merge_accounts(path: str, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """As `merge3`, which knows lines only; `None` too where `path` is no such list."""
    if path not in ONE_LINE_EACH:
        return None
    sides = [lines_of(side) for side in (base, ours, theirs)]
    named = [by_name(side) for side in sides]
    instead: dict[bytes, bytes] = {}
    for name in named[0].keys() & named[1].keys() & named[2].keys():
        lines = [side[name] for side in named]
        merged = _merged(LISTS_AT_END.get(path, 0), *lines)
        if merged is not None:
            instead |= dict.fromkeys(lines, merged)
    sides = [[instead.get(one, one) for one in side] for side in sides]
    ends = map(ends_its_last_line, (base, ours, theirs))
    return merge3(*(joined(side, end) for side, end in zip(sides, ends, strict=True)))


def _merged(lists: int, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """One line; `None` where only one side changed it, or both one field that is no list."""
    if ours in (base, theirs) or base == theirs:
        return None
    fields = [line.split(b":") for line in (base, ours, theirs)]
    if len({len(one) for one in fields}) != 1:
        return None
    found = []
    for at, (was, there, wanted) in enumerate(zip(*fields, strict=True)):
        if at >= len(fields[0]) - lists:
            found.append(merged_names(was, there, wanted))
        elif there in (was, wanted):
            found.append(wanted)
        elif wanted == was:
            found.append(there)
        else:
            return None
    return b":".join(found)


def merged_names(base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """A list of names as it is in `ours`, with what made `theirs` of `base`."""
    was, there, wanted = (one.split(b",") if one else [] for one in (base, ours, theirs))
    stay = [name for name in there if name in wanted or name not in was]
    return b",".join([*stay, *(name for name in wanted if name not in was and name not in stay)])
