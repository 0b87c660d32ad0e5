"""Whether ufw lets this host reach what a step needs, so that it is said before and not after."""

from __future__ import annotations

import ipaddress
from typing import Final

from host.facts import FactUnavailable
from host.facts.outgoing import Place
from host.facts.ufw import UFW_CONFIGURATION
from steps.model import Finding
from steps.resource import Context
from steps.resources.egress_needs import reached

_LETS_OUT: Final = "ACCEPT"


def shut_in(ctx: Context, host: str, port: int) -> bool:
    """Whether ufw's files let no TCP connection out to `host` (a name or an address).

    False where ufw is off, lets out what no rule names, or cannot be read: the proof of a step
    tries the connection itself.
    """
    try:
        configuration = ctx.facts.get(UFW_CONFIGURATION)
    except FactUnavailable:
        return False
    if configuration is None or not configuration.enabled or _is_this_host(host):
        return False
    if configuration.policies["output"] == _LETS_OUT:
        return False
    return not reached(Place(host, port), configuration.rules)


def way_findings(ctx: Context, host: str, port: int) -> list[Finding]:
    """That the way is shut; nothing where it is not, which does not say that it is open."""
    if not shut_in(ctx, host, port):
        return []
    shut = "shut in"
    return [
        Finding(
            resource="ufw", setting=f"the way to {host}:{port}", expected="let out", running=shut,
            persistent=shut, ok=False, note="see `also` of firewall.egress",
        )
    ]  # fmt: skip


def way_refusals(ctx: Context, host: str, port: int) -> tuple[str, ...]:
    """Why nothing is tried where the way is shut."""
    if not shut_in(ctx, host, port):
        return ()
    return (
        f"ufw lets nothing out to {host}:{port}; nothing was changed. Add {port}/tcp to `also` of"
        " firewall.egress and apply it again, then this step.",
    )


def _is_this_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
