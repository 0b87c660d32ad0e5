"""systemd's units, by name."""

from __future__ import annotations

from host.base import Host, Service
from host.facts.base import Fact, Facts


def _units(host: Host, facts: Facts) -> dict[str, Service]:
    return {service.unit: service for service in host.services()}


UNITS: Fact[dict[str, Service]] = Fact("units", _units)
"""{"ssh.service": Service(unit="ssh.service", active="active", …), …}"""
