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
from tests.faults.ledger import Outcome, Trial
from tests.faults.settings import Setting, field_of, host_of, points_of, trial


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

    def is_whole(self, one: Trial) -> bool:
        return any(words in one.title for words in self.every)


class Share(msgspec.Struct, frozen=True):
    """One process's part of the points: number `index` of `of`. Of so many `releases` each has
    every so manyth share."""

    index: int = 0
    of: int = 1
    releases: int = 1

    def has(self, place: int, *, on_this_release: bool = False) -> bool:
        """Each place belongs to one share, always to one of the same release; or to one of this
        release in any case."""
        mixed = place * 2_654_435_761 >> 16  # places that lie evenly shall not be all of one share
        if on_this_release:
            return mixed % self.of // self.releases == self.index // self.releases
        return mixed % self.of == self.index


class Had(msgspec.Struct, frozen=True):
    """Of a trial, by number: points that need no other try, and those that failed on this release
    and are tried there again. `points`: how many it has, as far as is known from last time."""

    done: frozenset[int] = frozenset()
    again: frozenset[int] = frozenset()
    points: int = 0

    def is_enough(self, limit: int | None) -> bool:
        """Whether nothing is left to try, so that no host need be made ready to count its calls."""
        wanted = self.points if limit is None else min(limit, self.points)
        return bool(self.points) and not self.again and len(self.done) >= wanted


_WHOLE: Final = Share()
_BY_ITSELF: Final = "no fault made"


def nothing_had(one: Trial) -> Had:
    return Had()


def trials_of(setting: Setting) -> list[Trial]:
    return [
        Trial(f"{command} {setting.step}", fault, setting.disk) for command, fault in setting.trials
    ]


def run(
    settings: Sequence[Setting], suite: str, layer: Path, extent: Extent,
    say: Callable[[str], None], share: Share = _WHOLE,
    had: Callable[[Trial], Had] = nothing_had,
) -> Iterator[Outcome]:  # fmt: skip
    """Each trial of each setting, without the points that it has `had`."""
    seconds = extent.seconds
    left = sum(not extent.is_whole(one) for setting in settings for one in trials_of(setting))
    for setting in settings:
        with contextlib.ExitStack() as stack:
            field: Field | None = None
            for one, (command, fault) in zip(trials_of(setting), setting.trials, strict=True):
                began = time.monotonic()
                whole = extent.is_whole(one)
                if had(one).is_enough(None if whole else extent.limit):
                    left -= not whole
                    continue
                deadline = None if whole or seconds is None else began + seconds / max(left, 1)
                numbers: Iterator[int] | None = None
                points = 0
                while True:
                    if field is None:
                        stack.close()
                        field = field_of(
                            setting, stack.enter_context(host_of(setting, suite, layer))
                        )
                    if numbers is None:
                        found = points_of(field, command, fault)
                        points = len(found)
                        yield Outcome(suite, one, points)
                        order = range(points) if whole else spread(points)[: extent.limit]
                        ours = [
                            place for place in order if _ours(found[place], place, share, had(one))
                        ]
                        numbers = some([found[place] for place in ours], deadline)
                    between = False
                    for tried in _caught(trial(field, command, fault, numbers), one):
                        if tried.point.endswith("not reached"):
                            continue
                        _tell(suite, tried, say)
                        yield Outcome(suite, one, points, tried)
                        between = tried.side == "between"
                    if not between:
                        break
                    field = None
                if not whole:
                    left -= 1
                    seconds = None if seconds is None else seconds - (time.monotonic() - began)
                say(f"{suite}: {one.title}{f' ({one.disk})' if one.disk else ''}: share"
                    f" {share.index + 1} of {share.of} done")  # fmt: skip


def _tell(suite: str, one: Tried, say: Callable[[str], None]) -> None:
    if one.problems:
        say(f"FAILED {suite}: {one.what}, {one.fault} at {one.point}: {one.side}")
        for problem in one.problems:
            say(f"    {problem}")


def _caught(tries: Iterator[Tried], one: Trial) -> Iterator[Tried]:
    """What goes wrong without a fault, between two points, counts as a failure and ends no
    campaign."""
    try:
        yield from tries
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        yield Tried(one.what, one.fault, 0, _BY_ITSELF, "between", (f"{error}",))


def _ours(number: int, place: int, share: Share, had: Had) -> bool:
    return number not in had.done and share.has(place, on_this_release=number in had.again)


def some(numbers: Sequence[int], deadline: float | None = None) -> Iterator[int]:
    """The numbers, the first also after the deadline (of `time.monotonic`)."""
    for place, number in enumerate(numbers):
        if deadline is not None and place and time.monotonic() > deadline:
            return
        yield number


def spread(points: int) -> list[int]:
    """0 … points - 1, so ordered that each beginning of the list lies evenly over all of them."""
    width = max(points - 1, 1).bit_length()
    order = sorted(range(points), key=lambda n: int(f"{n:0{width}b}"[::-1], 2))
    return [*order[1:], *order[:1]]  # the middle tells more than the start
