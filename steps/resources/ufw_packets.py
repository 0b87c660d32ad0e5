"""ufw's firewall as it will be, chain by chain, and what it does with a new login."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from host.base import HostError
from host.facts.iptables import IP6TABLES, IPTABLES, Filter
from host.facts.iptables_packet import parse_save
from host.facts.ufw import ANYWHERE, Rule
from steps.guard_network import login_packet, said, through_filter
from steps.resource import Context
from steps.resources.ufw_rules import Opening, inside, plain_address

_TARGETS: Final = {"allow": "ACCEPT", "limit": "ACCEPT", "deny": "DROP", "reject": "REJECT"}
_GATE: Final = "-j ACCEPT"
_AS_DELIVERED: Final = """*filter
-A {0}-before-input -i lo -j ACCEPT
-A {0}-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A {0}-before-input -m conntrack --ctstate INVALID -j DROP
-A {0}-before-output -o lo -j ACCEPT
-A {0}-before-output -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
"""What of Debian's before.rules concerns TCP, for a ufw that is only going to be installed."""

_AROUND: Final = ("before-logging", "before", "after", "after-logging", "reject", "track")


def rehearse(
    ctx: Context, openings: Sequence[Opening], rules: Sequence[Rule], incoming: str, outgoing: str
) -> tuple[list[str], list[str]]:
    """(lock-outs, notes): what the firewall with these rules and policies does with a new login."""
    lockouts = _session_outside(ctx, openings) or _session_shut(ctx, rules)
    if lockouts:
        return lockouts, []
    packet = login_packet(ctx)
    if packet is None:
        return [], []
    ipv6 = packet.source.version == 6
    table = planned_filter(ctx, rules, incoming, outgoing, ipv6=ipv6)
    return said(through_filter(table, packet), packet, "The firewall")


def _session_outside(ctx: Context, openings: Sequence[Opening]) -> list[str]:
    """Refused: networks for SSH that the person asking is not in."""
    address = plain_address(ctx.session.client_address)
    networks = next((o.sources for o in openings if o.sources), ())
    if not networks or address is None or address.is_loopback or inside(address, networks):
        return []
    return [
        f"You are connected from {address}, which is not in {', '.join(networks)}: this would"
        " lock you out. Nothing was changed. Add your address or network to `from`, or connect"
        " from inside and apply again."
    ]


def _session_shut(ctx: Context, rules: Sequence[Rule]) -> list[str]:
    """Refused: rules of which the first that fits the present connection turns it away."""
    address = plain_address(ctx.session.client_address)
    port = ctx.session.server_port
    if address is None or not port or address.is_loopback:
        return []
    ipv6 = address.version == 6
    for rule in rules:
        if rule.ipv6 is ipv6 and rule.takes(address, port, "tcp"):
            if rule.lets_in:
                return []
            return [
                f"ufw's rule `{rule.command}` ({rule.origin}) would turn away your own connection"
                f" from {address} to port {port}. Nothing was changed. Delete that rule"
                f" (`ufw delete {rule.command}`) and look again."
            ]
    return []


def planned_filter(
    ctx: Context, rules: Sequence[Rule], incoming: str, outgoing: str, *, ipv6: bool
) -> Filter:
    """The filter table of one family, as `ufw enable` will load it over what is there."""
    prefix, suffix = ("ufw6", "6") if ipv6 else ("ufw", "")
    now = ctx.facts.get(IP6TABLES if ipv6 else IPTABLES) or Filter({}, {})
    chains: dict[str, list[str]] = {
        name: list(there) for name, there in now.chains.items() if not name.startswith(prefix)
    }
    for hook, way, policy in (("INPUT", "input", incoming), ("OUTPUT", "output", outgoing)):
        jumps = [f"-j {prefix}-{part}-{way}" for part in _AROUND]
        kept = [rule for rule in chains.get(hook, []) if rule != _GATE]
        chains[hook] = kept if jumps[1] in kept else [*kept, *jumps]
        for part in (*_AROUND, "user-logging"):
            chains.setdefault(f"{prefix}-{part}-{way}", [])
        target = _TARGETS[policy]
        chains[f"{prefix}-skip-to-policy-{way}"] = [f"-j {target}"]
        if target == "REJECT":
            chains[f"{prefix}-reject-{way}"] = ["-j REJECT"]
    chains |= {f"{prefix}-logging-deny": [], f"{prefix}-logging-allow": []}  # they only log
    chains[f"{prefix}-user-limit-accept"] = ["-j ACCEPT"]
    chains[f"{prefix}-user-limit"] = ["-j REJECT"]
    for name in ("before", "after"):
        delivered = _AS_DELIVERED.format(prefix) if name == "before" else ""
        text = _read(ctx, f"/etc/ufw/{name}{suffix}.rules") or delivered
        for chain, saved in parse_save(text).get("filter", Filter({}, {})).chains.items():
            chains.setdefault(chain, []).extend(saved)
    family = [rule for rule in rules if rule.ipv6 is ipv6]
    for way in ("in", "out"):
        chain = f"{prefix}-user-{way}put"
        lines = [line for rule in family if rule.direction == way for line in _lines(rule)]
        chains.setdefault(chain, []).extend(lines)
        before = chains.setdefault(f"{prefix}-before-{way}put", [])
        if f"-j {chain}" not in before:
            before.append(f"-j {chain}")  # ufw-init adds it behind before.rules
    policies = {"INPUT": _policy(incoming), "OUTPUT": _policy(outgoing)}
    return Filter(policies, {name: tuple(lines) for name, lines in chains.items()})


def _policy(policy: str) -> str:
    return "ACCEPT" if policy == "allow" else "DROP"


def _lines(rule: Rule) -> Iterable[str]:
    """A rule for TCP as iptables takes it."""
    if rule.protocol not in ("any", "tcp"):
        return
    words: list[str] = []
    for option, value in (("-i", rule.interface_in), ("-o", rule.interface_out)):
        words += [option, value] if value else []
    for option, value in (("-s", rule.source), ("-d", rule.to)):
        words += [option, value] if value not in ANYWHERE else []
    if rule.protocol == "tcp" or rule.port != "any" or rule.source_port != "any":
        words += ["-p", "tcp"]
    ports = (("--dports", rule.port), ("--sports", rule.source_port))
    for option, value in ports:
        words += ["-m", "multiport", option, value] if value != "any" else []
    yield " ".join([*words, "-j", _TARGETS[rule.action]])


def _read(ctx: Context, path: str) -> str:
    try:
        return ctx.host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""
