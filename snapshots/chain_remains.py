"""Where rules of others may stay in a chain of the packet filter that a step made. Pure.

The step's own rules go with it, others stay, but only where they would still be seen and be in
force: a rule that nobody can see any more, or that nothing leads to, is as good as lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from snapshots.chains import is_chain, rules_of_others
from snapshots.decision import Clash
from snapshots.disputes import GIVEN_UP, KEPT, MERGED
from snapshots.model import Item, Resolution, ValueItem

if TYPE_CHECKING:
    from snapshots.decision import Decision
    from snapshots.inversion import Inversion

_JUMP = re.compile(r"(?: -[jg]|\bjump|\bgoto) (\S+)")


def settle_chains(inversion: Inversion) -> None:
    """Make it a conflict where rules of others would stay in a chain, and cannot."""
    for decision in inversion.decisions:
        if is_chain(decision.delta) and decision.how in ("merge", "kept", "conflict"):
            cannot = _cannot(inversion, decision)
            if decision.how == "conflict" or (decision.chosen or "merge") in cannot:
                _dispute(inversion, decision, cannot)


def _dispute(inversion: Inversion, decision: Decision, cannot: dict[Resolution, str]) -> None:
    delta = decision.delta
    now = inversion.now(delta)
    decision.clashes = decision.clashes or (Clash(delta.after, now),)
    decision.cannot = {**decision.cannot, **cannot}
    choice = inversion.resolutions.of(delta.key)
    if choice is None or choice in decision.cannot:
        decision.how, decision.target, decision.chosen = "conflict", None, ""
        decision.note = decision.note if choice is None else ""
        return
    decision.chosen = choice
    if choice == "restore":
        decision.how, decision.target = "restore", None
        decision.note = f"{GIVEN_UP}this undo"
    elif choice == "merge":
        decision.how, decision.note = "merge", MERGED
    else:
        decision.how, decision.target, decision.note = "kept", None, KEPT


def _cannot(inversion: Inversion, decision: Decision) -> dict[Resolution, str]:
    """Why rules of others cannot stay in this chain, for each way in which they would."""
    now = inversion.now(decision.delta)
    program = "nftables" if isinstance(now, ValueItem) and now.value.startswith("\t") else ""
    program = program or "iptables"
    if _goes(inversion, program):
        why = (
            f"{program} goes with the step, and without it no rule can be kept;"
            f" `apt-mark manual {program}` makes it stay"
        )
        return {"keep-current": why, "merge": why}
    cannot: dict[Resolution, str] = {}
    rest = decision.target
    if decision.how != "merge":
        rest, _ = rules_of_others(decision.delta.after, now)
    ways: tuple[tuple[Resolution, Item | None], ...] = (("keep-current", now), ("merge", rest))
    for choice, item in ways:
        why = _why_not(inversion, decision.delta.key, item)
        if why:
            cannot[choice] = why
    return cannot


def _goes(inversion: Inversion, package: str) -> bool:
    return any(
        one.delta.domain == "packages"
        and one.delta.key.partition(":")[0] == package
        and one.changes
        and one.target is None
        for one in inversion.decisions
    )


def _why_not(inversion: Inversion, key: str, item: Item | None) -> str:
    """Why a chain cannot stand as `item` once all is undone; empty if it can."""
    if not isinstance(item, ValueItem):
        return ""
    table, _, name = key.rpartition(" ")
    going = {
        one.delta.key
        for one in inversion.decisions
        if one.delta.domain == "firewall" and one.changes and one.target is None
    }
    for target in _jumps(item):
        if f"{table} {target}" in going:
            return f"a rule in it leads to {target}, which goes"
    if item.value.startswith(("\t", "policy ")):
        return ""  # the kernel itself comes here
    unsure = {one.delta.key for one in inversion.decisions if one.how == "conflict"}
    for other, there in inversion.target("firewall").get("firewall", {}).items():
        beside = other.startswith(f"{table} ") and other not in (key, *unsure)
        if beside and name in _jumps(there):
            return ""
    return "without the step nothing leads to this chain, so its rules would not be in force"


def _jumps(item: Item) -> Iterable[str]:
    """The names that its rules lead to, targets such as ACCEPT among them."""
    return _JUMP.findall(item.value) if isinstance(item, ValueItem) else ()
