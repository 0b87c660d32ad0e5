"""Whether an address may be banned by hand. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from host.facts.fail2ban_bans import Bans


def refusal(address: str, jail: str, bans: Bans, administrators: Iterable[str]) -> str:
    """Why not, for a person; empty where it may. `administrators`: where people come from now."""
    known = ipaddress.ip_address(address)
    if jail not in bans.jails:
        names = ", ".join(sorted(bans.jails)) or "none"
        return f"There is no jail {jail!r}; these run: {names}. Nothing was changed."
    if known.is_loopback or known.is_unspecified or known.is_multicast:
        return f"{address} is this host itself, or nobody: it is never banned."
    for other in administrators:
        if _inside(known, other):
            return (
                f"{address} is where you, or somebody else who is logged in over SSH, come from:"
                " it is not banned. Nothing was changed."
            )
    for ignored in bans.jails[jail].ignored:
        if _inside(known, ignored):
            return (
                f"{address} is not banned: the jail {jail} ignores {ignored}. Take that out of"
                " `ignore` first if it is meant."
            )
    return ""


def _inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str) -> bool:
    try:
        network = ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return False  # a host name, or nothing
    return address.version == network.version and address in network
