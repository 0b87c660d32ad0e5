"""What others tell anew after an undo, made to fit together. Pure.

Nothing lies in what is no directory, and nobody could have removed one that still held something.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from snapshots.captured import same
from snapshots.decision import Later
from snapshots.directories import is_covered, is_dir, is_other, parents
from snapshots.model import Delta, Item, Key

if TYPE_CHECKING:
    from snapshots.inversion import Inversion


def moves(old: Delta | None, new: Delta) -> bool:
    """Whether a file of which others tell anew came or went, or a directory became none."""
    if new.domain != "files" or old is None:
        return False
    return any(
        (left is None) != (right is None) or is_dir(left) != is_dir(right)
        for left, right in ((old.before, new.before), (old.after, new.after))
    )


def make_sound(inversion: Inversion) -> None:
    """Where others tell anew of one state, nothing lies in what is no directory.

    A directory stays one if something else lies in it, and nothing comes below a link.
    """
    for later in inversion.everybody:
        for key, new in list(inversion.moved.get(later.record.id, {}).items()):
            old = later.deltas[key]
            before = _sound(inversion, later, key, "before")
            after = _sound(inversion, later, key, "after")
            sides = (old.before if before else new.before, old.after if after else new.after)
            if before or after:
                is_window = later.record.kind == "window"
                inversion.rebase(later, Delta(*key, *sides), keep=is_window)


def _sound(inversion: Inversion, later: Later, key: Key, side: Literal["before", "after"]) -> bool:
    """Whether one side must stay as it was, as it cannot be anew beside the rest that is told."""
    old: Item | None = getattr(later.deltas[key], side)
    new: Item | None = getattr(inversion.moved[later.record.id][key], side)
    if is_dir(old) and not is_dir(new):
        inside = f"{key[1]}/"
        return any(
            getattr(theirs, side) is not None for theirs in inversion.below(later, "files", inside)
        )
    if old is None and new is not None:
        above = (inversion.tells(later, ("files", path)) for path in parents(key[1]))
        return any(theirs is not None and is_other(getattr(theirs, side)) for theirs in above)
    return False


def never_removed(inversion: Inversion) -> None:
    """Rewrite what others tell of directories in which something comes back.

    Whoever removed one of them could not have, and nobody would have made it anew. A window in
    which ours was made, and at whose end there was none, has one at its end now.
    """
    if not inversion.inhabited and not inversion.hidden:
        return
    everybody = inversion.everybody
    told = {
        key[1]
        for later in everybody
        for key, theirs in inversion.theirs(later).items()
        if theirs is not None and is_dir(theirs.before) != is_dir(theirs.after)
    }
    there = inversion.current.get("files", {})
    for path, item in inversion.inhabited.items():
        if path in told or path not in there:
            _stood(inversion, everybody, path, item)
    for path, heir in inversion.hidden.items():
        until = [one for one in everybody if one.record.at_end < heir.record.at_end]
        for place in reversed(list(parents(path))):
            if place in told:
                _stood_until(inversion, until, heir, place)


def covered_went(inversion: Inversion) -> None:
    """Whoever made a directory something else took away what others tell anew to lie in it."""
    anew = sorted({path for moved in inversion.moved.values() for _, path in moved})
    above = {place for path in anew for place in parents(path)}
    for coverer in inversion.everybody:
        if coverer.record.id <= inversion.record.id:
            continue
        told = ((place, inversion.tells(coverer, ("files", place))) for place in above)
        covered = [f"{place}/" for place, theirs in told if theirs and is_covered(theirs)]
        for path in (one for one in anew if one.startswith(tuple(covered))):
            key: Key = ("files", path)
            item = None if inversion.tells(coverer, key) else _last(inversion, coverer, key)
            if item is not None:
                inversion.rebase(coverer, Delta(*key, item, None))


def _last(inversion: Inversion, until: Later, key: Key) -> Item | None:
    """How the last that ended before that one began left it, as far as others tell."""
    for later in reversed(inversion.everybody):
        theirs = inversion.tells(later, key) if later.record.at_end[0] < until.record.id else None
        if theirs is not None:
            return theirs.after
    return None


def _stood_until(inversion: Inversion, before: list[Later], heir: Later, path: str) -> None:
    """Tell that this directory was there until `heir` made it, or one around it, something else."""
    key: Key = ("files", path)
    told = [theirs for one in before if (theirs := inversion.tells(one, key))]
    item = next((one.before for one in told if is_dir(one.before)), None)
    theirs = inversion.tells(heir, key)
    if theirs is None and _is_covered_by(inversion, heir, path):
        theirs = Delta(*key, None, None)
    if item is None or theirs is None or is_dir(theirs.before):
        return
    _stood(inversion, before, path, item)
    inversion.rebase(heir, Delta(*key, item, theirs.after), keep=heir.record.kind == "window")
    for window in inversion.witnesses:  # began with it, too, if the heir was made in it
        found = inversion.tells(window, key)
        is_since = window.record.id > inversion.record.id
        if found and is_since and window.record.holds(heir.record) and not is_dir(found.before):
            inversion.rebase(window, Delta(*key, item, found.after), keep=True)


def _is_covered_by(inversion: Inversion, later: Later, path: str) -> bool:
    """Whether it left something else where a directory was in which this lay."""
    above = (inversion.tells(later, ("files", place)) for place in parents(path))
    return any(one is not None and is_covered(one) for one in above)


def _stood(inversion: Inversion, everybody: list[Later], path: str, item: Item) -> None:
    """Tell that this directory was there all the time since ours; `item` is how it stands now."""
    key: Key = ("files", path)
    last: list[tuple[str, Item]] = []  # id at whose end it was so, oldest first
    for number, later in enumerate(everybody):
        theirs = inversion.tells(later, key)
        holds = later.record.holds(inversion.record)
        if theirs is None:
            if not holds or is_dir(_next(inversion, everybody[number + 1 :], later, key)):
                continue
            theirs = Delta(*key, None, None)
        before, after = theirs.before, theirs.after
        if not is_dir(before) and not holds:
            before = next((one for end, one in reversed(last) if end < later.record.id), item)
        if not is_dir(after):
            made_again = any(
                again is not None and is_dir(again.after)
                for one in everybody[number + 1 :]
                if (again := inversion.tells(one, key))
            )
            after = before if made_again and before is not None else item
        if after is not None:
            last.append((later.record.at_end[0], after))
        if not (same(before, theirs.before) and same(after, theirs.after)):
            is_window = later.record.kind == "window"
            inversion.rebase(later, Delta(*key, before, after), keep=is_window)


def _next(inversion: Inversion, since: Sequence[Later], window: Later, key: Key) -> Item | None:
    """What stood there at the end of a window that does not tell."""
    after = (one for one in since if one.record.id > window.record.until)
    for later in sorted(after, key=lambda one: one.record.id):
        theirs = inversion.tells(later, key)
        if theirs is not None:
            return theirs.before
    return inversion.current.get("files", {}).get(key[1])
