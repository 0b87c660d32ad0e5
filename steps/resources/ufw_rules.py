"""Which rules a firewall lacks, and whom the rules it will have let in: pure functions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

import msgspec

from host.facts.ufw import ANYWHERE, Address, Network, Rule
from steps.resource import StepError

_PORT = re.compile(r"(\d{1,5})(?::(\d{1,5}))?(?:/(tcp|udp))?")


class Opening(msgspec.Struct, frozen=True):
    """A port (or range "5000:5010") that must be reachable; from `sources` only, if there are any.

    `protocol` is tcp, udp or any (both).
    """

    port: str
    protocol: str
    sources: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.port if self.protocol == "any" else f"{self.port}/{self.protocol}"

    @property
    def ends(self) -> tuple[int, int]:
        first, _, last = self.port.partition(":")
        return int(first), int(last or first)

    def rules(self, *, ipv6: bool) -> tuple[Rule, ...]:
        """The rules of one address family that make it, as ufw would write them."""
        anywhere = ANYWHERE[ipv6]
        sources = [s for s in self.sources if is_ipv6(s) is ipv6] if self.sources else [anywhere]
        return tuple(
            Rule(
                action="allow",
                protocol=self.protocol,
                port=self.port,
                to=anywhere,
                source=source,
                ipv6=ipv6,
            )
            for source in sources
        )


def parse_opening(text: str) -> Opening:
    """ "80/tcp", "53", "5000:5010/udp". Raises `StepError`."""
    found = _PORT.fullmatch(text.strip())
    if not found or not 0 < int(found[1]) <= int(found[2] or found[1]) < 65536:
        raise StepError(f"allow: {text!r} is no port such as 80/tcp or 5000:5010/udp")
    port = found[1] if found[2] is None else f"{found[1]}:{found[2]}"
    return Opening(port, found[3] or "any")


def parse_network(text: str) -> str:
    """An address or network as ufw writes it: "10.0.0.7", "10.0.0.0/8". Raises `StepError`."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise StepError(f"from: {text!r} is no IP address or network") from None
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def is_ipv6(network: str) -> bool:
    return ":" in network


def plain_address(text: str) -> Address | None:
    """An address without zone; an IPv4 address inside IPv6 (::ffff:10.0.0.1) is IPv4."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def inside(address: Address, networks: Iterable[str]) -> bool:
    return any(address in ipaddress.ip_network(network, strict=False) for network in networks)


def decided_by(rules: Sequence[Rule], wanted: Rule) -> Rule | None:
    """The first rule that decides about all packets `wanted` is about; `None` if none does.

    Rules for a part of the sources are passed over: they are exceptions somebody made.
    """
    protocols = ("tcp", "udp") if wanted.protocol == "any" else (wanted.protocol,)
    deciders = [_first(rules, wanted, protocol) for protocol in protocols]
    for rule in deciders:
        if rule is None or not rule.lets_in:
            return rule
    return deciders[0]


def _first(rules: Sequence[Rule], wanted: Rule, protocol: str) -> Rule | None:
    source = ipaddress.ip_network(wanted.source, strict=False)
    first, _, last = wanted.port.partition(":")
    for rule in rules:
        if (
            rule.covers(int(first), protocol)
            and rule.covers(int(last or first), protocol)
            and _within(source, ipaddress.ip_network(rule.source, strict=False))
        ):
            return rule
    return None


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def lacking(rules: Sequence[Rule], opening: Opening, *, ipv6: bool) -> list[Rule]:
    """The rules of one family that `opening` needs and `rules` do not have."""
    found = []
    for wanted in opening.rules(ipv6=ipv6):
        decider = decided_by(rules, wanted)
        if decider is None or not decider.lets_in:
            found.append(wanted)
    return found


def too_wide(rules: Sequence[Rule], opening: Opening) -> list[Rule]:
    """Rules that open a port, meant for some networks only, to others as well."""
    if not opening.sources:
        return []
    first, _ = opening.ends
    allowed = [ipaddress.ip_network(source, strict=False) for source in opening.sources]
    return [
        rule
        for rule in rules
        if rule.lets_in
        and rule.direction == "in"
        and rule.port != "any"
        and msgspec.structs.replace(rule, interface_in="", to=ANYWHERE[rule.ipv6]).covers(
            first, opening.protocol
        )
        and not any(
            _within(ipaddress.ip_network(rule.source, strict=False), network) for network in allowed
        )
    ]


def after(rules: Sequence[Rule], added: Iterable[Rule], removed: Iterable[Rule]) -> list[Rule]:
    """The rules as ufw will have them: one that differs in its action is replaced in place."""
    gone = list(removed)
    result = [rule for rule in rules if rule not in gone]
    for new in added:
        for index, rule in enumerate(result):
            if _same_but_action(rule, new):
                result[index] = new
                break
        else:
            result.append(new)
    return result


def _same_but_action(left: Rule, right: Rule) -> bool:
    return msgspec.structs.replace(left, action="", origin="") == msgspec.structs.replace(
        right, action="", origin=""
    )


def others(rules: Sequence[Rule], openings: Sequence[Opening]) -> list[Rule]:
    """Rules that let something in which no opening asks for, nor forbids (see `too_wide`)."""
    forbidden = [rule for opening in openings for rule in too_wide(rules, opening)]
    return [
        rule
        for rule in rules
        if rule.lets_in
        and rule.direction == "in"
        and rule not in forbidden
        and not _asked_for(rule, openings)
    ]


def _asked_for(rule: Rule, openings: Sequence[Opening]) -> bool:
    """Whether all it lets in is asked for: the same port, or each port of its list."""
    if rule.port == "any":
        return False
    ports = rule.port.split(",")
    return all(
        any(
            opening.port == port
            and opening.protocol in ("any", rule.protocol)
            and (
                not opening.sources
                or any(
                    _within(
                        ipaddress.ip_network(rule.source, strict=False),
                        ipaddress.ip_network(source, strict=False),
                    )
                    for source in opening.sources
                )
            )
            for opening in openings
        )
        for port in ports
    )
