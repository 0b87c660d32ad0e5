"""Merging three versions of a file, line by line and byte for byte.

An undo asks for this: `base` is the file as a transaction left it, `ours` the file as it is now,
`theirs` the file as it was before the transaction.

Written here rather than asked of `diff3 -m`, because diff3 reports a conflict as soon as two
changes touch. Two transactions that each append a line to one file always touch, and undoing the
first must leave exactly the second one's line. The tests hold this merge against diff3: wherever
diff3 merges cleanly, the answer here is the same or, where lines repeat, a refusal.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise, product

import msgspec

Lines = list[bytes]

CONTEXT_LINES = 3
"""How many unchanged lines on each side a hunk is looked for with, as in a unified diff."""

LONG_LINES = 3000
"""Where not one line is unique in so many, comparing takes seconds (12 000 took 13 s)."""


class Hunk(msgspec.Struct, frozen=True, order=True):
    """Lines `start` up to `end` of the base are replaced by `lines` (either may be empty)."""

    start: int
    end: int
    lines: tuple[bytes, ...]

    def collides_with(self, other: Hunk) -> bool:
        """Whether the order or the outcome of both changes together cannot be known."""
        if self.start == self.end == other.start == other.end:
            return True
        if self.start == self.end:
            return other.start < self.start < other.end
        if other.start == other.end:
            return self.start < other.start < self.end
        return max(self.start, other.start) < min(self.end, other.end)


def merge3(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """Both the changes from `base` to `ours` and those from `base` to `theirs`, or `None`.

    `None` is a conflict: both sides changed the same lines in different ways, or the result would
    depend on which of several equal lines is meant. Files with a NUL byte are not merged line by
    line. A missing newline at the end of the file is merged as a property of its own. The result
    holds every line that only `ours` has.
    """
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    if any(b"\0" in side for side in (base, ours, theirs)):
        return None
    base_lines, ours_lines, theirs_lines = (lines_of(side) for side in (base, ours, theirs))
    merged = _merge_lines(base_lines, ours_lines, theirs_lines)
    if merged is None:
        return None
    newline = ends_its_last_line(theirs if _same_end(ours, base) else ours)
    return joined(merged, newline)


def merge_lists(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> list[str] | None:
    """`merge3` for lists of single-line texts, such as the rules of a firewall chain."""
    sides = [[line.encode() for line in side] for side in (base, ours, theirs)]
    if sides[1] in (sides[0], sides[2]):
        return list(theirs)
    if sides[2] == sides[0]:
        return list(ours)
    merged = _merge_lines(*sides)
    return None if merged is None else [line.decode() for line in merged]


def _merge_lines(base: Lines, ours: Lines, theirs: Lines) -> Lines | None:
    mine, undone = hunks_between(base, ours), hunks_between(base, theirs)
    answers: list[Lines] = []
    for up_ours, up_theirs in product((False, True), repeat=2):
        answer = _apply_both(base, _slid(base, mine, up_ours), _slid(base, undone, up_theirs))
        if answer is not None and answer not in answers:
            answers.append(answer)
    answers = [a for a in answers if not _left_behind(base, ours, theirs, a)]
    if not answers:
        moved = _apply_to_moved(base, ours, undone)
        if moved is None or _left_behind(base, ours, theirs, moved):
            return None
        return moved
    if any(_without_blanks(a) != _without_blanks(answers[0]) for a in answers[1:]):
        return None
    return answers[0]


def lines_of(content: bytes) -> Lines:
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return lines


def ends_its_last_line(content: bytes) -> bool:
    return not content or content.endswith(b"\n")


def _same_end(left: bytes, right: bytes) -> bool:
    return ends_its_last_line(left) == ends_its_last_line(right)


def joined(lines: Lines, newline: bool) -> bytes:
    if not lines:
        return b""
    return b"\n".join(lines) + (b"\n" if newline or not lines[-1] else b"")


def hunks_between(base: Lines, side: Lines) -> list[Hunk]:
    """The changes from `base` to `side`.

    Lines that stand exactly once in both are held together first, as in "patience diff": a brace
    or a blank line then never pairs with one of another block, and long files stay fast.
    """
    hunks: list[Hunk] = []
    old_from = new_from = 0
    for old_to, new_to in [*_anchors(base, side), (len(base), len(side))]:
        hunks += _between(base, old_from, old_to, side[new_from:new_to])
        old_from, new_from = old_to + 1, new_to + 1
    return hunks


def _between(base: Lines, start: int, end: int, new: Lines) -> list[Hunk]:
    """The changes between two anchors; a very long stretch is one change, to stay fast."""
    shorter = min(end - start, len(new))
    head = 0
    while head < shorter and base[start + head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and base[end - 1 - tail] == new[-1 - tail]:
        tail += 1
    start, end, new = start + head, end - tail, new[head : len(new) - tail]
    if start == end and not new:
        return []
    if max(end - start, len(new)) > LONG_LINES:
        return [Hunk(start, end, tuple(new))]
    matcher = SequenceMatcher(None, base[start:end], new, autojunk=False)
    return [
        Hunk(start + i1, start + i2, tuple(new[j1:j2]))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]


def _anchors(old: Lines, new: Lines) -> list[tuple[int, int]]:
    """Where the lines stand that are unique on both sides: the longest run in the same order."""
    in_old, in_new = Counter(old), Counter(new)
    place = {line: number for number, line in enumerate(new) if in_new[line] == 1}
    pairs = [
        (number, place[line])
        for number, line in enumerate(old)
        if in_old[line] == 1 and line in place
    ]
    ends: list[int] = []  # of the best run of each length, the last pair's place in `new`
    last: list[int] = []  # and its index in `pairs`
    before: list[int] = []
    for index, (_, position) in enumerate(pairs):
        length = bisect_left(ends, position)
        before.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [position]
        last[length : length + 1] = [index]
    run: list[tuple[int, int]] = []
    index = last[-1] if last else -1
    while index >= 0:
        run.append(pairs[index])
        index = before[index]
    return run[::-1]


def _slid(base: Lines, hunks: list[Hunk], up: bool) -> list[Hunk]:
    """The same changes, pure insertions and deletions moved as far as equal lines allow.

    A block appended after a blank line may be seen as "blank line + block" or "block + blank
    line"; both are true, and only one of them may collide with the other side.
    """
    moved: list[Hunk] = []
    for index, hunk in enumerate(hunks):
        floor = moved[-1].end + 1 if moved else 0
        ceiling = hunks[index + 1].start - 1 if index + 1 < len(hunks) else len(base)
        start, end, lines = hunk.start, hunk.end, hunk.lines
        if start == end and lines:
            while up and start > floor and lines[-1] == base[start - 1]:
                lines, start = (lines[-1], *lines[:-1]), start - 1
            while not up and start < ceiling and lines[0] == base[start]:
                lines, start = (*lines[1:], lines[0]), start + 1
            end = start
        elif not lines:
            while up and start > floor and base[start - 1] == base[end - 1]:
                start, end = start - 1, end - 1
            while not up and end < ceiling and base[start] == base[end]:
                start, end = start + 1, end + 1
        moved.append(Hunk(start, end, lines))
    return moved


def _apply_both(base: Lines, mine: list[Hunk], undone: list[Hunk]) -> Lines | None:
    both = sorted(set(mine) | set(undone))
    if any(a.collides_with(b) for a in mine for b in undone if a != b):
        return None
    return applied(base, both)


def applied(lines: Lines, hunks: Sequence[Hunk]) -> Lines:
    """`hunks` are sorted and do not overlap."""
    merged: Lines = []
    position = 0
    for hunk in hunks:
        merged += lines[position : hunk.start]
        merged += hunk.lines
        position = hunk.end
    return merged + lines[position:]


def _left_behind(base: Lines, ours: Lines, theirs: Lines, merged: Lines) -> bool:
    """Whether a line that must go is still there, because `ours` moved it elsewhere."""
    going = Counter(base) - Counter(theirs)
    now, then, after = Counter(ours), Counter(theirs), Counter(merged)
    return any(
        line.strip() and after[line] > max(then[line], now[line] - count)
        for line, count in going.items()
    )


def _apply_to_moved(base: Lines, ours: Lines, hunks: list[Hunk]) -> Lines | None:
    """Apply each change where its own lines now stand, provided that is exactly one place."""
    placed: list[Hunk] = []
    for hunk in hunks:
        block = base[hunk.start : hunk.end]
        if any(line.strip() for line in block):
            at = _only_place(ours, block)
            offset = 0
        else:
            above = base[max(0, hunk.start - CONTEXT_LINES) : hunk.start]
            below = base[hunk.end : hunk.end + CONTEXT_LINES]
            at = _only_place(ours, above + block + below)
            offset = len(above)
        if at is None:
            return None
        placed.append(Hunk(at + offset, at + offset + len(block), hunk.lines))
    placed.sort()
    if any(a.end > b.start or a.collides_with(b) for a, b in pairwise(placed)):
        return None
    return applied(ours, placed)


def _only_place(lines: Lines, block: Lines) -> int | None:
    if not block:
        return None
    last = len(lines) - len(block)
    places = [i for i in range(last + 1) if lines[i : i + len(block)] == block]
    return places[0] if len(places) == 1 else None


def _without_blanks(lines: Lines) -> Lines:
    return [line for line in lines if line.strip()]
