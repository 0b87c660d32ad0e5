"""Converging until the host is what it shall be, and proving that it is."""

from __future__ import annotations

from collections.abc import Callable, Collection

from host.base import HostError
from snapshots import not_started
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.converge import converge, describe_left
from snapshots.goal import Goal, Mind, accepting, leaving_to_others, what_is_left, with_persons
from snapshots.model import Delta, SnapshotError
from snapshots.others import OfOthers, nobodys
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
    of_others: OfOthers = nobodys,
) -> tuple[list[str], Captured]:
    """Converge and prove it, twice where a daemon interfered. Raises `HostError`.

    Does as much as it can before it raises, or stops at once with `all_or_nothing`. Returns what a
    person should know although all went well, and the host as it is then. `now`: the host as it
    was captured a moment ago, if it was; `mind` as `converge` has it. Where the only units that
    cannot be started are none of a change's `own_units`, that is said and no failure. `of_others`
    tells what of that which differs somebody else changed: that stays.
    """
    for _ in range(ATTEMPTS):
        errors: list[HostError] = []
        failing = None if all_or_nothing else errors
        notes = converge(keeper, goal, progress, failing, now, mind, of_others)
        progress.doing("comparing with what it shall be")
        now = after = keeper.capture_settled(goal.roots, goal.captured, progress)
        goal = with_persons(accepting(keeper, goal, after))
        left = what_is_left(goal, after)
        turned = [Delta(one.domain, one.key, one.after, one.before) for one in left]
        if new := of_others(turned):
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
    for sentence in said:
        progress.output(sentence)
    return [*notes, *said], after
