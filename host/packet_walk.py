"""What a packet filter would do with one TCP packet. Pure; a rule that cannot be judged is unknown.

Both languages of rules (`host.facts.iptables_packet`, `host.facts.nft_packet`) say of each rule
whether the packet fits it; here it is led through the chains. Where a rule may fit or not, both
ways are followed, and only if all of them end alike is the answer known.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Action = Literal["accept", "drop", "jump", "goto", "return", "next", "unknown"]
Hook = Literal["INPUT", "OUTPUT"]
Fits = bool | None
"""Whether a packet fits a condition; `None`: cannot be told."""


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP packet from one machine to another; a new connection (SYN) or part of one.

    Interfaces are "" where they are not known. One that comes in is for this host itself.
    """

    source: Address
    destination: Address
    source_port: int
    port: int
    state: Literal["new", "established"] = "new"
    interface_in: str = ""
    interface_out: str = ""

    @property
    def later(self) -> Packet:
        """A packet the same way, once the connection stands."""
        return msgspec.structs.replace(self, state="established")

    @property
    def reply(self) -> Packet:
        """A packet of the answer, once the connection stands."""
        return Packet(
            source=self.destination,
            destination=self.source,
            source_port=self.port,
            port=self.source_port,
            state="established",
            interface_out=self.interface_in,
        )


class Hop(msgspec.Struct, frozen=True):
    """One rule as this packet meets it. `target` is the chain of a jump or goto; `text` the rule.

    "next": it has no say about the packet's way. "unknown": it decides, nobody can tell how.
    """

    fits: Fits
    action: Action
    text: str = ""
    target: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """`rule` is the one that decides, or the first that could not be judged; "" for the policy."""

    answer: Literal["accept", "drop", "unknown"]
    chain: str = ""
    rule: str = ""

    @property
    def where(self) -> str:
        """The chain and rule, for a sentence."""
        return f"{self.chain}: {self.rule}" if self.rule else f"the policy of {self.chain}"


DEEPEST = 64
"""Jumps within jumps. The kernel refuses more than 16 of nftables, and chains that call themselves;
a ruleset that is only planned may have any."""

MOST_PLACES = 200_000
"""Places looked at, which takes about a second; a ruleset of 10,000 rules has about as many."""

_Place = tuple[str, int]


def walk(chains: Mapping[str, Sequence[Hop]], start: str, policy: str) -> Verdict:
    """Lead the packet into `start`; what falls through meets `policy` ("accept" or "drop")."""
    begin: tuple[_Place, tuple[_Place, ...]] = ((start, 0), ())
    waiting, seen = [begin], {begin}
    ends: list[Verdict] = []
    doubt: Verdict | None = None
    while waiting:
        (chain, number), back = waiting.pop()
        if len(back) > DEEPEST or len(seen) > MOST_PLACES:
            return Verdict("unknown", chain, "chains that call each other too often to follow")
        rules = chains.get(chain, ())
        following: list[tuple[_Place, tuple[_Place, ...]]] = []
        if number >= len(rules):
            if back:
                following.append((back[-1], back[:-1]))
            else:
                known = policy in ("accept", "drop")
                ends.append(Verdict(_answer(policy), start, "" if known else f"policy {policy}"))
        else:
            hop = rules[number]
            past = ((chain, number + 1), back)
            if hop.fits is not True:
                following.append(past)
            if hop.fits is not False:
                end = _end(chain, hop)
                if end is not None:
                    ends.append(end)
                following += _led(hop, past)
            if hop.fits is None and hop.action != "next" and doubt is None:
                doubt = Verdict("unknown", chain, hop.text)
        for state in following:
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    answers = {end.answer for end in ends}
    if len(answers) == 1:
        return ends[0]
    return doubt or next((e for e in ends if e.answer == "unknown"), Verdict("unknown", start))


def _led(
    hop: Hop, past: tuple[_Place, tuple[_Place, ...]]
) -> list[tuple[_Place, tuple[_Place, ...]]]:
    """Where a packet that fits the rule goes on."""
    place, back = past
    if hop.action == "next":
        return [past]
    if hop.action == "jump":
        return [((hop.target, 0), (*back, place))]
    if hop.action == "goto":
        return [((hop.target, 0), back)]
    if hop.action == "return":
        return [((place[0], _BEYOND), back)]
    return []


_BEYOND = 1 << 30
"""Behind the last rule of any chain."""


def _end(chain: str, hop: Hop) -> Verdict | None:
    if hop.action in ("accept", "drop", "unknown"):
        return Verdict(_answer(hop.action), chain, hop.text)
    return None


def _answer(word: str) -> Literal["accept", "drop", "unknown"]:
    return "accept" if word == "accept" else "drop" if word == "drop" else "unknown"


def both(*conditions: Fits) -> Fits:
    """Whether all conditions hold: one that does not decides, one in doubt makes doubtful."""
    if False in conditions:
        return False
    return None if None in conditions else True


def opposite(condition: Fits) -> Fits:
    return None if condition is None else not condition
