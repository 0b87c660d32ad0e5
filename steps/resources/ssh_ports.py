"""The ports an administrator comes in through: never to be closed, and those to watch."""

from __future__ import annotations

from typing import Any

from host.facts import Fact, FactUnavailable
from host.facts.ports import PORTS
from host.facts.sshd import SSHD_DAEMON, SSHD_EFFECTIVE
from steps.resource import Context

FACTS: tuple[Fact[Any], ...] = (PORTS, SSHD_DAEMON, SSHD_EFFECTIVE)

_PROCESSES = ("sshd", "sshd-session")
_UNITS = ("ssh.service", "ssh.socket", "sshd.service")


def ssh_ports(ctx: Context) -> list[int]:
    """Sorted TCP ports: of the present connection, those sshd or ssh.socket listen on, and those
    sshd is configured for (it will listen there after its next start).

    Not found by looking for sshd among our parents, which tmux, screen and sudo hide.
    """
    found = {
        port.port
        for port in ctx.facts.get(PORTS)
        if port.protocol == "tcp"
        and port.exposed
        and (port.process in _PROCESSES or port.unit in _UNITS)
    }
    if ctx.session.server_port:
        found.add(ctx.session.server_port)
    try:
        if not ctx.facts.get(SSHD_DAEMON).by_socket:
            configured = ctx.facts.get(SSHD_EFFECTIVE).get("port", "")
            found.update(int(port) for port in configured.split() if port.isdigit())
    except FactUnavailable:
        return sorted(found)  # no sshd, or one that cannot be asked: what listens is known
    return sorted(found)
