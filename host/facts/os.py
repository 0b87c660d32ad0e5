"""The distribution and release."""

from __future__ import annotations

from host import distribution
from host.base import Host
from host.facts.base import Fact, Facts


def _distribution(host: Host, facts: Facts) -> distribution.Distribution:
    return distribution.parse(host.read_bytes("/etc/os-release"))


DISTRIBUTION: Fact[distribution.Distribution] = Fact("distribution", _distribution)
"""Distribution(id="debian", version="12", codename="bookworm", …)"""
