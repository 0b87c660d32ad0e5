"""Whether a packet passes the tables of nftables, as `nft -j list ruleset` prints them. Pure.

Each base chain at the packet's hook is asked in its turn: one that drops ends its way, one that
accepts only the way through that chain. What is not known here (foreign matches, marks, verdict
maps …) makes a rule's answer unknown. Of rates a packet is taken that keeps within them.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from host.packet_walk import Action, Address, Fits, Hook, Hop, Packet, Verdict, both, opposite, walk

_SILENT: Final = frozenset(
    ("counter", "log", "mangle", "ct helper", "ct timeout", "notrack", "continue")
)
_PORTS: Final = {"ssh": 22, "http": 80, "https": 443}

Sets = Mapping[tuple[str, str, str], Any]
"""(family, table, name) -> the elements of a named set; `None` where they are not told."""


def verdict(
    ruleset: str,
    packet: Packet,
    hook: Hook = "INPUT",
    without: frozenset[tuple[str, str]] = frozenset(),
) -> Verdict:
    """What all base chains of the hook together do with it. Raises `ValueError` for no JSON.

    `without` names tables, by family and name, that are not asked: those that iptables keeps.
    """
    entries: list[dict[str, Any]] = json.loads(ruleset)["nftables"]
    base_hook = hook.lower()
    families = ("inet", "ip6" if packet.source.version == 6 else "ip")
    bases: list[tuple[int, dict[str, Any]]] = []
    rules: dict[tuple[str, str], dict[str, list[Hop]]] = {}
    sets: dict[tuple[str, str, str], Any] = {}
    for entry in entries:
        for kind, body in entry.items():
            place = (str(body.get("family", "")), str(body.get("table", "")))
            if place[0] not in families or place in without:
                continue
            if kind in ("set", "map"):
                sets[(*place, str(body["name"]))] = body.get("elem", [])
            elif kind == "chain" and body.get("hook") == base_hook and body.get("type") == "filter":
                bases.append((_priority(body.get("prio", 0)), body))
    for entry in entries:
        body = entry.get("rule")
        if body is not None and (body["family"], body["table"]) not in without:
            place = (body["family"], body["table"])
            chain = rules.setdefault(place, {}).setdefault(body["chain"], [])
            chain.append(_hop(body, packet, base_hook, sets))
    doubt: Verdict | None = None
    last = Verdict("accept", base_hook)
    for _, base in sorted(bases, key=lambda one: one[0]):
        place = (base["family"], base["table"])
        last = walk(rules.get(place, {}), base["name"], str(base.get("policy", "accept")))
        if last.answer == "drop":
            return last
        if last.answer == "unknown" and doubt is None:
            doubt = last
    return doubt or last


def _priority(prio: Any) -> int:
    return prio if isinstance(prio, int) else 0


def _hop(rule: dict[str, Any], packet: Packet, hook: str, sets: Sets) -> Hop:
    place = (str(rule["family"]), str(rule["table"]))
    text = f"rule {rule.get('handle', '?')} of {place[0]} {place[1]} {rule['chain']}"
    fits: list[Fits] = []
    for expression in rule.get("expr", ()):
        name: str
        body: Any
        ((name, body),) = expression.items() if isinstance(expression, dict) else [(expression, {})]
        if name == "match":
            fits.append(_match(body, packet, hook, place, sets))
        elif name in ("accept", "drop", "return"):
            return Hop(both(*fits), _PLAIN[name], text)
        elif name == "reject":
            return Hop(both(*fits), "drop", text)
        elif name in ("jump", "goto"):
            return Hop(both(*fits), _PLAIN[name], text, str(body["target"]))
        elif name == "vmap":
            return _mapped(body, packet, hook, (place, sets), Hop(both(*fits), "unknown", text))
        elif name == "queue":
            return Hop(both(*fits), "unknown", text)
        elif name == "limit":
            fits.append(not body.get("inv", False))
        elif name not in _SILENT:  # a match or statement this does not know
            fits.append(None)
    return Hop(both(*fits), "next", text)


_PLAIN: Final[Mapping[str, Action]] = {
    "accept": "accept", "drop": "drop", "return": "return", "jump": "jump", "goto": "goto",
}  # fmt: skip


def _mapped(
    body: dict[str, Any], packet: Packet, hook: str, known: tuple[tuple[str, str], Sets], hop: Hop
) -> Hop:
    """A verdict map: `tcp dport vmap { 22 : accept, 443 : jump web }`, or a named one.

    `hop` is what the rule is if the map cannot be judged.
    """
    place, sets = known
    doubtful = msgspec.structs.replace(hop, fits=None if hop.fits else hop.fits)
    data = body.get("data")
    elements = data.get("set") if isinstance(data, dict) else None
    if isinstance(data, str):
        elements = sets.get((*place, data.removeprefix("@")))
    if not isinstance(elements, list):
        return doubtful
    for element in elements:
        key, mapped = element if isinstance(element, list) and len(element) == 2 else (None, None)
        hit = _equal(body.get("key"), key, packet, hook, place, sets)
        if hit is None or not isinstance(mapped, dict):
            return doubtful
        if hit:
            ((name, inner),) = mapped.items()
            target = str(inner["target"]) if name in ("jump", "goto") else ""
            return Hop(hop.fits, _PLAIN.get(name, "next"), hop.text, target)
    return Hop(hop.fits, "next", hop.text)


def _match(
    body: dict[str, Any], packet: Packet, hook: str, place: tuple[str, str], sets: Sets
) -> Fits:
    operator, left, right = body.get("op", "=="), body.get("left"), body.get("right")
    if operator in ("==", "in"):
        return _equal(left, right, packet, hook, place, sets)
    if operator == "!=":
        return opposite(_equal(left, right, packet, hook, place, sets))
    if operator in ("<", ">", "<=", ">=") and isinstance(right, int):
        value = _value(left, packet, hook)
        if isinstance(value, int):
            answers = {"<": value < right, ">": value > right, "<=": value <= right}
            return answers.get(operator, value >= right)
    return None


_UNKNOWN: Final = object()


def _equal(
    left: Any, right: Any, packet: Packet, hook: str, place: tuple[str, str], sets: Sets
) -> Fits:
    if isinstance(left, dict) and "concat" in left:
        return None
    value = _value(left, packet, hook)
    if value is _UNKNOWN:
        return None
    if value is None:  # of a header that this packet does not have
        return False
    return _among(value, right, place, sets)


def _among(value: Any, right: Any, place: tuple[str, str], sets: Sets) -> Fits:
    """Whether a value is one of what stands to the right of a match."""
    if isinstance(right, str) and right.startswith("@"):
        elements = sets.get((*place, right[1:]))
        return None if elements is None else _any(value, elements, place, sets)
    if isinstance(right, list):
        return _any(value, right, place, sets)
    if isinstance(right, dict):
        if "set" in right:
            inner = right["set"]
            return _any(value, inner if isinstance(inner, list) else [inner], place, sets)
        if "elem" in right:
            return _among(value, right["elem"].get("val"), place, sets)
        if "prefix" in right:
            return _in_prefix(value, right["prefix"])
        if "range" in right:
            return _in_range(value, right["range"])
        return None
    return _same(value, right)


def _any(value: Any, elements: list[Any], place: tuple[str, str], sets: Sets) -> Fits:
    answers = [_among(value, element, place, sets) for element in elements]
    return True if True in answers else None if None in answers else False


def _same(value: Any, right: Any) -> Fits:
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        try:
            return value == ipaddress.ip_address(right)
        except ValueError:
            return None
    if isinstance(value, int) and isinstance(right, str):
        return value == _PORTS[right] if right in _PORTS else None
    if isinstance(value, str) and isinstance(right, str) and right.endswith("*"):
        return value.startswith(right[:-1])
    return bool(value == right)


def _in_prefix(value: Any, prefix: Mapping[str, Any]) -> Fits:
    try:
        network = ipaddress.ip_network(f"{prefix['addr']}/{prefix['len']}", strict=False)
    except (ValueError, KeyError):
        return None
    return value in network if hasattr(value, "version") else None


def _in_range(value: Any, ends: list[Any]) -> Fits:
    low, high = ends
    if isinstance(value, int) and isinstance(low, int) and isinstance(high, int):
        return low <= value <= high
    try:
        first, last = ipaddress.ip_address(low), ipaddress.ip_address(high)
    except ValueError:
        return None
    return first.version == value.version and int(first) <= int(value) <= int(last)


def _value(left: Any, packet: Packet, hook: str) -> Any:
    """What a packet has there; `None`: it has no such header; `_UNKNOWN`: not known here."""
    if not isinstance(left, dict):
        return _UNKNOWN
    if "payload" in left:
        return _payload(left["payload"], packet)
    if "ct" in left:
        return packet.state if left["ct"].get("key") == "state" else _UNKNOWN
    if "meta" in left:
        return _meta(str(left["meta"].get("key")), packet)
    if "fib" in left:
        fib = left["fib"]
        is_end = hook == "input" and fib.get("flags") == ["daddr"]
        return "local" if fib.get("result") == "type" and is_end else _UNKNOWN
    return _UNKNOWN


def _payload(payload: Mapping[str, Any], packet: Packet) -> Any:
    version = packet.source.version
    protocol, field = payload.get("protocol"), payload.get("field")
    if protocol in ("ip", "ip6"):
        if (protocol == "ip6") != (version == 6):
            return None
        address: dict[str, Address] = {"saddr": packet.source, "daddr": packet.destination}
        if field in ("protocol", "nexthdr"):
            return "tcp"
        return address.get(str(field), _UNKNOWN)
    if protocol in ("tcp", "th"):
        ports = {"dport": packet.port, "sport": packet.source_port}
        return ports.get(str(field), _UNKNOWN)
    if protocol in ("udp", "icmp", "icmpv6", "sctp", "dccp", "udplite", "igmp", "esp", "ah"):
        return None
    return _UNKNOWN


def _meta(key: str, packet: Packet) -> Any:
    version = packet.source.version
    known = {
        "l4proto": "tcp",
        "nfproto": f"ipv{version}",
        "protocol": "ip6" if version == 6 else "ip",
        "pkttype": "unicast" if packet.interface_out == "" else _UNKNOWN,
    }
    if key in known:
        return known[key]
    if key in ("iifname", "iif"):
        return packet.interface_in or _UNKNOWN
    if key in ("oifname", "oif"):
        return packet.interface_out or _UNKNOWN
    return _UNKNOWN
