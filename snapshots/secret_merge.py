"""Taking a change out of a secret file that others edited since, though its own text is not kept.

What the file held before is kept, and it can be read as it is now; of what the step left there is
only a keyed hash. But a step that replaces a secret changes one line. So the file before, with one
line as it is now, must have that hash: then it is known what the step wrote. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from snapshots.merge import lines_of

MOST_TRIED = 2000
"""Each costs one hash of the file, a millisecond at most."""


class Secrets(Protocol):
    """What is known of secret files."""

    def hashed(self, content: bytes) -> str:
        """What stands for it in captures."""

    def content(self, hashed: str) -> bytes | None:
        """What was kept; `None` where nothing was."""

    def stands(self, path: str) -> bytes | None:
        """What the file holds now."""


def taken_out(before: bytes, now: bytes, is_after: Callable[[bytes], bool]) -> bytes | None:
    """`now` with the line that the step changed as it was `before`.

    `is_after` tells what the step left. `None` where that cannot be told, or the line stands there
    twice.
    """
    was, there = lines_of(before), lines_of(now)
    for tried, (index, line) in enumerate(_candidates(was, there)):
        if tried == MOST_TRIED:
            break
        after = b"\n".join([*was[:index], line, *was[index + 1 :]]) + _end(before)
        if is_after(after):
            if there.count(line) != 1 or was[index] in there:
                return None
            return b"\n".join(was[index] if one == line else one for one in there) + _end(now)
    return None


def _candidates(was: list[bytes], there: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """A line that is not there any more, and one that came."""
    old, new = set(was), set(there)
    came = [line for line in there if line not in old]
    return ((n, line) for n, gone in enumerate(was) if gone not in new for line in came)


def _end(content: bytes) -> bytes:
    return b"\n" if content.endswith(b"\n") else b""
