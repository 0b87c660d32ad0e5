"""Going through the settings: which points, in which order, and for how long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tests.faults.field import Field, Tried
from tests.faults.settings import Setting, count, field_of, host_of, trial
from tests.hosts.lab import LabHost


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


def run(
    settings: Sequence[Setting], suite: str, layer: Path, *,
    limit: int | None, seconds: float | None, say: Callable[[str], None],
) -> Iterator[Row]:  # fmt: skip
    """Each trial of each setting, a row each.

    `limit`: at most so many points of a trial. `seconds`: for all of it; each trial gets an equal
    share of what is left. Whatever the limit, the points lie evenly from the first to the last.
    """
    until = None if seconds is None else time.monotonic() + seconds
    left = sum(len(setting.trials) for setting in settings)
    for setting in settings:
        rows = [Row(f"{command} {setting.step}", fault, setting.disk)
                for command, fault in setting.trials]  # fmt: skip
        host: LabHost | None = None
        field: Field | None = None
        try:
            for row, (command, fault) in zip(rows, setting.trials, strict=True):
                share = None if until is None else (until - time.monotonic()) / max(left, 1)
                left -= 1
                deadline = None if share is None else time.monotonic() + share
                numbers: Iterator[int] | None = None
                while True:
                    if field is None:
                        host = host_of(setting, suite, layer)
                        host.__enter__()
                        field = field_of(setting, host)
                    if numbers is None:
                        row.points = count(field, command, fault)
                        numbers = _some(row.points, limit, deadline)
                    if _until_between(trial(field, command, fault, numbers), row, say):
                        break
                    assert host is not None
                    host.__exit__(None, None, None)
                    host = field = None
                say(f"{suite}: {row.what}, {row.fault}: {row.tried} of {row.points}, "
                    f"{len(row.failed)} failed")  # fmt: skip
                yield row
        finally:
            if host is not None:
                host.__exit__(None, None, None)


def _until_between(tries: Iterator[Tried], row: Row, say: Callable[[str], None]) -> bool:
    """Count into `row`; False where the host is of no more use."""
    for one in tries:
        if one.point.endswith("not reached"):
            continue
        row.tried += 1
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


def _some(points: int, limit: int | None, deadline: float | None) -> Iterator[int]:
    for place, number in enumerate(spread(points)):
        if limit is not None and place >= limit:
            return
        if deadline is not None and place > 0 and time.monotonic() > deadline:
            return
        yield number


def spread(points: int) -> list[int]:
    """1 … points, so ordered that each beginning of the list lies evenly over all of them."""
    width = max(points - 1, 1).bit_length()
    order = sorted(range(points), key=lambda n: int(f"{n:0{width}b}"[::-1], 2))
    return [
        number + 1 for number in (*order[1:], *order[:1])
    ]  # the middle tells more than the start
