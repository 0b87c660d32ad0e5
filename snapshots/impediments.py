"""Why what an undo brings back could not come back now."""

from __future__ import annotations

from collections.abc import Iterator

from host.base import HostError
from host.names import visible
from snapshots import in_reach, intact, leftovers, purge_reach, replaced, undo_packages, undo_plan
from snapshots.capture import Keeper
from snapshots.captured import TOO_LARGE, is_too_large, loses_content
from snapshots.domains.packages import Package
from snapshots.fitting import refusal
from snapshots.inverse import read_hash
from snapshots.inversion import Inversion
from snapshots.model import Delta, FileItem, Item
from snapshots.opening import too_large
from snapshots.undo_plan import Impediments


def impediments(
    inversion: Inversion, keeper: Keeper, stores: intact.Stores, misfit: str, *, first: bool = True
) -> Impediments:
    """Why things could not come back now.

    `misfit`: what keeps its packages away. What is missing is told first: apt stumbles over it.
    Unless it is the `first` of several undos, it is known only when its turn has come whether it
    fits what stands then.
    """
    losing = [
        decision.delta.key
        for decision in inversion.decisions
        if decision.changes and loses_content(inversion.now(decision.delta), decision.target)
    ]
    # What came with packages beyond what is captured goes with them, and was never kept.
    losing = [key for key in losing if not leftovers.outside([key], inversion.record.roots)]
    if losing and first:
        return Impediments({losing[0]: f"it is {TOO_LARGE} now"}, too_large(losing[0]))
    lacking = intact.lacking(stores, _needed(inversion))
    if lacking:
        cannot = intact.without(lacking, undo_plan.named(inversion.record))
        return Impediments(lacking, cannot, is_damage=True)
    unread = undo_packages.leaves_tables_unread(inversion, inversion.current) if first else ""
    if unread:
        return Impediments({undo_packages.NFT: unread}, unread)
    try:
        purge_reach.refuse_mounted(keeper.host, in_reach.going_with(inversion))
    except HostError as error:
        return Impediments({}, f"{error}. Nothing was touched.")
    if first and (over := _written_over(inversion, keeper)):
        why = f"{visible(over)} lies where a package that comes back puts its own"
        return Impediments({}, f"{why}: move it away first. Nothing was touched.")
    if misfit and first:
        coming = undo_packages.coming(inversion)
        return Impediments(dict.fromkeys(coming, misfit), refusal(keeper.debs, misfit))
    return Impediments({}, "")


def _written_over(inversion: Inversion, keeper: Keeper) -> str:
    """Somebody's own file that dpkg would write over unasked, or ""; one that the undo itself
    takes away or puts back is none."""
    if keeper.host.is_practice:
        return ""
    there = inversion.current.get("packages", {})
    debs = (
        keeper.debs.find(name, version)
        for name, version in undo_packages.coming(inversion).items()
        if Package.of(there.get(name)) is None  # of one that is there, its scripts made links
    )
    found = replaced.in_the_way(keeper.host, [str(deb) for deb in debs if deb])
    ours = {one.delta.key for one in inversion.decisions if one.delta.domain == "files"}
    return next((path for path in found if path not in ours), "")


def _needed(inversion: Inversion) -> Iterator[Delta]:
    """What will be put back and was kept for it, as differences from now."""
    for decision in inversion.decisions:
        if (
            decision.changes
            and decision.delta.key not in inversion.besides
            and not _is_without_content(decision.target)
            and not _is_made(inversion, decision.target)
            and not _is_there(decision.target, inversion.now(decision.delta))
        ):
            delta = decision.delta
            yield Delta(delta.domain, delta.key, decision.target, inversion.now(delta))


def _is_without_content(item: Item | None) -> bool:
    """Directories, links, and all of a tree that was captured without contents."""
    return isinstance(item, FileItem) and not item.state.sha256 and not is_too_large(item)


def _is_made(inversion: Inversion, item: Item | None) -> bool:
    """A content that the merge just made is not on the disk yet."""
    made = inversion.contents
    return isinstance(item, FileItem) and (
        item.state.sha256 in made.made or item.state.sha256 in made.made_secret
    )


def _is_there(item: Item | None, now: Item | None) -> bool:
    """Whether only owner, mode or attributes change of what stands there."""
    sha256 = read_hash(item)
    return bool(sha256) and sha256 == read_hash(now)
