"""Bringing a change back into a text that others edited since: its lines win, the rest stays."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from itertools import takewhile

from snapshots.merge import (
    Hunk,
    Lines,
    applied,
    ends_its_last_line,
    hunks_between,
    joined,
    lines_of,
)


def merge_over(before: bytes, expected: bytes, now: bytes) -> bytes | None:
    """`now`, with what a change made of `before` (to `expected`) in force again.

    Where `now` changed a line that the change wrote, that line is as `expected` has it; whatever
    else `now` changed is kept. `None` with a NUL byte.
    """
    if any(b"\0" in side for side in (before, expected, now)):
        return None
    old, left, there = (lines_of(side) for side in (before, expected, now))
    ours = {number for hunk in hunks_between(left, old) for number in range(hunk.start, hunk.end)}
    taken_out = Counter(old) - Counter(left)
    settled = [
        Hunk(hunk.start, hunk.end, tuple(_settled(left, hunk, ours, taken_out)))
        for hunk in hunks_between(left, there)
    ]
    return joined(applied(left, settled), ends_its_last_line(now))


def _settled(left: Lines, hunk: Hunk, ours: set[int], taken_out: Counter[bytes]) -> Lines:
    """What shall stand where `hunk` changed `left`, whose lines `ours` must stay.

    Each of ours takes the place of the new line that says the same otherwise, if there is one. Of
    the other new lines those go that ours had taken out.
    """
    placed: list[tuple[bytes, bool]] = [(line, False) for line in hunk.lines]
    at = 0
    for number in range(hunk.start, hunk.end):
        if number not in ours:
            continue
        line = left[number]
        found = _likest(line, placed)
        if found is not None:
            del placed[found]
            at = max(at - 1, 0) if found < at else found
        placed.insert(at, (line, True))
        at += 1
    result = []
    for line, is_ours in placed:
        if not is_ours and line.strip() and taken_out[line] > 0:
            taken_out[line] -= 1
        else:
            result.append(line)
    return result


def _likest(line: bytes, placed: list[tuple[bytes, bool]]) -> int | None:
    """The place of the line that is the same, or most like it among those about the same.

    A setting's name stands before its value: what begins alike is more alike.
    """
    alike = [
        (_common(line, other), SequenceMatcher(None, line, other).ratio(), -index)
        for index, (other, is_ours) in enumerate(placed)
        if not is_ours and (other == line or _about(other) == _about(line) != b"")
    ]
    return -max(alike)[2] if alike else None


def _common(left: bytes, right: bytes) -> int:
    """How many bytes both begin with."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False))
    )


def _about(line: bytes) -> bytes:
    """The first word of a setting, also where it is commented out."""
    words = line.strip().lstrip(b"#;/ \t").replace(b"=", b" ").split(None, 1)
    return words[0].lower() if words else b""
