"""Real connections: what is let out answers, and what is not is refused by this very kernel."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from host import reach
from host.base import HostError
from host.facts.outgoing import OUTGOING
from host.facts.ufw import UFW_CONFIGURATION
from steps.model import Finding
from steps.resource import Context
from steps.resources.egress_rules import Exit, lets_out
from steps.resources.ufw_rules import plain_address

_SOMEWHERE = ("192.0.2.1", "2001:db8::1")
"""Nobody's addresses (RFC 5737 and RFC 3849): a packet to them ends at the next router."""

_UNUSUAL = (9, 19, 33434)
"""Ports to try of which one is surely not let out."""

MOST = 8


def prove(ctx: Context, exits: Sequence[Exit]) -> list[Finding]:
    """Asked after an apply. What cannot be tried here (no route, nobody answers) does not count."""
    if ctx.host.is_practice:
        return []
    findings = list(_refused(ctx))
    for label, address, port in list(dict.fromkeys(_targets(ctx, exits)))[:MOST]:
        try:
            said = (
                reach.resolver(ctx.host, address)
                if port == 53
                else reach.tcp(ctx.host, address, port)
            )
        except (HostError, OSError) as error:
            findings.append(_untried(f"connection to {label}", str(error)))
            continue
        if said in ("silent", "no way"):
            why = "there is no way to it" if said == "no way" else "nobody answered"
            findings.append(_untried(f"connection to {label}", why))
        else:
            findings.append(
                Finding(
                    resource="egress",
                    setting=f"connection to {label}",
                    expected="answered",
                    running=said,
                    ok=said == "answered",
                )
            )
    return findings


def _refused(ctx: Context) -> Iterator[Finding]:
    """One datagram that no rule lets out, in each family: the kernel must refuse to send it."""
    configuration = ctx.facts.get(UFW_CONFIGURATION)
    rules = configuration.rules if configuration is not None else ()
    peer = plain_address(ctx.session.client_address)
    near = [str(peer)] if peer is not None and not peer.is_loopback else []
    for somewhere in _SOMEWHERE:
        ipv6 = ":" in somewhere
        to = next((one for one in near if (":" in one) is ipv6), somewhere)
        port = next((p for p in _UNUSUAL if not lets_out(rules, to, p, "udp")), 0)
        setting = f"a datagram to {to} port {port}"
        said = reach.datagram(ctx.host, to, port) if port else "no way"
        if said == "no way":
            yield _untried(setting, "there is no way to it" if port else "everything is let out")
        else:
            yield Finding(
                resource="egress",
                setting=setting,
                expected="refused here",
                running="sent" if said == "silent" else said,
                ok=said == "refused here",
            )


def _targets(ctx: Context, exits: Sequence[Exit]) -> Iterator[tuple[str, str, int]]:
    """(label, address, port): name servers, package sources, and single addresses asked for."""
    needs = ctx.facts.get(OUTGOING)
    configuration = ctx.facts.get(UFW_CONFIGURATION)
    rules = configuration.rules if configuration is not None else ()
    for address in needs.resolvers:
        if lets_out(rules, address, 53, "udp"):
            yield f"the name server {address}", address, 53
    for place in needs.apt:
        for address in _addresses(ctx, place.host):
            if lets_out(rules, address, place.port, "tcp"):
                yield f"{place.host} ({address}:{place.port})", address, place.port
    for one in exits:
        if one.protocol == "tcp" and one.port.isdigit() and one.port != "53" and one.target:
            network = ipaddress.ip_network(one.target)
            if network.num_addresses == 1:
                yield one.label, str(network.network_address), int(one.port)


def _addresses(ctx: Context, name: str) -> list[str]:
    """The first address of a name in each family, as this host looks it up; none in 6 s: none."""
    try:
        answer = ctx.host.run(("getent", "ahosts", name), timeout_s=6, ok=None)
    except HostError:
        return []
    found = dict.fromkeys(line.split()[0] for line in answer.stdout.splitlines() if line.strip())
    by_family = {":" in address: address for address in reversed(found)}
    return list(by_family.values())


def _untried(setting: str, why: str) -> Finding:
    return Finding(
        resource="egress", setting=setting, expected="answered", applicable=False, note=why
    )
