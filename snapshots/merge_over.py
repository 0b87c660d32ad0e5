"""Bringing a change back into a text that others edited since: its lines win, the rest stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
    hunks = hunks_between(left, there)
    placed = [_placed(left, hunk, ours) for hunk in hunks]
    # A line of ours that was moved is met where it stands now and where it stood.
    merged = Counter(applied(left, [_hunk(one, lines) for one, lines in _paired(hunks, placed)]))
    superfluous = merged - (Counter(left) | Counter(there))
    superfluous += Counter(old) - Counter(left)  # what ours had taken out goes as well
    settled = [_hunk(one, _without(lines, superfluous)) for one, lines in _paired(hunks, placed)]
    return joined(applied(left, settled), ends_its_last_line(now))


Placed = list[tuple[bytes, bool]]
"""Lines, and whether they are ours, which must stay."""


def _paired(hunks: list[Hunk], placed: list[Placed]) -> Iterable[tuple[Hunk, Placed]]:
    return zip(hunks, placed, strict=True)


def _hunk(hunk: Hunk, lines: Placed) -> Hunk:
    return Hunk(hunk.start, hunk.end, tuple(line for line, _ in lines))


def _placed(left: Lines, hunk: Hunk, ours: set[int]) -> Placed:
    """What shall stand where `hunk` changed `left`, whose lines `ours` must stay.

    Each of ours takes the place of the new line that says the same otherwise, if there is one.
    """
    placed: Placed = [(line, False) for line in hunk.lines]
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
    return placed


def _without(placed: Placed, superfluous: Counter[bytes]) -> Placed:
    """The lines without those of others that are superfluous, as often as they are."""
    result = []
    for line, is_ours in placed:
        if not is_ours and line.strip() and superfluous[line] > 0:
            superfluous[line] -= 1
        else:
            result.append((line, is_ours))
    return result


def _likest(line: bytes, placed: Placed) -> int | None:
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
