"""Going through the settings: which points, in which order, and for how long."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tests.faults.field import Field, Tried
from tests.faults.settings import Setting, count, field_of, host_of, trial


class Row(msgspec.Struct):
    """One trial: how many of its points were tried, and where the host was in the end."""

    what: str
    fault: str
    disk: str
    points: int = 0
    tried: int = 0
    before: int = 0
    after: int = 0
    failed: list[Tried] = []


class Extent(msgspec.Struct, frozen=True):
    """How much is tried.

    Of trials in whose title one of `every` stands ("apply ssh.limits, killed") all points. Of each
    other at most `limit`, and of those for at most `seconds` altogether, of which each gets an
    equal part of what is left. Whatever the limit, the points lie evenly from the first to the
    last.
    """

    every: tuple[str, ...] = ()
    limit: int | None = None
    seconds: float | None = None

    def is_whole(self, row: Row) -> bool:
        title = f"{row.what}, {row.fault}"
        return any(words in title for words in self.every)


class Share(msgspec.Struct, frozen=True):
    """One process's part: each `of`-th point, beginning with number `index`."""

    index: int = 0
    of: int = 1


_WHOLE: Final = Share()
_BY_ITSELF: Final = "no fault made"


def run(
    settings: Sequence[Setting], suite: str, layer: Path, extent: Extent,
    say: Callable[[str], None], share: Share = _WHOLE,
) -> Iterator[Row]:  # fmt: skip
    """Each trial of each setting, a row each."""
    rows_of = [
        [Row(f"{command} {setting.step}", fault, setting.disk) for command, fault in setting.trials]
        for setting in settings
    ]
    seconds = extent.seconds
    left = sum(not extent.is_whole(row) for rows in rows_of for row in rows)
    for setting, rows in zip(settings, rows_of, strict=True):
        with contextlib.ExitStack() as stack:
            field: Field | None = None
            for row, (command, fault) in zip(rows, setting.trials, strict=True):
                began = time.monotonic()
                whole = extent.is_whole(row)
                deadline = None if whole or seconds is None else began + seconds / max(left, 1)
                limit = None if whole else extent.limit
                numbers: Iterator[int] | None = None
                while True:
                    if field is None:
                        stack.close()
                        field = field_of(
                            setting, stack.enter_context(host_of(setting, suite, layer))
                        )
                    if numbers is None:
                        row.points = count(field, command, fault)
                        order = range(1, row.points + 1) if whole else spread(row.points)
                        numbers = some(order, share, limit, deadline)
                    if _until_between(trial(field, command, fault, numbers), row, say):
                        break
                    field = None
                if not whole:
                    left -= 1
                    seconds = None if seconds is None else seconds - (time.monotonic() - began)
                say(f"{suite}: {row.what}, {row.fault}: {row.tried} of {row.points}, "
                    f"{len(row.failed)} failed")  # fmt: skip
                yield row


def together(shares: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows of all shares as those of one run."""
    return [
        Row(
            rows[0].what, rows[0].fault, rows[0].disk,
            points=max(row.points for row in rows), tried=sum(row.tried for row in rows),
            before=sum(row.before for row in rows), after=sum(row.after for row in rows),
            failed=[one for row in rows for one in row.failed],
        )
        for rows in zip(*shares, strict=True)
    ]  # fmt: skip


def _until_between(tries: Iterator[Tried], row: Row, say: Callable[[str], None]) -> bool:
    """Count into `row`; False where the host is of no more use."""
    for one in _caught(tries, row):
        if one.point.endswith("not reached"):
            continue
        row.tried += one.point != _BY_ITSELF
        row.before += one.side == "before"
        row.after += one.side == "after"
        if one.problems:
            row.failed.append(one)
            say(f"FAILED {one.what}, {one.fault} at {one.point}: {one.side}")
            for problem in one.problems:
                say(f"    {problem}")
        if one.side == "between":
            return False
    return True


def _caught(tries: Iterator[Tried], row: Row) -> Iterator[Tried]:
    """What goes wrong without a fault, between two points, counts as a failure and ends no
    campaign."""
    try:
        yield from tries
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        yield Tried(row.what, row.fault, _BY_ITSELF, "between", (f"{error}",))


def some(
    order: Sequence[int], share: Share, limit: int | None = None, deadline: float | None = None
) -> Iterator[int]:
    """The points of one share: not more than `limit` of all shares, the first also after the
    deadline (of `time.monotonic`)."""
    for place, number in enumerate(order):
        if limit is not None and place >= limit:
            return
        if place % share.of != share.index:
            continue
        if deadline is not None and place >= share.of and time.monotonic() > deadline:
            return
        yield number


def spread(points: int) -> list[int]:
    """1 … points, so ordered that each beginning of the list lies evenly over all of them."""
    width = max(points - 1, 1).bit_length()
    order = sorted(range(points), key=lambda n: int(f"{n:0{width}b}"[::-1], 2))
    return [
        number + 1 for number in (*order[1:], *order[:1])
    ]  # the middle tells more than the start
