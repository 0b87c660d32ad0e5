"""Who inherits what an undo cannot take back yet: it goes with their own undo. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from snapshots import directories
from snapshots.decision import Later, name_of
from snapshots.model import Delta, Item, Key, TransactionRecord

if TYPE_CHECKING:
    from snapshots.inversion import Inversion


def inherit(inversion: Inversion, heir: Later, delta: Delta, after: Item | None) -> None:
    """Let a later transaction take this back with its own changes.

    It left what it tells, or what the next one found, or else `after`. The window in which ours
    was made knows what was there at its own beginning. One that began later, and in which the
    heir was made, finds at its end what it did not begin with. What came later stays as it is.
    """
    key: Key = (delta.domain, delta.key)
    began = delta.before
    if heir.record.id <= inversion.record.id:  # the window
        if key not in heir.deltas:
            return
        began = heir.deltas[key].before
    since = [one for one in inversion.everybody if one.record.id > heir.record.at_end[0]]
    since.sort(key=lambda one: one.record.id)
    for one in since:
        inversion.rebased.get(one.record.id, {}).pop(key, None)
        inversion.moved.get(one.record.id, {}).pop(key, None)
    tells = next((one.deltas[key] for one in since if key in one.deltas), None)
    left = heir.deltas[key].after if key in heir.deltas else tells.before if tells else after
    inversion.rebase(heir, Delta(*key, began, left))
    _in_windows_of(inversion, heir, Delta(*key, delta.before, left))


def leave_hidden(inversion: Inversion, heir: Later, delta: Delta, item: Item | None) -> bool:
    """Let a later transaction, in whose way it is, have taken this away as it would come back.

    False where that one tells otherwise.
    """
    key: Key = (delta.domain, delta.key)
    if heir.record.id > inversion.record.id:  # a window in which ours was made knows what was there
        if inversion.tells(heir, key):
            return _hidden_in_window_of(inversion, heir, delta)
        inversion.rebase(heir, Delta(*key, item, None))
        _in_windows_of(inversion, heir, Delta(*key, item, None))
    inversion.hidden[delta.key] = heir
    inversion.walks.stop(delta, heir.record.id)
    return True


def _hidden_in_window_of(inversion: Inversion, heir: Later, delta: Delta) -> bool:
    """Whether a window with the heir in it found none there: then it came and went in it."""
    key: Key = (delta.domain, delta.key)
    for window in _windows_of(inversion, heir):
        told = window.deltas.get(key)
        if told is not None and told.before is None:
            inversion.walks.stop(delta, heir.record.id)
            return True
    return False


def _windows_of(inversion: Inversion, heir: Later) -> Iterator[Later]:
    """The windows that began after ours and in which the heir was made."""
    for one in inversion.witnesses:
        if one.record.id > inversion.record.id and one.record.holds(heir.record):
            yield one


def _in_windows_of(inversion: Inversion, heir: Later, delta: Delta) -> None:
    """Let the windows in which the heir was made tell of it, too."""
    for window in _windows_of(inversion, heir):
        if (delta.domain, delta.key) not in window.deltas:
            inversion.rebase(window, delta)


def went_since(inversion: Inversion, delta: Delta, now: Item | None, chain: list[Later]) -> bool:
    """Decide of our directory if others took it away, and something had come into it before."""
    remover = directories.remover(inversion, delta)
    if remover is None and directories.is_dir(now):
        return False
    key: Key = (delta.domain, delta.key)
    if heir := directories.filler(inversion, delta, remover):
        heirs: tuple[TransactionRecord, ...] = (heir.record,)
        note = f"{name_of(heir.record)} put something in it"
        inherit(inversion, heir, delta, delta.after)
    elif heir := directories.finder(inversion, delta, remover):
        heirs, note = (), f"{name_of(heir.record)} found something in it"
        for window in _windows_of(inversion, heir):
            lasted = remover is None or remover.record.at_end > window.record.at_end
            if lasted and directories.came_in(inversion, delta, heir, window):
                heir, heirs = window, (window.record,)
                inherit(inversion, heir, delta, delta.after)
    else:
        return False
    for later in chain:
        if later.record.id < heir.record.id:  # without ours there was none yet
            inversion.rebase(later, Delta(*key, delta.before, delta.before))
    inversion.walks.stop(delta, heir.record.id)
    inversion.say(delta, "handed-over" if heirs else "already", note=note, heirs=heirs)
    return True


def was_filled(inversion: Inversion, delta: Delta, now: Item | None, chain: list[Later]) -> bool:
    """Decide of our directory if something came into it before others changed the directory."""
    if not chain:
        return False
    heir = directories.filler(inversion, delta, chain[0])
    if heir is None or not inversion.record.id < heir.record.id < chain[0].record.id:
        return False
    inherit(inversion, heir, delta, now)
    inversion.walks.stop(delta, heir.record.id)
    note = f"{name_of(heir.record)} put something in it"
    inversion.say(delta, "handed-over", note=note, heirs=(heir.record,))
    return True


def was_hidden(inversion: Inversion, delta: Delta) -> bool:
    """Whether somebody made its directory something else since: that one took it away."""
    if delta.domain != "files" or delta.before is None or delta.after is not None:
        return False
    found = directories.first_coverer(inversion, delta)
    if found is None or not leave_hidden(inversion, found[1], delta, delta.before):
        return False
    note = f"{found[0]}, in which it lay, was no directory after {name_of(found[1].record)}"
    inversion.say(delta, "handed-over", note=note, heirs=(found[1].record,))
    return True
