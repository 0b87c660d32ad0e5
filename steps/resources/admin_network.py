"""SSH only from the administration network: by ufw, by sshd itself, or by a firewall in front."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.sshd import SSHD_EFFECTIVE
from host.facts.ufw import UFW_CONFIGURATION, UFW_STATUS, Configuration
from steps.model import Finding
from steps.resource import Context, Planned, StepError
from steps.resources.attest import Attest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    networks: list[str]
    question: str
    valid_days: int = 365


class AdminNetwork(Attest):
    """`admin-network: {networks: [192.0.2.0/24], question: …}`.

    A person is asked only where neither ufw nor sshd keeps everybody else out.
    """

    kind: ClassVar[str] = "admin-network"

    def __init__(self, networks: Sequence[Network], question: str, valid_days: int) -> None:
        super().__init__(question, valid_days)
        self.networks = tuple(networks)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> AdminNetwork:
        given = msgspec.convert(body, _Body)
        if not given.networks:
            raise StepError("networks: name at least one network that administrators come from")
        networks = [ipaddress.ip_network(one, strict=False) for one in given.networks]
        return cls(networks, given.question.strip(), given.valid_days)

    def facts(self) -> tuple[Fact[Any], ...]:
        return (SSHD_EFFECTIVE, UFW_CONFIGURATION, UFW_STATUS)

    def observe(self, ctx: Context) -> list[Finding]:
        effective = ctx.facts.get(SSHD_EFFECTIVE)
        ports = [int(port) for port in effective.get("port", "22").split() if port.isdecimal()]
        findings = [
            self._by_ufw(ctx, ports),
            self._by_sshd(effective.get("allowusers", "").split()),
        ]
        if any(finding.ok for finding in findings):
            # One of them is enough; of the other it is only told.
            return [finding for finding in findings if finding.ok]
        return [*findings, *super().observe(ctx)]

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok for finding in self.observe(ctx)):
            return Planned()
        shown = ",".join(str(network) for network in self.networks)
        return Planned(
            notes=(
                f"Either of these does it: `harden-tui apply firewall.ufw --set"
                f" firewall.ufw.from={shown}`, or `harden-tui apply ssh.allow --set"
                f" ssh.allow.network={shown}`.",
                self.question,
            )
        )

    def _by_ufw(self, ctx: Context, ports: Sequence[int]) -> Finding:
        finding = Finding(
            resource="ufw", setting="SSH", expected=f"only from {self._shown}", ok=None,
        )  # fmt: skip
        try:
            active = ctx.facts.get(UFW_STATUS).active
            configuration = ctx.facts.get(UFW_CONFIGURATION)
        except FactUnavailable as error:
            return msgspec.structs.replace(finding, running="not known", note=str(error))
        if configuration is None or not active:
            return msgspec.structs.replace(finding, running="ufw is not active")
        wide = self._too_wide(configuration, ports)
        drops = configuration.policies.get("input") in ("DROP", "REJECT")
        said = ", ".join(wide) if wide else ("only from there" if drops else "from anywhere")
        return msgspec.structs.replace(
            finding, running=said, persistent=said if configuration.enabled else "ufw is off",
            ok=True if drops and not wide and configuration.enabled else None,
        )  # fmt: skip

    def _too_wide(self, configuration: Configuration, ports: Sequence[int]) -> list[str]:
        """Rules that let somebody else in to SSH."""
        return [
            f"from {rule.source} ({rule.origin})"
            for rule in configuration.rules
            if rule.lets_in
            and any(rule.covers(port, "tcp") for port in ports)
            and not self._is_inside(rule.source)
        ]

    def _by_sshd(self, allowed: Sequence[str]) -> Finding:
        """AllowUsers, as sshd(8) says it has it: every entry must name a place, and one of ours."""
        places = [entry.partition("@")[2] for entry in allowed]
        wide = [entry for entry, place in zip(allowed, places, strict=True)
                if not place or not self._is_inside(place)]  # fmt: skip
        good = bool(allowed) and not wide
        return Finding(
            resource="sshd", setting="AllowUsers", expected=f"only from {self._shown}",
            running=" ".join(allowed) if allowed else "from anywhere", ok=True if good else None,
        )  # fmt: skip

    def _is_inside(self, place: str) -> bool:
        try:
            inner = ipaddress.ip_network(place, strict=False)
        except ValueError:
            return False  # a pattern such as 10.0.*, or a name
        for network in self.networks:
            if isinstance(inner, ipaddress.IPv4Network):
                if isinstance(network, ipaddress.IPv4Network) and inner.subnet_of(network):
                    return True
            elif isinstance(network, ipaddress.IPv6Network) and inner.subnet_of(network):
                return True
        return False

    @property
    def _shown(self) -> str:
        return ", ".join(str(network) for network in self.networks)
