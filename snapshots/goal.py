"""What a host shall become, and what of it does not come back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from snapshots.accounts_since import AccountsSince
from snapshots.capture import Keeper
from snapshots.captured import WITHOUT_FILE, Captured, each_difference, is_locked
from snapshots.domains.base import Domain
from snapshots.domains.packages import LEFTOVER
from snapshots.model import Activation, Delta, Item, Key, Root, Validation, ValueItem
from snapshots.others import OfOthers, with_items_of
from snapshots.strangers import left_to_them, with_what_came

Mind = Callable[[Mapping[str, Item | None], Mapping[str, Item]], None]
"""Told what will be written over, as it shall be, and what it is now."""


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What the host shall become, and what makes daemons take it.

    `free` are files that are left as package tools make them; `named` those that count although
    they are volatile. `besides`: packages that apt brings with others and of which nobody knows
    what they bring; all of it stays but the files that are `decided`.
    """

    captured: Captured
    roots: tuple[Root, ...] = ()
    validations: tuple[Validation, ...] = ()
    activations: tuple[Activation, ...] = ()
    named: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()
    besides: frozenset[str] = frozenset()
    decided: frozenset[str] = frozenset()
    persons: AccountsSince | None = None
    """Who is asked what others changed of persons' accounts since this was decided."""

    @property
    def loose(self) -> tuple[str, ...]:
        return tuple(root.path for root in self.roots if not root.content)


def accepting(keeper: Keeper, goal: Goal, now: Captured) -> Goal:
    """The goal with what others changed, or packages brought that came `besides`, as it is now."""
    captured = left_to_them(keeper.host, goal.captured, now, goal.named)
    captured = with_what_came(keeper.host, captured, now, goal.decided | goal.named, goal.besides)
    return msgspec.structs.replace(goal, captured=captured)


def with_persons(goal: Goal) -> Goal:
    """The goal with what others changed of persons' accounts meanwhile."""
    kept = goal.persons.kept_in(goal.captured.get("files", {})) if goal.persons else {}
    keys: set[Key] = {("files", path) for path in kept}
    return msgspec.structs.replace(
        goal, captured=with_items_of(goal.captured, keys, {"files": kept})
    )


def leaving_to_others(goal: Goal, keys: Collection[Key], now: Captured) -> Goal:
    """The goal with these as they are now."""
    return msgspec.structs.replace(goal, captured=with_items_of(goal.captured, keys, now))


def wanted_of(
    goal: Goal, domain: Domain, now: dict[str, Item], of_others: OfOthers
) -> dict[str, Item | None]:
    """What of this kind is not as `goal` wants it, as it shall be."""
    wanted = each_difference(
        {domain.name: goal.captured.get(domain.name, {})},
        {domain.name: now},
        named=goal.named,
        loose=goal.loose,
    )
    deltas = [one for one in wanted if not (one.domain == "files" and one.key in goal.free)]
    theirs = of_others(deltas)
    return {one.key: one.before for one in deltas if (one.domain, one.key) not in theirs}


def what_is_left(goal: Goal, now: Captured) -> list[Delta]:
    """How `now` still differs from `goal`, without what nobody can bring back."""
    return [
        delta
        for delta in each_difference(now, goal.captured, named=goal.named, loose=goal.loose)
        if not _tolerable(goal, delta)
    ]


def _tolerable(goal: Goal, delta: Delta) -> bool:
    if delta.domain == "files":
        return delta.key in goal.free
    if delta.domain == "packages":
        return delta.before is None and delta.after == ValueItem(LEFTOVER)
    if delta.domain == "kernel":
        return is_locked(delta.key, delta.before)
    if delta.domain == "units":
        if delta.after == ValueItem(WITHOUT_FILE):
            return True
        # A unit that had failed and is stopped now is as good; it cannot be made to fail again.
        return getattr(delta.after, "value", "") == "failed" and delta.before is None
    if delta.domain == "firewall":
        # A built-in chain is there, empty, as long as its table is.
        table = " ".join(delta.key.split(" ")[:2])
        kept = table in goal.captured.get("firewall", {})
        return kept and delta.after is None and delta.before == ValueItem("policy ACCEPT")
    return False
