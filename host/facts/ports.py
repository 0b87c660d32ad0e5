"""What listens on the network."""

from __future__ import annotations

from host.base import Host, Port
from host.facts.base import Fact, Facts


def _ports(host: Host, facts: Facts) -> tuple[Port, ...]:
    return host.ports()


PORTS: Fact[tuple[Port, ...]] = Fact("ports", _ports)
"""(Port(protocol="tcp", address="0.0.0.0", port=22, process="sshd", …), …)"""
