"""What a host cannot do without: looking up names and fetching packages. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import msgspec

from host.facts.outgoing import Outgoing, Place
from host.facts.ufw import Rule
from steps.resources.egress_rules import lets_out, lets_out_somewhere


class Need(msgspec.Struct, frozen=True):
    """`why`: what cannot be reached, and by which file it is needed; empty where all can."""

    what: str
    ok: bool
    why: str = ""


def unmet(needs: Outgoing, rules: Sequence[Rule]) -> tuple[Need, ...]:
    """Names and packages, each with whether these rules let the host reach them."""
    shut = [one for one in needs.resolvers if not lets_out(rules, one, 53, "udp")]
    if needs.resolvers:
        names = Need(
            "looking up names",
            len(shut) < len(needs.resolvers),
            f"no name server of /etc/resolv.conf ({', '.join(shut)}) can be reached on 53/udp",
        )
    else:
        names = Need(
            "looking up names",
            lets_out_somewhere(rules, 53, "udp"),
            "no rule lets anything out to 53/udp",
        )
    far = [place for place in needs.apt if not reached(place, rules)]
    what = "the proxy of apt" if needs.proxied else "a package source of /etc/apt"
    places = ", ".join(f"{place.host}:{place.port}" for place in far)
    packages = Need("fetching packages", not far, f"{what} ({places}) cannot be reached")
    return tuple(
        msgspec.structs.replace(need, why="") if need.ok else need for need in (names, packages)
    )


def reached(place: Place, rules: Sequence[Rule]) -> bool:
    """Whether these rules let a connection out to `place`.

    A host with a name counts as reached where its port is open to any address at all: which
    addresses the name has is another machine's to say.
    """
    try:
        address = str(ipaddress.ip_address(place.host))
    except ValueError:
        return lets_out_somewhere(rules, place.port, place.protocol)
    return lets_out(rules, address, place.port, place.protocol)
