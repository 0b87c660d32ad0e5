"""Converging until the host is what it shall be, and proving that it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from host.base import HostError
from snapshots import not_started, others
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.converge import (
    Goal,
    Mind,
    accepting,
    converge,
    describe_left,
    leaving_to_others,
    what_is_left,
)
from snapshots.model import Delta, SnapshotError
from snapshots.progress import Progress

ATTEMPTS = 2
"""A daemon or a package script that interfered once has had its say by the second time."""


def bring_back(
    keeper: Keeper,
    goal: Goal,
    progress: Progress,
    *,
    now: Captured | None = None,
    all_or_nothing: bool = False,
    mind: Mind | None = None,
    own_units: Callable[[], Collection[str] | None] = lambda: None,
    of_others: Callable[[Iterable[Delta]], set[str]] = lambda _: set(),
) -> tuple[list[str], Captured]:
    """Converge and prove it, twice where a daemon interfered. Raises `HostError`.

    Does as much as it can before it raises, or stops at once with `all_or_nothing`. Returns what a
    person should know although all went well, and the host as it is then. `now`: the host as it
    was captured a moment ago, if it was; `mind` as `converge` has it. Where the only units that
    cannot be started are none of a change's `own_units`, that is said and no failure. `of_others`
    tells which files of what differs somebody else changed: those stay.
    """
    theirs: set[str] = set()
    for _ in range(ATTEMPTS):
        errors: list[HostError] = []
        notes = converge(keeper, goal, progress, None if all_or_nothing else errors, now, mind)
        progress.doing("comparing with what it shall be")
        now = after = keeper.capture_settled(goal.roots, goal.captured, progress)
        goal = accepting(keeper, goal, after)
        left = what_is_left(goal, after)
        if new := of_others(left):
            theirs |= new
            goal = leaving_to_others(goal, new, after)
            left = what_is_left(goal, after)
        masked = not_started.masked(keeper.host, left)
        left = [delta for delta in left if delta not in masked]
        said = not_started.of_masked(masked)
        if not left:
            break
    if left and not_started.are_others(left, own_units()):
        said.append(not_started.of_others(left, errors))
    elif left:
        raise errors[0] if errors else SnapshotError(f"{describe_left(left)}.")
    if theirs:
        said.append(others.sentence(theirs))
    for sentence in said:
        progress.output(sentence)
    return [*notes, *said], after
