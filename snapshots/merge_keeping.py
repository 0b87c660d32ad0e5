"""Merging where not everything merges: what a person asked for after having seen the conflict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snapshots.merge import (
    Hunk,
    applied,
    ends_its_last_line,
    hunks_between,
    joined,
    lines_of,
    merge3,
)

MOST_TRIED = 60
"""Each hunk by itself costs one merge, some milliseconds; what lies beyond stays as it is."""


def merge_keeping(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """As `merge3`, but where both changed the same lines those of `ours` stay.

    What `theirs` took away or replaced line for line is tried line by line, so that one changed
    line keeps only itself. `None`: these are no texts of lines. The result holds every line that
    only `ours` has.
    """
    whole = merge3(base, ours, theirs)
    if whole is not None:
        return whole
    if any(b"\0" in side for side in (base, ours, theirs)):
        return None
    lines = lines_of(base)
    newline = ends_its_last_line(theirs)
    wanted = hunks_between(lines, lines_of(theirs))
    mine = hunks_between(lines, lines_of(ours))

    def merged_with(hunks: Sequence[Hunk]) -> bytes | None:
        return merge3(base, ours, joined(applied(lines, hunks), newline))

    done = {piece for hunk in mine for piece in _pieces(hunk)}
    free = [
        piece
        for hunk in wanted
        for piece in _pieces(hunk)
        if piece not in done and not any(piece.collides_with(other) for other in mine)
    ]
    together = merged_with(free)
    if together is not None:
        return together
    taken: list[Hunk] = []
    result = ours
    for hunk in (free if len(free) <= MOST_TRIED else wanted)[:MOST_TRIED]:
        answer = merged_with([*taken, hunk])
        if answer is not None:
            taken.append(hunk)
            result = answer
    return result


def _pieces(hunk: Hunk) -> Iterator[Hunk]:
    """Line by line, where it is clear which line became which."""
    lines = hunk.lines
    if lines and len(lines) != hunk.end - hunk.start:
        yield hunk
        return
    for number in range(hunk.start, hunk.end):
        index = number - hunk.start
        yield Hunk(number, number + 1, lines[index : index + 1])
