"""What packages decide in an undo: what stays with them, and what their tools make anew. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snapshots.captured import same
from snapshots.decision import Kept, Later, name_of
from snapshots.directories import first_inside, is_made
from snapshots.heirs import inherit
from snapshots.model import Delta, Item, Key

if TYPE_CHECKING:
    from snapshots.inversion import Inversion


def hand_over(
    inversion: Inversion, delta: Delta, now: Item | None, chain: list[Later], kept: Kept
) -> None:
    """Leave what belongs to a package that stays to whoever needs that.

    `chain` are the later steps that changed it too.
    """
    if delta.domain == "packages" and delta.key in kept.wanted:
        inversion.walks.stop(delta)
        inversion.say(delta, "kept", note=kept.wanted[delta.key])
        return
    if delta.domain == "files" and delta.key in kept.beyond:
        inversion.walks.stop(delta)
        inversion.say(delta, "already", note=f"stays: {kept.beyond[delta.key]}")
        return
    if delta.domain == "files" and delta.key in kept.put:
        inversion.walks.stop(delta)
        inversion.say(delta, "left", note=kept.put[delta.key])
        return
    owner = kept.owner(delta)
    needer = kept.packages.get(owner, owner)
    heir_id = kept.heirs.get(owner, "")
    note = f"kept: needed by {needer}"
    if delta.domain == "files" and delta.key in kept.places:
        note = f"kept: {owner} came in place of its package, and may use it"
    if not heir_id:
        inversion.walks.stop(delta)
        inversion.say(delta, "handed-over", note=note)
        return
    if owner not in kept.packages and is_made(delta):
        # Whoever came first and has something in it: to the others it was there.
        inner = first_inside(inversion, "files", f"{delta.key}/", new=True)
        heir_id = min(heir_id, inner.record.id) if inner else heir_id
    everybody = (*inversion.later, *inversion.witnesses)
    heir = next(later for later in everybody if later.record.id == heir_id)
    key: Key = (delta.domain, delta.key)
    first = min(
        (one for one in (*chain, heir) if key in one.deltas),
        key=lambda one: one.record.id,
        default=None,
    )
    if first is None or first.record.id > heir_id:
        inherit(inversion, heir, delta, delta.after if first else now)
    else:
        inherit(inversion, first, delta, first.deltas[key].after)
    inversion.walks.stop(delta, min(heir_id, first.record.id) if first else heir_id)
    note = f"{note} ({name_of(heir.record)})"
    inversion.say(delta, "handed-over", note=note, heirs=(heir.record,))


def left_to_alternatives(inversion: Inversion, delta: Delta, chain: list[Later]) -> None:
    """update-alternatives makes of a group what it shall be without the package that goes."""
    if chain:
        _follow(inversion, delta, chain)
    inversion.free.add(delta.key)
    inversion.say(delta, "regenerated", note="others are in this group of alternatives, too")


def _follow(inversion: Inversion, delta: Delta, chain: list[Later]) -> None:
    """The later steps begin where this one did, and end where the host does."""
    key: Key = ("files", delta.key)
    first, last = chain[0], chain[-1]
    theirs = inversion.theirs(first).get(key)
    if theirs is not None:
        inversion.rebase(first, Delta(*key, delta.before, theirs.after), keep=True)
    inversion.refresh.add((last.record.id, key))


def made_anew(inversion: Inversion, delta: Delta, now: Item | None, chain: list[Later]) -> None:
    """Of a file that package tools make anew only the first and the last state count."""
    if chain:
        _follow(inversion, delta, chain)
        inversion.free.add(delta.key)
        inversion.say(delta, "regenerated")
    elif same(now, delta.after):
        inversion.say(delta, "restore", delta.before)
    elif same(now, delta.before):
        inversion.say(delta, "already")
    else:
        inversion.free.add(delta.key)
        inversion.say(delta, "regenerated")
