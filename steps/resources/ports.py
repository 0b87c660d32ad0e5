"""What listens on the network: every port is expected, or it is shown with whose it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.base import Port
from host.facts import Fact, FactUnavailable
from host.facts.packages import PACKAGES
from host.facts.port_packages import PORT_PACKAGES
from host.facts.ports import PORTS
from host.facts.units import UNITS
from steps.model import Finding
from steps.resource import Context, Planned, Resource, StepError
from steps.resources.ssh_ports import FACTS as SSH_FACTS
from steps.resources.ssh_ports import ssh_ports

WEB_SERVERS = ("apache2", "nginx", "lighttpd", "caddy")
WEB_PORTS = ("80/tcp", "443/tcp")
OF_THE_NETWORK = {
    "dhclient": ("68/udp", "546/udp"),
    "dhcpcd": ("68/udp", "546/udp"),
    "systemd-network": ("68/udp", "546/udp"),
    "NetworkManager": ("68/udp", "546/udp"),
}
"""Programs that get this host its address, and the ports they take the answers on."""
OF_A_LOGIN = ("mosh-server",)

_PORT = re.compile(r"[0-9]{1,5}/(tcp|udp)")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expected: list[str]


class Ports(Resource):
    """`ports: {expected: [22/tcp, 443/tcp, …]}`. What only this host can reach does not count."""

    kind: ClassVar[str] = "ports"

    def __init__(self, expected: Sequence[str]) -> None:
        self.expected = tuple(expected)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Ports:
        expected = msgspec.convert(body, _Body).expected
        for port in expected:
            if not _PORT.fullmatch(port) or not 0 < int(port.partition("/")[0]) < 65536:
                raise StepError(f"expected: {port!r} is no port such as 443/tcp")
        return cls(expected)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (PORTS, UNITS, PORT_PACKAGES, *SSH_FACTS)

    def observe(self, ctx: Context) -> list[Finding]:
        shown: dict[tuple[str, str, str], list[Port]] = {}
        for port in ctx.facts.get(PORTS):
            if port.exposed:
                shown.setdefault((name_of(port), port.process, port.unit), []).append(port)
        findings = [_finding(ctx, ports, self._is_expected(ports[0])) for ports in shown.values()]
        listening = {name for name, _, _ in shown}
        findings += [
            Finding(
                resource="port",
                setting=name,
                expected="may listen",
                running="nobody listens",
                applicable=False,
            )
            for name in self.expected
            if name not in listening
        ]
        if not shown:
            findings.append(
                Finding(
                    resource="port", setting="ports that others can reach",
                    expected="only expected ones", running="none", ok=True,
                )
            )  # fmt: skip
        return findings

    def plan(self, ctx: Context) -> Planned:
        """Whether a service is needed only a person knows; each way out is named."""
        unexpected: dict[str, list[Port]] = {}
        for port in ctx.facts.get(PORTS):
            if port.exposed and not self._is_expected(port):
                unexpected.setdefault(name_of(port), []).append(port)
        if not unexpected:
            return Planned()
        every = " ".join([*self.expected, *unexpected])
        return Planned(
            refusals=(
                *(
                    f"{name} is open and not expected: {_who(ctx, ports[0])} listens there."
                    " Nothing was changed."
                    for name, ports in unexpected.items()
                ),
                "For each of them: stop the service if nobody needs it (minimal.services with its"
                " unit in `remove`), let it listen on this host only if just the host itself needs"
                " it (mariadb.listen does so for MariaDB), or expect it with `harden-tui steps set"
                f" minimal.ports.expected='{every}'`. A port that only some may reach is closed to"
                " the others by firewall.ufw.",
            )
        )

    def _is_expected(self, port: Port) -> bool:
        name = name_of(port)
        return (
            name in self.expected
            or name in OF_THE_NETWORK.get(port.process, ())
            or port.process in OF_A_LOGIN
        )


def name_of(port: Port) -> str:
    return f"{port.port}/{port.protocol}"


def expected_ports(ctx: Context) -> tuple[str, ...]:
    """The way in over SSH, and the web where there is a web server: ("22/tcp", "80/tcp", …)."""
    ssh = tuple(f"{port}/tcp" for port in ssh_ports(ctx)) or ("22/tcp",)
    try:
        installed = ctx.facts.get(PACKAGES)
    except FactUnavailable:
        return (*ssh, *WEB_PORTS)
    return (*ssh, *(WEB_PORTS if any(name in installed for name in WEB_SERVERS) else ()))


def _finding(ctx: Context, ports: Sequence[Port], is_expected: bool) -> Finding:
    port = ports[0]
    addresses = sorted({f"[{one.address}]" if ":" in one.address else one.address for one in ports})
    unit = ctx.facts.get(UNITS).get(port.unit)
    persistent = unit.enabled if unit is not None else ""
    return Finding(
        resource="port",
        setting=name_of(port),
        expected="may listen" if is_expected else "nobody listens",
        running=f"{_who(ctx, port)} on {', '.join(addresses)}",
        persistent=f"{port.unit} is {persistent}" if persistent else "",
        ok=is_expected,
        note="" if is_expected else "not among the expected ports",
    )


def _who(ctx: Context, port: Port) -> str:
    """ "mariadbd (mariadb.service, package mariadb-server)"; what is not known is left out."""
    try:
        package = ctx.facts.get(PORT_PACKAGES).get(port.pid, "")
    except FactUnavailable:
        package = ""
    process = port.process or ("a process that only root can see" if not port.pid else "")
    about = [port.unit, f"package {package}" if package else ""]
    return f"{process} ({', '.join(filter(None, about))})" if any(about) else process
