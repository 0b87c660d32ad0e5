"""What is measured, as data: rounds in turn, medians, and whether a goal was met. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import msgspec


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result. `met` is `None` where a figure has no goal of its own."""

    what: str
    ours: str
    other: str = ""
    ratio: str = ""
    goal: str = ""
    met: bool | None = None


def in_turn(rounds: int, *runs: Callable[[], float]) -> list[list[float]]:
    """Each run once a round, A B C A B C, so that a busy machine slows all of them alike.

    Returns what each returned, one list a run.
    """
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, values in zip(runs, found, strict=True):
            values.append(run())
    return found


def times(ours: Sequence[float], other: Sequence[float]) -> float:
    """How many times as much the other takes: the median of what each round says."""
    return median(b / a for a, b in zip(ours, other, strict=True))


def faster(what: str, ours: Sequence[float], other: Sequence[float], goal: float = 0) -> Row:
    """A row that says how many times faster we are; `goal`: at least so many times."""
    ratio = times(ours, other)
    return Row(
        what=what,
        ours=seconds(median(ours)),
        other=seconds(median(other)),
        ratio=f"{ratio:.1f} times faster",
        goal=f"at least {goal:g} times" if goal else "",
        met=ratio >= goal if goal else None,
    )


def slower(what: str, ours: Sequence[float], other: Sequence[float], goal: float) -> Row:
    """A row that says how much more time we take; `goal`: at most so many times."""
    ratio = times(other, ours)
    return Row(
        what=what,
        ours=seconds(median(ours)),
        other=seconds(median(other)),
        ratio=f"{ratio:.2f} times",
        goal=f"at most {goal:g} times",
        met=ratio <= goal,
    )


def at_most(what: str, value: float, unit: str, goal: float | None) -> Row:
    """A row for a figure of ours alone."""
    return Row(
        what=what,
        ours=seconds(value) if unit == "s" else f"{value:.0f} {unit}",
        goal="" if goal is None else f"at most {goal:g} {unit}",
        met=None if goal is None else value <= goal,
    )


def seconds(value: float) -> str:
    """With as many digits as mean something."""
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"
