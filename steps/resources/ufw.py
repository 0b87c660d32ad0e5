"""The firewall: ufw on, everything refused but what is asked for, in IPv4 and IPv6 alike."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.iptables import IP6TABLES, IPTABLES, KERNEL_HAS_IPV6, Filter, user_rules
from host.facts.packages import PACKAGES
from host.facts.ufw import UFW_CONFIGURATION, UFW_STATUS, Configuration
from host.facts.units import UNITS
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.ssh_ports import FACTS as SSH_PORTS
from steps.resources.ssh_ports import ssh_ports
from steps.resources.ufw_findings import (
    Policy,
    firewall_finding,
    ipv6_finding,
    policy_finding,
    tables_of,
)
from steps.resources.ufw_plan import plan
from steps.resources.ufw_rules import (
    Opening,
    lacking,
    others,
    parse_network,
    parse_opening,
    too_wide,
)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The resource as a catalogue file writes it.

    `strict` makes rules that nobody asked for a failure; otherwise they are kept and shown.
    """

    enabled: bool = True
    incoming: Policy = "deny"
    outgoing: Policy = "allow"
    allow: list[str] = []
    from_: list[str] = msgspec.field(default_factory=list, name="from")
    strict: bool = False


class Ufw(Resource):
    """`ufw: {incoming: deny, outgoing: allow, allow: [80/tcp, …], from: [networks for SSH]}`."""

    kind: ClassVar[str] = "ufw"

    def __init__(self, body: Body) -> None:
        self.body = body
        self.asked = tuple(parse_opening(text) for text in body.allow)
        self.networks = tuple(parse_network(text) for text in body.from_)

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Ufw:
        return cls(msgspec.convert(body, Body))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (
            PACKAGES,
            UFW_CONFIGURATION,
            UFW_STATUS,
            IPTABLES,
            IP6TABLES,
            KERNEL_HAS_IPV6,
            UNITS,
            *SSH_PORTS,
        )

    def openings(self, ctx: Context) -> tuple[Opening, ...]:
        """SSH first, from the chosen networks only if there are any; then what was asked for."""
        ssh = [Opening(str(port), "tcp", self.networks) for port in ssh_ports(ctx)]
        ports = {opening.port for opening in ssh}
        rest = [
            opening
            for opening in self.asked
            if not (opening.port in ports and opening.protocol in ("tcp", "any"))
        ]
        return (*ssh, *rest)

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        return plan(ctx, self.body.incoming, self.body.outgoing, self.openings(ctx), self.strict)

    @property
    def strict(self) -> bool:
        return self.body.strict

    def observe(self, ctx: Context) -> list[Finding]:
        configuration = ctx.facts.get(UFW_CONFIGURATION)
        openings = self.openings(ctx)
        if configuration is None:
            return [
                Finding(
                    resource="ufw",
                    setting="firewall",
                    expected="active, and after a reboot",
                    running="off (ufw is not installed)",
                    persistent="off (ufw is not installed)",
                    ok=False,
                ),
                *(
                    Finding(
                        resource="ufw",
                        setting=opening.name,
                        expected=_expected(opening),
                        running="no firewall",
                        ok=False,
                    )
                    for opening in openings
                ),
            ]
        tables = tables_of(ctx)
        active = ctx.facts.get(UFW_STATUS).active
        findings = [firewall_finding(ctx, configuration, tables, active)]
        if ctx.facts.get(KERNEL_HAS_IPV6):
            findings.append(ipv6_finding(configuration))
        for ipv6, table in tables.items():
            findings.append(policy_finding(configuration, table, ipv6, "input", self.body.incoming))
            findings.append(
                policy_finding(configuration, table, ipv6, "output", self.body.outgoing)
            )
        findings += [_opening(configuration, tables, active, opening) for opening in openings]
        findings += _rival(ctx)
        extra = others(configuration.rules, openings)
        if extra:
            names = "; ".join(dict.fromkeys(rule.command for rule in extra))
            findings.append(
                Finding(
                    resource="ufw",
                    setting="other rules",
                    expected="none" if self.strict else "",
                    running=names,
                    persistent=names,
                    origin=extra[0].origin,
                    ok=not self.strict,
                    note="" if self.strict else "rules of this host's own are kept",
                    applicable=self.strict,
                )
            )
        return findings


def _expected(opening: Opening) -> str:
    return f"open from {', '.join(opening.sources)}" if opening.sources else "open"


def _opening(
    configuration: Configuration,
    tables: dict[bool, Filter | None],
    active: bool,
    opening: Opening,
) -> Finding:
    said_running: list[str] = []
    said_boot: list[str] = []
    origin = ""
    ok = True
    for ipv6, table in tables.items():
        wanted = opening.rules(ipv6=ipv6)
        family = "IPv6" if ipv6 else "IPv4"
        boot = configuration.family(ipv6)
        now = user_rules(table, ipv6=ipv6) if table is not None and active else ()
        for rules, said, counts in ((now, said_running, active), (boot, said_boot, True)):
            wide = too_wide(rules, opening)
            missing = lacking(rules, opening, ipv6=ipv6)
            if not counts:
                said.append(f"{family} open, no firewall")
            elif wide:
                said.append(
                    f"{family} also from {', '.join(dict.fromkeys(r.source for r in wide))}"
                )
                ok = False
            elif missing:
                said.append(f"{family} closed")
                ok = False
            elif wanted:
                said.append(f"{family} open")
        origin = origin or next(
            (r.origin for r in boot if r.lets_in and r.covers(opening.ends[0], opening.protocol)),
            "",
        )
    return Finding(
        resource="ufw",
        setting=opening.name,
        expected=_expected(opening),
        running=", ".join(said_running),
        persistent=", ".join(said_boot),
        origin=origin,
        ok=ok,
    )


def _rival(ctx: Context) -> list[Finding]:
    unit = ctx.facts.get(UNITS).get("nftables.service")
    if unit is None or unit.enabled not in ("enabled", "enabled-runtime"):
        return []
    return [
        Finding(
            resource="ufw",
            setting="nftables.service",
            expected="disabled",
            running=unit.active,
            persistent=unit.enabled,
            origin="/etc/nftables.conf",
            ok=False,
            note="it begins with `flush ruleset`, which wipes ufw's rules whenever it starts",
        )
    ]
