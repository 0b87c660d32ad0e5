"""SSH only from the administration network: by ufw, by sshd itself, or by a firewall in front."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from host.facts import Fact, FactUnavailable
from host.facts.iptables import IP6TABLES, IPTABLES, KERNEL_HAS_IPV6, user_rules
from host.facts.sshd import SSHD_EFFECTIVE, SSHD_TREE
from host.facts.ufw import ANYWHERE, UFW_CONFIGURATION, UFW_STATUS, Rule
from host.facts.units import UNITS
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, StepError
from steps.resources.attest import Attest
from steps.resources.ssh_ports import FACTS as SSH_PORTS
from steps.resources.ssh_ports import ssh_ports
from steps.resources.sshd import Sshd
from steps.resources.ufw_findings import firewall_finding, policy_of, tables_of

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
        return (
            *Sshd("", {}).facts(), *SSH_PORTS, UFW_CONFIGURATION, UFW_STATUS, IPTABLES, IP6TABLES,
            KERNEL_HAS_IPV6, UNITS,
        )  # fmt: skip

    def observe(self, ctx: Context) -> list[Finding]:
        findings = [self._by_ufw(ctx), self._by_sshd(ctx)]
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

    def _by_ufw(self, ctx: Context) -> Finding:
        finding = Finding(
            resource="ufw", setting="SSH", expected=f"only from {self._shown}", ok=None,
        )  # fmt: skip
        try:
            active = ctx.facts.get(UFW_STATUS).active
            configuration = ctx.facts.get(UFW_CONFIGURATION)
            if configuration is None or not active:
                return msgspec.structs.replace(finding, running="ufw is not active")
            tables = tables_of(ctx)
            firewall = firewall_finding(ctx, configuration, tables, active)
            ports = ssh_ports(ctx)
        except FactUnavailable as error:
            return msgspec.structs.replace(finding, running="not known", note=str(error))
        now = [
            self._through(user_rules(table, ipv6=ipv6) if table else (), ports,
                          policy_of(table, "input"))
            for ipv6, table in tables.items()
        ]  # fmt: skip
        boot = self._through(configuration.rules, ports, policy_of(configuration, "input"))
        running = ", ".join(dict.fromkeys(said for said in now if said)) or _ONLY_THERE
        persistent = boot or _ONLY_THERE
        if firewall.running != "active":
            running = f"ufw is {firewall.running}"
        if firewall.persistent != "active":
            persistent = "ufw is off"
        wrong = dict.fromkeys(said for said in (running, persistent) if said != _ONLY_THERE)
        return msgspec.structs.replace(
            finding, running=running, persistent=persistent, ok=None if wrong else True,
            note=firewall.note or "; ".join(wrong),
        )  # fmt: skip

    def _through(self, rules: Sequence[Rule], ports: Sequence[int], policy: str) -> str:
        """Who else comes in to SSH by these rules and this policy; empty where nobody does."""
        wide = [f"from {rule.source} ({rule.origin})" for rule in self._too_wide(rules, ports)]
        return ", ".join(wide) or ("from anywhere" if policy.startswith("allow") else "")

    def _too_wide(self, rules: Sequence[Rule], ports: Sequence[int]) -> list[Rule]:
        """Rules that let somebody else in to SSH, be it over one interface, to one address of this
        host, or from one source port, which whoever comes may choose."""
        return [
            rule
            for rule in rules
            if rule.lets_in
            and rule.interface_in != "lo"
            and any(_for_all(rule).covers(port, "tcp") for port in ports)
            and not self._is_inside(rule.source)
        ]

    def _by_sshd(self, ctx: Context) -> Finding:
        """AllowUsers, as sshd(8) says it has it, and of each `Match` block, which replaces it for
        whom it fits: every entry must name a place, and one of ours."""
        tree = ctx.facts.get(SSHD_TREE)
        everyone = ctx.facts.get(SSHD_EFFECTIVE).get("allowusers", "").split()
        blocks = tree.overrides("AllowUsers")
        named = [*everyone, *(entry for block in blocks for entry in block.value.split())]
        narrow = [entry for entry in named if self._is_inside(entry.partition("@")[2])]
        found = Sshd("", {"AllowUsers": Expectation(only=narrow)}).observe(ctx)
        told = [" ".join(everyone) or "from anywhere"]
        told += [f"{block.value} (Match {block.match} at {block.origin})" for block in blocks]
        return Finding(
            resource="sshd",
            setting="AllowUsers",
            expected=f"only from {self._shown}",
            running="; ".join(told),
            ok=True if all(finding.ok for finding in found) else None,
            note="; ".join(finding.note for finding in found if finding.note and not finding.ok),
        )

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


_ONLY_THERE = "only from there"


def _for_all(rule: Rule) -> Rule:
    """The rule without its conditions on interface, own address and source port."""
    return msgspec.structs.replace(rule, interface_in="", to=ANYWHERE[rule.ipv6], source_port="any")
