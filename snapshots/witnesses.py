"""Update windows and settled drift: what they changed was somebody's hand, and nobody relies on it.

An undo decides what becomes of the host as if they were not written down. But what they tell of
their beginning and their end becomes what it would have been without the transaction that is
undone. Otherwise their own undo would bring back what is that one's, or take away what is not
theirs. Pure but for contents.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from snapshots import disputes
from snapshots.captured import same
from snapshots.decision import Decision, Later
from snapshots.inverse import Inverse
from snapshots.model import Delta, Item, Key, SnapshotError, TransactionRecord
from snapshots.unread import as_told, seeing_content

if TYPE_CHECKING:
    from snapshots.inversion import Inversion


class Passed(msgspec.Struct, frozen=True):
    """What is to be taken out of the states of one thing where a later step found and left it.

    `step` is the id of its transaction. `None`: from here on everything stays as it is.
    """

    step: str
    found: Delta | None
    left: Delta | None


class Walks:
    """Of each thing that witnesses tell of: the later steps that were passed, oldest first."""

    def __init__(self, witnesses: Iterable[Later]) -> None:
        self._told = {key for one in witnesses for key in one.deltas}
        self.of: dict[Key, list[Passed]] = {}

    def watch(self, key: Key) -> bool:
        """Whether a witness tells of it."""
        return key in self._told

    def passed(self, step: Later, found: Delta, left: Delta | None) -> None:
        """Remember what is taken out where a later step found a thing, and where it left it."""
        key: Key = (found.domain, found.key)
        if self.watch(key):
            self.of.setdefault(key, []).append(Passed(step.record.id, found, left))

    def stop(self, delta: Delta, step: str = "") -> None:
        """From this later step on, or at all, nothing is taken out."""
        key: Key = (delta.domain, delta.key)
        if self.watch(key):
            before = [one for one in self.of.get(key, []) if one.step < step]
            self.of[key] = [*before, Passed(step, None, None)]


def apart(later: Iterable[Later]) -> tuple[list[Later], list[Later]]:
    """(steps, witnesses)."""
    steps: list[Later] = []
    witnesses: list[Later] = []
    for one in later:
        (steps if one.record.kind == "apply" else witnesses).append(one)
    return steps, witnesses


def outlasts(one: TransactionRecord, record: TransactionRecord) -> bool:
    """Whether `one` ended after `record` began: it came later, or is the window it was made in."""
    return one.id > record.id or record.id <= one.until


def foresee(inversion: Inversion, decisions: Iterable[Decision]) -> None:
    """Lay down what the witnesses will tell of what is decided."""
    for decision, witness, told, ended in _told(inversion, decisions):
        anew = _anew(inversion, decision, witness, told, ended)
        if anew is not None and decision.how != "regenerated":
            inversion.foreseen.setdefault(witness.record.id, {})[anew.domain, anew.key] = anew


def rebase(inversion: Inversion) -> None:
    """Change what the witnesses tell, once everything is decided."""
    for decision, witness, told, ended in _told(inversion, inversion.decisions):
        if decision.how == "regenerated":
            _refresh(inversion, decision, witness, told, ended)
        elif anew := _anew(inversion, decision, witness, told, ended):
            inversion.rebase(witness, anew, keep=True)


def _told(
    inversion: Inversion, decisions: Iterable[Decision]
) -> Iterator[tuple[Decision, Later, Delta, str]]:
    """What the witnesses tell of what is decided, and when they ended; not what they inherited."""
    if not inversion.witnesses:
        return
    ends = [(one, one.record.at_end[0]) for one in inversion.witnesses]
    for decision in decisions:
        key: Key = (decision.delta.domain, decision.delta.key)
        if decision.how == "conflict" or not inversion.walks.watch(key):
            continue
        for witness, ended in ends:
            told = witness.deltas.get(key)
            if told is not None and key not in inversion.rebased.get(witness.record.id, {}):
                yield decision, witness, told, ended


def _refresh(
    inversion: Inversion, decision: Decision, witness: Later, told: Delta, ended: str
) -> None:
    """Of what package tools make anew only what was there before ours counts, and what is last."""
    key: Key = (told.domain, told.key)
    came_after = not _encloses(witness.record, inversion.record)
    found_ours = came_after and same(told.before, decision.delta.after)
    before = decision.delta.before if found_ours else told.before
    inversion.rebase(witness, Delta(*key, before, told.after), keep=True)
    if not any(key in one.deltas and one.record.id > ended for one in inversion.later):
        inversion.refresh.add((witness.record.id, key))


def _anew(
    inversion: Inversion, decision: Decision, witness: Later, told: Delta, ended: str
) -> Delta | None:
    """What it tells then; `None` where that is what it tells now."""
    key: Key = (decision.delta.domain, decision.delta.key)
    began = told.before
    try:
        if not _encloses(witness.record, inversion.record):
            began = _without(inversion, decision, key, told.before, witness.record.id)
    except _Unclear:
        began = told.before
    try:
        left = _without(inversion, decision, key, told.after, ended)
    except _Unclear:
        left = told.after
    if same(began, told.before) and same(left, told.after):
        return None
    return as_told(told, began, left)


class _Unclear(Exception):
    """What is ours in a state cannot be told."""


def _without(
    inversion: Inversion, decision: Decision, key: Key, x: Item | None, moment: str
) -> Item | None:
    """`x`, which stood there after the transaction `moment`, as if ours had never been.

    Raises `_Unclear`.
    """
    item = _taken_out(inversion, decision, key, x, moment)
    return seeing_content(Delta(*key, None, item), x).after  # ours may not have read it


def _taken_out(
    inversion: Inversion, decision: Decision, key: Key, x: Item | None, moment: str
) -> Item | None:
    walk = inversion.walks.of.get(key, [])
    passed = [one for one in walk if one.step <= moment]
    out = passed[-1].left if passed else decision.delta
    if out is None:
        return x
    # What was made of the next state that is known was made of this one, if they are the same.
    if len(passed) < len(walk):
        coming = walk[len(passed)].found
        if coming is not None and same(coming.after, x):
            return coming.before
    elif same(x, now := inversion.now(decision.delta)):
        return decision.target if decision.changes else now
    if decision.delta.before is None and inversion.comes_with_package(decision.delta.key):
        return None  # without its package there is none, in whatever version
    seen = seeing_content(Delta(*key, None, x), out.after).after
    try:
        item, how = Inverse(out, inversion.contents).of(seen)
    except SnapshotError:  # a content that is damaged: the undo itself needs none of it
        raise _Unclear from None
    if how != "failed":
        return item
    if not decision.chosen:
        raise _Unclear
    try:  # as a person wanted it where it stands now
        return disputes.settle(decision.chosen, out, seen, inversion.contents).item
    except (disputes.Unmergeable, SnapshotError):
        raise _Unclear from None


def _encloses(window: TransactionRecord, record: TransactionRecord) -> bool:
    """Of what ended after `record` began: whether it began before that too."""
    return window.id < record.id
