"""The language of iptables-save and iptables-restore, as pure functions.

fail2ban's chains (`f2b-…`) and the rules that jump to them come and go with every ban; they are
never part of what is compared, and stay where they are when something else is put back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

FAMILIES = {"ip": "iptables", "ip6": "ip6tables"}
"""The program's name by the family of the tables it manages."""

BUILT_IN_TABLES = ("filter", "nat", "mangle", "raw", "security")

_TO_FAIL2BAN = re.compile(r" -[jg] f2b-")
_JUMP = re.compile(r" -[jg] (\S+)")


class Chain(msgspec.Struct, frozen=True):
    """A chain. `policy` is ACCEPT, DROP … for a built-in one, "" for any other.

    `rules` are as iptables-save prints them ("-A INPUT -i lo -j ACCEPT").
    """

    policy: str = ""
    rules: tuple[str, ...] = ()

    @property
    def inert(self) -> bool:
        """A built-in chain that lets everything pass: nothing would be different without it."""
        return self.policy == "ACCEPT" and not self.rules

    def to_text(self) -> str:
        """One line a rule, after a line "policy DROP" for a built-in chain."""
        head = [f"policy {self.policy}"] if self.policy else []
        return "\n".join([*head, *self.rules])

    @classmethod
    def from_text(cls, text: str) -> Chain:
        lines = text.splitlines()
        if lines and lines[0].startswith("policy "):
            return cls(lines[0].removeprefix("policy "), tuple(lines[1:]))
        return cls("", tuple(lines))


Chains = dict[str, Chain]


def parse(saved: str) -> dict[str, Chains]:
    """What iptables-save printed, by table and chain; packet counters are dropped.

    Tables it could not express (it says so in a comment) are left out.
    """
    tables: dict[str, Chains] = {}
    chains: Chains = {}
    for line in saved.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            chains[name] = Chain("" if policy == "-" else policy)
        elif line.startswith("-A "):
            name = line.split(maxsplit=2)[1]
            chain = chains[name]
            chains[name] = Chain(chain.policy, (*chain.rules, line.rstrip()))
    return tables


def without_fail2ban(chains: Mapping[str, Chain]) -> Chains:
    """What does not come and go with bans; empty where fail2ban alone made the table."""
    own = {
        name: Chain(chain.policy, tuple(r for r in chain.rules if not _TO_FAIL2BAN.search(r)))
        for name, chain in chains.items()
        if not name.startswith("f2b-")
    }
    if own != chains and all(chain.inert for chain in own.values()):
        return {}
    return own


def target(
    now: Mapping[str, Chain], wanted: Mapping[str, Chain | None], *, fail2ban: bool
) -> Chains:
    """The chains a table shall have: `wanted` over `now`, everything else as it is.

    With `fail2ban` (it is installed) its jumps stay first in the chains that have them; without,
    its leftovers go. A built-in chain that must go accepts instead, and keeps the jumps to chains
    that others made since (Docker's, for one) and that stay.
    """
    others = {name for name, chain in now.items() if name not in wanted and not chain.policy}
    if not fail2ban:
        others = {name for name in others if not name.startswith("f2b-")}
    chains: Chains = {}
    for name in {**now, **wanted}:
        if name.startswith("f2b-") and not fail2ban:
            continue
        old = now.get(name, Chain())
        chain = wanted.get(name, old)
        if chain is None and old.policy:
            chains[name] = Chain("ACCEPT", tuple(r for r in old.rules if _goes_to(r) in others))
        elif chain is not None:
            bans = tuple(r for r in old.rules if _TO_FAIL2BAN.search(r))
            rest = tuple(r for r in chain.rules if not _TO_FAIL2BAN.search(r))
            if name not in wanted and fail2ban:
                chains[name] = chain
            else:
                chains[name] = Chain(chain.policy or old.policy, bans + rest if fail2ban else rest)
    return chains


def _goes_to(rule: str) -> str:
    """The chain a rule jumps or goes to ("" for none)."""
    found = _JUMP.search(rule)
    return found.group(1) if found else ""


def script(table: str, now: Mapping[str, Chain], then: Mapping[str, Chain]) -> str:
    """Input for `iptables-restore --noflush`: makes `then` of `now` in one step.

    Chains that stay as they are, are not mentioned: they keep their counters, and a ban that
    fail2ban adds meanwhile.
    """
    declare: list[str] = []
    empty: list[str] = []
    fill: list[str] = []
    for name, chain in then.items():
        if now.get(name) == chain:
            continue
        declare.append(f":{name} {chain.policy or '-'} [0:0]")
        if chain.policy:
            empty.append(f"-F {name}")
        fill += chain.rules
    gone = [name for name, chain in now.items() if name not in then and not chain.policy]
    empty += [f"-F {name}" for name in gone]
    delete = [f"-X {name}" for name in gone]
    return "\n".join([f"*{table}", *declare, *empty, *fill, *delete, "COMMIT", ""])
