"""The host's own addresses, as others meet them."""

from __future__ import annotations

import ipaddress
import re

from host.base import CommandMissing, Host
from host.facts.base import Fact, Facts

_ROW = re.compile(r"\d+: \S+ +inet6? (\S+?)(?:/\d+)? (.*)")
_PASSING = {"temporary", "deprecated", "tentative", "dadfailed"}
"""A temporary IPv6 address is another one tomorrow; the others are not used to go out."""


def parse_addresses(text: str) -> tuple[str, ...]:
    """`ip -o addr show scope global`: "2: host0    inet 10.77.1.2/24 brd … scope global host0\\ …"
    -> ("10.77.1.2", "2001:db8::5"), each once, those that stay."""
    found = []
    for line in text.splitlines():
        row = _ROW.match(line)
        if row and not _PASSING & set(row[2].partition("\\")[0].split()):
            try:
                found.append(str(ipaddress.ip_address(row[1])))
            except ValueError:
                continue
    return tuple(dict.fromkeys(found))


def _own_addresses(host: Host, facts: Facts) -> tuple[str, ...]:
    try:
        answer = host.run(("ip", "-o", "addr", "show", "scope", "global"), ok=None, timeout_s=10)
    except CommandMissing:
        return ()
    return parse_addresses(answer.stdout)


OWN_ADDRESSES: Fact[tuple[str, ...]] = Fact("own-addresses", _own_addresses)
"""None where the host cannot be asked."""
