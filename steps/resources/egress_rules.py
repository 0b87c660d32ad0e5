"""Which connections may leave a host, as ufw's rules: pure functions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from host.facts.outgoing import Outgoing, Place
from host.facts.ufw import ANYWHERE, Rule
from steps.resource import StepError
from steps.resources.ufw_rules import is_ipv6

_PORTS: Final = re.compile(r"(\d{1,5})(?::(\d{1,5}))?/(tcp|udp)")
ITEM: Final = re.compile(r"([a-z][a-z0-9-]*|\d{1,5}(?::\d{1,5})?/(?:tcp|udp))(?:=(.+))?")


class Exit(msgspec.Struct, frozen=True):
    """A port that may be reached: everywhere, or at `target` only (an address or network).

    `name` is what it was asked for as ("ldaps").
    """

    name: str
    port: str
    protocol: str
    target: str = ""

    @property
    def label(self) -> str:
        """ "ldaps (636/tcp) to 10.0.0.9"."""
        port = f"{self.port}/{self.protocol}"
        named = port if self.name == port else f"{self.name} ({port})"
        return f"{named} to {self.target}" if self.target else named

    def rules(self, *, ipv6: bool) -> tuple[Rule, ...]:
        """The rule of one address family, as ufw would write it; none for the other's target."""
        if self.target and is_ipv6(self.target) is not ipv6:
            return ()
        return (
            Rule(
                action="allow",
                protocol=self.protocol,
                port=self.port,
                to=self.target or ANYWHERE[ipv6],
                source=ANYWHERE[ipv6],
                direction="out",
                ipv6=ipv6,
            ),
        )


def parse_ports(text: str) -> tuple[str, str]:
    """ "53/udp" -> ("53", "udp"). Raises `StepError`."""
    found = _PORTS.fullmatch(text)
    if not found or not 0 < int(found[1]) <= int(found[2] or found[1]) < 65536:
        raise StepError(f"{text!r} is no port such as 636/tcp or 5000:5010/udp")
    return (found[1] if found[2] is None else f"{found[1]}:{found[2]}"), found[3]


def parse_exits(items: Iterable[str], interfaces: Mapping[str, Sequence[str]]) -> tuple[Exit, ...]:
    """ "dns", "ldaps=10.0.0.9", "8080/tcp=10.0.0.0/24": names are keys of `interfaces`.

    Raises `StepError` that says which interfaces there are.
    """
    found: list[Exit] = []
    for item in items:
        match = ITEM.fullmatch(item)
        if not match:
            raise StepError(f"{item!r} is no interface or port such as ldaps=10.0.0.9 or 8080/tcp")
        name, target = match[1], _target(match[2]) if match[2] else ""
        if name[0].isdigit():
            ports: Sequence[str] = (name,)
        elif name in interfaces:
            ports = interfaces[name]
        else:
            raise StepError(
                f"there is no interface {name!r} (there are: {', '.join(interfaces)};"
                " any other is named by its port, such as 8080/tcp)"
            )
        found += [Exit(name, *parse_ports(port), target) for port in ports]
    return tuple(dict.fromkeys(found))


def _target(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise StepError(f"{text!r} is no IP address or network") from None
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def defaults(needs: Outgoing) -> tuple[str, ...]:
    """What a host needs to reach by its own configuration, as items of `allow`.

    Names are looked up, clocks are set and packages are fetched by every host.
    """
    resolvers = () if needs.leased else needs.resolvers
    items = [f"dns={address}" for address in resolvers] or ["dns"]
    items += ["ntp", *(["nts"] if needs.secure_time else [])]
    items += [] if needs.proxied else ["http", "https"]
    items += [_item(place, {80: "http", 443: "https", 21: "ftp"}) for place in needs.apt]
    items += ["dhcp"] if needs.leased else []
    items += [_item(place, {25: "smtp", 465: "smtps", 587: "submission"}) for place in needs.mail]
    items += [_item(place, {514: "syslog", 6514: "syslog-tls"}) for place in needs.syslog]
    kept = dict.fromkeys(items)
    return tuple(item for item in kept if "=" not in item or item.partition("=")[0] not in kept)


def _item(place: Place, names: Mapping[int, str]) -> str:
    name = names.get(place.port, f"{place.port}/{place.protocol}")
    try:
        return f"{name}={ipaddress.ip_address(place.host)}"
    except ValueError:
        return name  # a host's name: its addresses may change any day


def decided_by(rules: Sequence[Rule], wanted: Rule) -> Rule | None:
    """The first rule that decides about all packets `wanted` is about; `None`: the policy does."""
    target = ipaddress.ip_network(wanted.to, strict=False)
    first, _, last = wanted.port.partition(":")
    for rule in rules:
        if (
            rule.direction == "out"
            and not rule.interface_out
            and rule.source in ANYWHERE
            and rule.source_port == "any"
            and rule.ipv6 is wanted.ipv6
            and rule.protocol in ("any", wanted.protocol)
            and _has(rule.port, int(first), int(last or first))
            and _inside(target, rule.to)
        ):
            return rule
    return None


def _has(ports: str, first: int, last: int) -> bool:
    if ports == "any":
        return True
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if low.isdigit() and int(low) <= first and last <= int(high or low):
            return True
    return False


def _inside(target: ipaddress.IPv4Network | ipaddress.IPv6Network, text: str) -> bool:
    outer = ipaddress.ip_network(text, strict=False)
    if isinstance(target, ipaddress.IPv4Network) and isinstance(outer, ipaddress.IPv4Network):
        return target.subnet_of(outer)
    if isinstance(target, ipaddress.IPv6Network) and isinstance(outer, ipaddress.IPv6Network):
        return target.subnet_of(outer)
    return False


def lacking(rules: Sequence[Rule], wanted: Exit, *, ipv6: bool) -> list[Rule]:
    """The rules of one family that `wanted` needs and `rules` do not have."""
    found = []
    for rule in wanted.rules(ipv6=ipv6):
        decider = decided_by(rules, rule)
        if decider is None or not decider.lets_in:
            found.append(rule)
    return found


def everything(rules: Sequence[Rule]) -> list[Rule]:
    """Rules that let every connection out, which makes a policy of denying void."""
    return [
        rule
        for rule in rules
        if rule.direction == "out"
        and rule.lets_in
        and rule.port == "any"
        and rule.to in ANYWHERE
        and rule.source in ANYWHERE
        and not rule.interface_out
        and rule.source_port == "any"
    ]


def others(rules: Sequence[Rule], exits: Sequence[Exit]) -> list[Rule]:
    """Rules that let something out which no exit asks for."""
    wanted = [rule for one in exits for ipv6 in (False, True) for rule in one.rules(ipv6=ipv6)]
    return [
        rule
        for rule in rules
        if rule.direction == "out"
        and rule.lets_in
        and not any(
            (rule.protocol, rule.port, rule.to, rule.ipv6)
            == (one.protocol, one.port, one.to, one.ipv6)
            and not rule.interface_out
            for one in wanted
        )
    ]


def lets_out(rules: Sequence[Rule], address: str, port: int, protocol: str) -> bool:
    """Whether these rules let a connection out to one address."""
    ipv6 = is_ipv6(address)
    wanted = Exit("", str(port), protocol, address).rules(ipv6=ipv6)[0]
    decider = decided_by(rules, wanted)
    return decider is not None and decider.lets_in


def lets_out_somewhere(rules: Sequence[Rule], port: int, protocol: str) -> bool:
    """Whether these rules let a connection out to that port, at least to some address."""
    return any(
        rule.direction == "out"
        and rule.lets_in
        and rule.protocol in ("any", protocol)
        and _has(rule.port, port, port)
        for rule in rules
    )
