"""Lists of accounts, put back while nobody else writes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from host.holders import describe
from snapshots.account_books import LISTS, lists_now
from snapshots.capture import Keeper
from snapshots.goal import Goal, Mind, wanted_of, with_persons
from snapshots.inverse import Contents, read_hash
from snapshots.model import Item
from snapshots.others import OfOthers
from snapshots.progress import Progress, Silent


class ListsBack(NamedTuple):
    """`goal` with what others changed of persons up to now; `written` of those `looked_at`, which
    are not to be put back again. `notes`: what a person should know."""

    goal: Goal
    looked_at: frozenset[str] = frozenset()
    written: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def put_lists_back(
    keeper: Keeper, goal: Goal, progress: Progress, mind: Mind | None, of_others: OfOthers
) -> ListsBack:
    """Those that are files and shall be. Raises `HostError`.

    `mind` is told those that will be written over, as they shall be, and what they are now; whoever
    edits a list for long (vipw) is not waited for where none goes back.
    """
    goal = with_persons(goal)
    looked_at, wanted, now = _look(keeper, goal, of_others)
    if not wanted:
        return ListsBack(goal, looked_at)
    if mind is not None:
        mind(wanted, now)
    progress.doing("putting accounts back", 0, len(wanted))
    with keeper.host.account_lists_locked() as holder:
        goal = with_persons(goal)
        looked_at, wanted, _ = _look(keeper, goal, of_others)
        keeper.files.restore(keeper.host, wanted, Silent())  # moments
    notes = (_locked_by(keeper, holder, wanted),) if holder else ()
    return ListsBack(goal, looked_at, (*wanted,), notes)


def _locked_by(keeper: Keeper, holder: int, wanted: Iterable[str]) -> str:
    return (
        f"The lists of accounts were locked by {describe(keeper.host, holder)}: it may write over "
        f"what went back in {', '.join(wanted)}. Look at them when it has ended."
    )


def _look(
    keeper: Keeper, goal: Goal, of_others: OfOthers
) -> tuple[frozenset[str], dict[str, Item | None], dict[str, Item]]:
    """The lists that are files and shall be; as they shall be those that are otherwise; and all as
    they are, with the store."""
    contents = Contents(keeper.store.get)
    now = lists_now(keeper, contents)
    keeper.store.hold(contents.made.values())
    files = goal.captured.get("files", {})
    there = {
        path: files[path]
        for path in LISTS
        if read_hash(files.get(path)) and read_hash(now.get(path))
    }
    lists = msgspec.structs.replace(goal, captured={"files": there})
    seen = {path: now[path] for path in there}
    return frozenset(there), wanted_of(lists, keeper.files, seen, of_others), now
