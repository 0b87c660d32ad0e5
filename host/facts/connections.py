"""Connections that stand now, and who began them: asked of the kernel through ss(8)."""

from __future__ import annotations

import re

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts
from host.facts.ports import PORTS

_USERS = re.compile(r'users:\(\("([^"]+)"')


class Connection(msgspec.Struct, frozen=True, order=True):
    """A connection of this host to another: its far end, and the process if we may see it."""

    address: str
    port: int
    protocol: str
    process: str = ""


def parse_connections(text: str, listening: frozenset[int]) -> tuple[Connection, ...]:
    """`ss -Hntup state connected`: those that did not come in on a port of `listening`.

    "tcp ESTAB 0 0 10.0.0.2:41230 10.0.0.9:3306 users:(("php-fpm",pid=7,fd=5))"; loopback and
    links of this host to itself are left out.
    """
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 6 or words[0] not in ("tcp", "udp"):
            continue
        own, far = words[4].rpartition(":"), words[5].rpartition(":")
        if not (own[2].isdecimal() and far[2].isdecimal()) or int(own[2]) in listening:
            continue
        address = far[0].strip("[]").partition("%")[0].removeprefix("::ffff:")
        if address.startswith("127.") or address == "::1" or far[0] == own[0]:
            continue
        users = _USERS.search(line)
        found.add(Connection(address, int(far[2]), words[0], users[1] if users else ""))
    return tuple(sorted(found))


def _outgoing(host: Host, facts: Facts) -> tuple[Connection, ...]:
    listening = frozenset(port.port for port in facts.get(PORTS) if port.protocol == "tcp")
    answer = host.run(("ss", "-Hntup", "state", "connected"), ok=None)
    return parse_connections(answer.stdout, listening)


CONNECTIONS: Fact[tuple[Connection, ...]] = Fact("connections", _outgoing)
