"""The host's own addresses, which an older fail2ban would ban.

Until 1.1 fail2ban's `ignoreself` knew only the addresses that the host's name resolves to, which on
Debian is 127.0.1.1: a scan or a monitoring agent on the host itself, over its own address, shut the
host out from itself.
"""

from __future__ import annotations

import re
from typing import Final

from host.facts.addresses import OWN_ADDRESSES
from host.facts.apt import simulation
from host.facts.packages import PACKAGES
from steps.resource import Context
from steps.resources.fail2ban_plan import PACKAGES_NEEDED
from steps.resources.package import absent

KNOWS_ITSELF: Final = (1, 1)
"""The version from which on it asks the interfaces (fail2ban's ChangeLog, 1.1.0)."""


def own_addresses(ctx: Context) -> tuple[str, ...]:
    """Those that fail2ban must be told; none where it knows them."""
    return () if _version(ctx) >= KNOWS_ITSELF else ctx.facts.get(OWN_ADDRESSES)


def _version(ctx: Context) -> tuple[int, ...]:
    """Of the fail2ban that is installed, else of the one that would be; (0,) if nobody knows."""
    package = ctx.facts.get(PACKAGES).get("fail2ban")
    if package is not None:
        return _numbers(package.version)
    for line in ctx.facts.get(simulation(absent(ctx, PACKAGES_NEEDED))).brings:
        name, _, version = line.partition(" ")
        if name == "fail2ban":
            return _numbers(version)
    return (0,)


def _numbers(version: str) -> tuple[int, ...]:
    """ "1.0.2-2" -> (1, 0, 2); (0,) where it does not begin with a number."""
    found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else (0,)
