"""Whether a packet fits a rule as `iptables-save` and `iptables -S` print it. Pure.

Of rates (limit, recent, hashlimit, connlimit) a packet is taken that keeps within them: a login is
one connection. What is not known here (sets, marks, time …) makes a rule's answer unknown.
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping
from typing import Final, Literal

from host.facts.iptables import Filter
from host.packet_walk import Address, Fits, Hook, Hop, Packet, Verdict, both, opposite, walk

_SILENT: Final = frozenset(
    ("LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "SECMARK", "CONNSECMARK", "TCPMSS", "SET", "CT",
     "NOTRACK", "CLASSIFY", "TOS", "DSCP", "TTL", "HL", "AUDIT", "TRACE", "CHECKSUM", "IDLETIMER",
     "TEE", "RATEEST")
)  # fmt: skip
"""Targets after which the packet goes on to the next rule."""

_ENDS: Final[Mapping[str, Literal["accept", "drop", "return"]]] = {
    "ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return",
}  # fmt: skip

_WITHOUT_VALUE: Final = frozenset(
    ("--syn", "-f", "--fragment", "--set", "--update", "--rcheck", "--remove", "--rsource",
     "--rdest", "--rttl", "--invert", "--validmark", "--loose", "--accept-local", "--reap",
     "--connlimit-saddr", "--connlimit-daddr", "--nowildcard", "--transparent")
)  # fmt: skip


def parse_save(text: str) -> dict[str, Filter]:
    """`iptables-save`: {"filter": Filter(policies={"INPUT": "DROP"}, chains=…), "nat": …}."""
    found: dict[str, Filter] = {}
    policies: dict[str, str] = {}
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.split()
        if line.startswith("*"):
            policies, chains = {}, {}
            name = line[1:].strip()
            found[name] = Filter({}, {})
        elif line.startswith(":") and len(words) > 1:
            chains.setdefault(words[0][1:], [])
            if words[1] != "-":
                policies[words[0][1:]] = words[1]
        elif "-A" in words[:2]:
            _, _, rest = line.partition("-A ")
            chain, _, rule = rest.partition(" ")
            chains.setdefault(chain, []).append(rule)
        elif line.startswith("COMMIT") and found:
            name = next(reversed(found))
            found[name] = Filter(policies, {key: tuple(rules) for key, rules in chains.items()})
    return found


def verdict(table: Filter, packet: Packet, hook: Hook = "INPUT") -> Verdict:
    """What the filter table of the packet's family does with it."""
    chains = {
        name: [_hop(rule, packet, hook, table) for rule in rules]
        for name, rules in table.chains.items()
    }
    policy = _ENDS.get(table.policies.get(hook, "ACCEPT"), "unknown")
    return walk(chains, hook, policy)


def _hop(rule: str, packet: Packet, hook: Hook, table: Filter) -> Hop:
    try:
        words = shlex.split(rule)
    except ValueError:
        return Hop(None, "unknown", rule)
    options, target, goes = _options(words)
    fits = _fits(options, packet, hook)
    if not target:
        return Hop(fits, "next", rule)
    if target in table.chains:
        return Hop(fits, "goto" if goes else "jump", rule, target)
    if target in _SILENT:
        return Hop(fits, "next", rule)
    return Hop(fits, _ENDS.get(target, "unknown"), rule)


_Option = tuple[str, str, bool]
"""Name, value, and whether it is negated."""


def _options(words: list[str]) -> tuple[list[_Option], str, bool]:
    """The conditions of a rule, its target, and whether that is reached by -g."""
    options: list[_Option] = []
    negated = False
    index = 0
    while index < len(words):
        word = words[index]
        if word == "!":
            negated = True
            index += 1
            continue
        if word in ("-j", "--jump", "-g", "--goto"):
            target = words[index + 1] if index + 1 < len(words) else ""
            return options, target, word in ("-g", "--goto")
        index += 1
        values = [] if word in _WITHOUT_VALUE else words[index : index + 1]
        index += len(values)
        while word != "--comment" and index < len(words) and words[index][:1] not in ("-", "!"):
            values.append(words[index])  # --tcp-flags and --match-set take two
            index += 1
        options.append((word, " ".join(values), negated))
        negated = False
    return options, "", False


def _fits(options: list[_Option], packet: Packet, hook: Hook) -> Fits:
    names = {name for name, _, _ in options}
    modules = {value for name, value, _ in options if name == "-m"}
    answers: list[Fits] = []
    for name, value, negated in options:
        answer = _one(name, value, packet, hook, names, modules)
        answers.append(opposite(answer) if negated else answer)
    return both(*answers)


def _one(
    name: str, value: str, packet: Packet, hook: Hook, names: set[str], modules: set[str]
) -> Fits:
    """One condition, as if it were not negated."""
    match name:
        case "-m" | "--match":
            return True if value in _KNOWN else None
        case "-s" | "--source" | "--src":
            return _in_network(packet.source, value)
        case "-d" | "--destination" | "--dst":
            return _in_network(packet.destination, value)
        case "-p" | "--protocol":
            return value.lower() in ("tcp", "6", "all", "0")
        case "-i" | "--in-interface":
            return _interface(packet.interface_in, value, packet.source, hook == "INPUT")
        case "-o" | "--out-interface":
            return _interface(packet.interface_out, value, packet.destination, hook == "OUTPUT")
        case "-f" | "--fragment":
            return False
        case "--dport" | "--destination-port" | "--dports" | "--destination-ports":
            return _in_ports(packet.port, value)
        case "--sport" | "--source-port" | "--sports" | "--source-ports":
            return _in_ports(packet.source_port, value)
        case "--ports":
            answers = (_in_ports(packet.port, value), _in_ports(packet.source_port, value))
            return True if True in answers else None if None in answers else False
        case "--ctstate" | "--state":
            return packet.state.upper() in value.upper().split(",")
        case "--syn":
            return packet.state == "new"
        case "--tcp-flags":
            return _flags(value, packet)
        case "--src-range":
            return _in_range(packet.source, value)
        case "--dst-range":
            return _in_range(packet.destination, value)
        case "--dst-type":
            return _type(value, local=hook == "INPUT")
        case "--src-type":
            return _type(value, local=hook == "OUTPUT")
        case "--pkt-type":
            return value == "unicast"
        case "--icmp-type" | "--icmpv6-type" | "--rt-type":
            return False
        case "--comment" | "--limit" | "--limit-burst" | "--set" | "--connlimit-upto":
            return True
        case "--hashlimit-upto" | "--hashlimit":
            return True
        case "--hashlimit-above" | "--connlimit-above":
            return False
        case "--update" | "--rcheck":
            return False if "--hitcount" in names else None
    if name.startswith("--hashlimit-") or (name in _BESIDE_RECENT and "recent" in modules):
        return True
    if name in _BESIDE_CONNLIMIT and "connlimit" in modules:
        return True
    return None


_KNOWN: Final = frozenset(
    ("tcp", "udp", "multiport", "conntrack", "state", "comment", "limit", "hashlimit", "connlimit",
     "recent", "addrtype", "iprange", "pkttype", "icmp", "icmp6", "rt")
)  # fmt: skip
"""Modules whose every condition is looked at below; what of them is not known says so itself."""

_BESIDE_RECENT: Final = frozenset(
    ("--seconds", "--hitcount", "--name", "--mask", "--rsource", "--rdest", "--rttl", "--reap")
)
_BESIDE_CONNLIMIT: Final = frozenset(("--connlimit-mask", "--connlimit-saddr", "--connlimit-daddr"))


def _in_network(address: Address, text: str) -> Fits:
    answers: list[Fits] = []
    for part in text.split(","):
        try:
            network = ipaddress.ip_network(part, strict=False)
        except ValueError:
            answers.append(None)
            continue
        answers.append(network.version == address.version and address in network)
    return True if True in answers else None if None in answers else False


def _in_range(address: Address, text: str) -> Fits:
    first, _, last = text.partition("-")
    try:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
    except ValueError:
        return None
    if low.version != address.version or high.version != address.version:
        return False
    return int(low) <= int(address) <= int(high)


def _interface(name: str, pattern: str, other: Address, this_way: bool) -> Fits:
    """Whether the interface is the one of the pattern ("eth+" stands for all that begin so)."""
    if not this_way:
        return False
    if pattern in ("+", "any"):
        return True
    if not name:
        return False if pattern == "lo" and not other.is_loopback else None
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def _in_ports(port: int, text: str) -> Fits:
    answers: list[Fits] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        low, high = first or "0", (last or "65535") if colon else first
        if not (low.isdigit() and high.isdigit()):
            answers.append(None)
        else:
            answers.append(int(low) <= port <= int(high))
    return True if True in answers else None if None in answers else False


def _flags(value: str, packet: Packet) -> Fits:
    """`--tcp-flags MASK SET`: the first packet has SYN alone; of later ones less is known."""
    mask, _, wanted = value.partition(" ")
    looked_at = set(mask.upper().split(","))
    must = set(wanted.upper().split(",")) - {"NONE"}
    if looked_at == {"ALL"}:
        looked_at = {"SYN", "ACK", "FIN", "RST", "URG", "PSH"}
    if packet.state == "new":
        return ({"SYN"} & looked_at) == must
    return False if "SYN" in must & looked_at and "ACK" not in must else None


def _type(value: str, *, local: bool) -> Fits:
    """addrtype; the packet's addresses are a machine's own, not a group's."""
    wanted = set(value.upper().split(","))
    if local:
        return "LOCAL" in wanted
    if wanted <= {"BROADCAST", "MULTICAST", "ANYCAST", "BLACKHOLE", "UNSPEC"}:
        return False
    return None
