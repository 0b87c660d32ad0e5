"""Whether fail2ban holds the address a person comes from, whose next login it would turn away."""

from __future__ import annotations

import ast
import ipaddress
from typing import Any

from host.base import CommandMissing, HostError
from host.facts.fail2ban import MAIL_ONLY
from steps.resource import Context


def held(ctx: Context) -> tuple[list[str], list[str]]:
    """(lock-outs, notes): the jails that hold the present address, each with the way out."""
    address = ctx.session.client_address
    if not address or not ctx.host.is_root:
        return [], []
    try:
        answer = ctx.host.run(["fail2ban-client", "banned"], timeout_s=10, ok=None)
    except CommandMissing:
        return [], []
    except HostError as error:
        return [], [f"Whether fail2ban holds your address could not be asked: {error}"]
    if not answer.ok:  # it does not run: what it banned before is gone with it
        return [], []
    jails = holding(answer.stdout, address)
    if jails is None:
        return [], [f"fail2ban did not say clearly whether it holds {address}."]
    return [
        f"fail2ban holds your address {address} in the jail {jail}: your next login would be turned"
        f" away. Let it go (`fail2ban-client set {jail} unbanip {banned}`), then apply again."
        for jail, banned in jails
    ], []


def holding(text: str, address: str) -> list[tuple[str, str]] | None:
    """`fail2ban-client banned`: [{'sshd': ['192.0.2.7', '198.51.100.0/24']}, {'web': []}] as
    (jail, what it banned) for the bans that hold `address`; `None` for any other text."""
    try:
        jails: Any = ast.literal_eval(text.strip() or "[]")
        me = ipaddress.ip_address(address.partition("%")[0])
        found = []
        for jail in jails:
            for name, banned in jail.items():
                for one in banned if name not in MAIL_ONLY else ():
                    network = ipaddress.ip_network(str(one).split()[0], strict=False)
                    if network.version == me.version and me in network:
                        found.append((str(name), str(one).split()[0]))
    except (ValueError, SyntaxError, AttributeError, TypeError, IndexError):
        return None
    return found
