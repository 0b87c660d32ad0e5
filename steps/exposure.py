"""Which services and listening ports a web server is expected to have, and the step for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from host.base import Port, Service
from host.facts.units_unneeded import KNOWN
from steps.model import ParameterValue

WEB_PORTS = frozenset({("tcp", 80), ("tcp", 443), ("udp", 443)})
"""HTTP, HTTPS and HTTP/3: what a web server is there for."""

CLIENT_PORTS = frozenset({("udp", 68), ("udp", 546)})
"""DHCP and DHCPv6 clients (RFC 2131, RFC 8415): they answer nobody."""

_BY_PROGRAM: Mapping[str, str] = {
    "ssh": "ssh.root-login",
    "sshd": "ssh.root-login",
    "apache2": "apache.banner",
    "fail2ban": "defence.fail2ban",
    "ufw": "firewall.ufw",
    "mariadb": "mariadb.listen",
    "mariadbd": "mariadb.listen",
    "mysqld": "mariadb.listen",
}
"""Unit or program -> the step that deals with it."""


class Exposure(msgspec.Struct, frozen=True):
    """What is expected here. `opened` are the ports that the firewall step lets in.

    `unneeded` are units without their type; `steps` the ids that exist in the catalogue.
    """

    steps: frozenset[str]
    unneeded: frozenset[str]
    opened: frozenset[tuple[str, int]]

    def step_of_unit(self, unit: str) -> str:
        """The step that deals with a unit; empty if none does."""
        stem = unit.rpartition(".")[0] or unit
        if stem in self.unneeded:
            return self._known("minimal.services")
        if stem.startswith("php") and stem.endswith("-fpm"):
            return self._known("php.settings")
        return self._known(_BY_PROGRAM.get(stem.partition("@")[0], ""))

    def step_of_service(self, service: Service) -> str:
        """The step that deals with a service; empty if none does."""
        return self.step_of_unit(service.unit)

    def judge(self, port: Port) -> tuple[bool, str]:
        """Whether a listening port is expected, and the step that deals with it."""
        step = self.step_of_unit(port.unit) or self._known(_BY_PROGRAM.get(port.process, ""))
        if (port.unit.rpartition(".")[0] or port.process) in self.unneeded:
            return False, step
        if not port.exposed:
            return True, step
        is_ssh = port.process in ("sshd", "ssh") or port.unit.startswith("ssh.")
        here = (port.protocol, port.port)
        if is_ssh or here in self.opened or here in WEB_PORTS or here in CLIENT_PORTS:
            return True, step
        return False, step or self._known("firewall.ufw")

    def _known(self, step: str) -> str:
        return step if step in self.steps else ""


def exposure(
    steps: Collection[str],
    *,
    remove: ParameterValue | None = None,
    allow: ParameterValue | None = None,
) -> Exposure:
    """From the catalogue and the values of `minimal.services.remove` and `firewall.ufw.allow`."""
    units = [*KNOWN, *(remove if isinstance(remove, tuple) else ())]
    opened = set()
    for rule in allow if isinstance(allow, tuple) else ():
        number, _, protocol = rule.partition("/")
        if number.isdigit():
            opened |= {(name, int(number)) for name in ([protocol] if protocol else ["tcp", "udp"])}
    return Exposure(
        steps=frozenset(steps),
        unneeded=frozenset(unit.rpartition(".")[0] or unit for unit in units),
        opened=frozenset(opened),
    )
