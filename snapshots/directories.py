"""Directories in a history: who took one away, who needed it, who made it something else. Pure.

Without the transaction that is undone, whoever first put something in its directory would have made
that directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from snapshots.captured import same
from snapshots.decision import Later
from snapshots.model import Delta, DomainName, FileItem, Item, Key

if TYPE_CHECKING:
    from snapshots.inversion import Inversion


def is_dir(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"


def is_other(item: Item | None) -> bool:
    """Whether nothing can lie in it."""
    return item is not None and not is_dir(item)


def parents(path: str) -> Iterator[str]:
    """The directories that it lies in, from the nearest."""
    while path := path.rpartition("/")[0]:
        yield path


def is_made(delta: Delta) -> bool:
    """Whether it is about a directory where there was none before."""
    return delta.domain == "files" and is_dir(delta.after) and not is_dir(delta.before)


def is_covered(delta: Delta) -> bool:
    """Whether it made something else of a directory, in which nothing can lie."""
    return delta.domain == "files" and is_dir(delta.before) and is_other(delta.after)


def remover(inversion: Inversion, delta: Delta) -> Later | None:
    """Who first took our directory away, or found it taken away."""
    key: Key = (delta.domain, delta.key)
    fitting = (
        later
        for later in inversion.everybody
        if later.record.id > inversion.record.id
        and (theirs := later.deltas.get(key))
        and not (is_dir(theirs.before) and is_dir(theirs.after))
    )
    return next(fitting, None)


def filler(inversion: Inversion, delta: Delta, until: Later | None) -> Later | None:
    """Who first put something in our directory, before that other one ended."""
    heir = _window_filled(inversion, delta) or first_inside(
        inversion, "files", f"{delta.key}/", new=True
    )
    if heir is None or (until is not None and heir.record.at_end > until.record.at_end):
        return None
    found = heir.deltas.get((delta.domain, delta.key))
    return heir if found is None or is_dir(found.before) else None  # else it made its own


def _window_filled(inversion: Inversion, delta: Delta) -> Later | None:
    """The window in which ours was made, if something else lay in our directory at its end: there
    was none before ours, so it came after that."""
    mine = {decision.delta.key for decision in inversion.decisions}
    for later in inversion.everybody:
        if later.record.id < inversion.record.id and any(
            theirs.after is not None and theirs.key not in mine
            for theirs in inversion.below(later, "files", f"{delta.key}/")
        ):
            return later
    return None


def finder(inversion: Inversion, delta: Delta, until: Later | None) -> Later | None:
    """Who first found something in it that nobody is known to have put there, no later than that
    other one."""
    found = [
        later
        for later in inversion.everybody
        if later.record.id > inversion.record.id
        and not (until is not None and later.record.id > until.record.id)
        and any(
            theirs.before is not None and theirs.key not in inversion.makes
            for theirs in inversion.below(later, "files", f"{delta.key}/")
        )
    ]
    return min(found, key=lambda one: one.record.id, default=None)


def came_in(inversion: Inversion, delta: Delta, finder: Later, window: Later) -> bool:
    """Whether all that was found in the directory came in the window in which it was found."""
    inside = f"{delta.key}/"
    found = [one for one in inversion.below(finder, "files", inside) if one.before is not None]
    told = [inversion.tells(window, ("files", one.key)) for one in found]
    return all(one is not None and one.before is None for one in told)


def emptied(inversion: Inversion, delta: Delta) -> Later | None:
    """Of our directory, empty now: who first put something in it, if a later one took that out."""
    heir = first_inside(inversion, "files", f"{delta.key}/", new=True)
    if heir is None:
        return None
    taken_out = any(
        theirs.before is not None
        for later in inversion.everybody
        if later.record.at_end > heir.record.at_end
        for theirs in inversion.below(later, "files", f"{delta.key}/")
    )
    return heir if taken_out else None


def first_inside(
    inversion: Inversion, domain: DomainName, inside: str, *, new: bool = False
) -> Later | None:
    """The first later step or witness that left something there (`new`: that was not there
    before)."""
    fitting = (
        later
        for later in inversion.everybody
        if any(
            theirs.after is not None
            and not (theirs.before is not None if new else same(theirs.before, theirs.after))
            for theirs in inversion.below(later, domain, inside)
        )
    )
    return next(fitting, None)


def first_coverer(inversion: Inversion, delta: Delta) -> tuple[str, Later] | None:
    """Who first made a directory something else in which our file would have lain, and which one.

    `None` also where others told of the file itself before that.
    """
    key: Key = (delta.domain, delta.key)
    above: list[Key] = [("files", path) for path in parents(delta.key)]
    for later in inversion.everybody:
        encloses = later.record.holds(inversion.record)
        for place in above:
            if encloses and place[1] in inversion.covers:
                continue  # it tells of what ours did
            theirs = inversion.tells(later, place)
            if theirs is not None and is_other(theirs.after):
                return place[1], later
        if later.record.kind != "window" and inversion.tells(later, key):
            return None  # a window tells of what is in it
    return None


def coverer(inversion: Inversion, path: str) -> Later | None:
    """Who made this directory something else, which it is since."""
    key: Key = ("files", path)
    found: list[tuple[str, Later | None]] = []  # id at whose end it was so, and who did it
    by: Later | None = None
    for later in inversion.everybody:
        theirs = inversion.tells(later, key)
        if theirs is None:
            continue
        if not is_other(theirs.after):
            by = None
        elif is_other(theirs.before) and later.record.kind == "window":  # whatever was in it
            earlier = (one for end, one in reversed(found) if end < later.record.id)
            by = next(earlier, None) or by or later
        else:
            by = by or later
        found.append((later.record.at_end[0], by))
    return by
