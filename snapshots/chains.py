"""Telling apart a chain's rules: those of the step that made it, and those of others. Pure.

Before the step such a chain was not there, which is as good as one without rules.
"""

from __future__ import annotations

from collections import Counter

from snapshots.domains.firewall_iptables import Chain
from snapshots.model import Delta, Item, ValueItem


def rules_of_others(after: Item | None, now: Item | None) -> tuple[Item | None, bool]:
    """The chain without the step's own rules (`None`: nothing is left), and whether that is sure.

    It is not where some of the step's rules are gone and others are there: one may stand in for the
    other. Of a chain in nft's words nothing can be told, and it is returned as it is.
    """
    if not isinstance(after, ValueItem) or not isinstance(now, ValueItem):
        return now, False
    if after.value.startswith("\t") or now.value.startswith("\t"):
        return now, False
    ours, there = Chain.from_text(after.value), Chain.from_text(now.value)
    left = Counter(ours.rules)
    added = []
    for rule in there.rules:
        if left[rule]:
            left[rule] -= 1
        else:
            added.append(rule)
    policy = there.policy
    if policy == ours.policy:
        policy = "ACCEPT" if policy else ""
    rest = Chain(policy, tuple(added))
    is_nothing = rest.inert or rest == Chain()
    return None if is_nothing else ValueItem(rest.to_text()), not (added and left.total())


def is_chain(delta: Delta) -> bool:
    """Whether it is about a chain that a step made, and not the table around it."""
    return delta.domain == "firewall" and delta.before is None and delta.key.count(" ") > 1
