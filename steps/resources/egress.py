"""What may leave: ufw refuses outgoing connections but for the interfaces this host needs."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from host.facts import Fact
from host.facts.iptables import (
    IP6TABLES,
    IPTABLES,
    KERNEL_HAS_IPV6,
    Filter,
    in_force,
    user_rules,
)
from host.facts.outgoing import OUTGOING
from host.facts.packages import PACKAGES
from host.facts.ufw import UFW_CONFIGURATION, UFW_STATUS, Configuration, Rule
from host.facts.units import UNITS
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.egress_needs import unmet
from steps.resources.egress_plan import Wanted, plan
from steps.resources.egress_rules import Exit, everything, lacking, others, parse_exits, parse_ports
from steps.resources.ufw_findings import (
    firewall_finding,
    ipv6_finding,
    policy_finding,
    tables_of,
)


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", kw_only=True):
    """The resource as a catalogue file writes it.

    `interfaces`: name -> ports ("636/tcp"). `allow` and `also` name them, or a port, with
    "=ADDRESS" where only that may be reached. `cut-off` lets names or packages be out of reach.
    """

    interfaces: dict[str, list[str]]
    allow: list[str]
    also: list[str] = []
    strict: bool = False
    cut_off: bool = False


class Egress(Resource):
    """`egress: {interfaces: {ldaps: [636/tcp], …}, allow: [dns, https, ldaps=10.0.0.9, …]}`."""

    kind: ClassVar[str] = "egress"

    def __init__(self, body: Body, exits: tuple[Exit, ...]) -> None:
        self.exits = exits
        self.strict = body.strict
        self.cut_off = body.cut_off

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Egress:
        given = msgspec.convert(body, Body)
        for ports in given.interfaces.values():
            for port in ports:
                parse_ports(port)
        return cls(given, parse_exits((*given.allow, *given.also), given.interfaces))

    def facts(self) -> tuple[Fact[Any], ...]:
        return (
            PACKAGES,
            UFW_CONFIGURATION,
            UFW_STATUS,
            IPTABLES,
            IP6TABLES,
            KERNEL_HAS_IPV6,
            UNITS,
            OUTGOING,
        )

    def observe(self, ctx: Context) -> list[Finding]:
        configuration = ctx.facts.get(UFW_CONFIGURATION)
        if configuration is None:
            return [
                Finding(
                    resource="egress",
                    setting="firewall",
                    expected="active, outgoing connections refused but for those named",
                    running="off (ufw is not installed): everything may leave",
                    persistent="off (ufw is not installed): everything may leave",
                    ok=False,
                )
            ]
        tables = tables_of(ctx)
        active = ctx.facts.get(UFW_STATUS).active
        findings = [firewall_finding(ctx, configuration, tables, active)]
        if ctx.facts.get(KERNEL_HAS_IPV6):
            findings.append(ipv6_finding(configuration))
        for ipv6, table in tables.items():
            findings.append(policy_finding(configuration, table, ipv6, "output", "deny"))
        findings += [_exit(configuration, tables, active, one) for one in self.exits]
        findings += self._needs(ctx, configuration)
        findings += self._others(configuration)
        return findings

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        return plan(ctx, Wanted(exits=self.exits, strict=self.strict, cut_off=self.cut_off))

    def prove(self, ctx: Context) -> list[Finding]:
        from steps.resources.egress_proof import prove  # only after an apply

        return prove(ctx, self.exits)

    def _needs(self, ctx: Context, configuration: Configuration) -> list[Finding]:
        """Whether names and packages are within reach of the rules as they are."""
        return [
            Finding(
                resource="egress",
                setting=need.what,
                expected="let out",
                running="" if need.ok else "shut in",
                persistent="let out" if need.ok else "shut in",
                ok=need.ok or None if self.cut_off else need.ok,
                applicable=not self.cut_off,
                note="" if need.ok else need.why,
            )
            for need in unmet(ctx.facts.get(OUTGOING), configuration.rules)
        ]

    def _others(self, configuration: Configuration) -> list[Finding]:
        extra = others(configuration.rules, self.exits)
        if not extra:
            return []
        void = everything(extra)
        counts = self.strict or bool(void)
        names = "; ".join(dict.fromkeys(rule.command for rule in extra))
        return [
            Finding(
                resource="egress",
                setting="other rules",
                expected="none" if self.strict else "none that lets everything out" if void else "",
                running=names,
                persistent=names,
                origin=(void or extra)[0].origin,
                ok=not counts,
                note="" if counts else "rules of this host's own are kept",
                applicable=counts,
            )
        ]


def _exit(
    configuration: Configuration, tables: dict[bool, Filter | None], active: bool, wanted: Exit
) -> Finding:
    running: list[str] = []
    persistent: list[str] = []
    origin = ""
    ok = True
    for ipv6, table in tables.items():
        if not wanted.rules(ipv6=ipv6):
            continue
        family = "IPv6" if ipv6 else "IPv4"
        boot = configuration.family(ipv6)
        now: tuple[Rule, ...] = ()
        if table is not None and in_force(table, ipv6=ipv6, way="output"):
            now = user_rules(table, ipv6=ipv6, way="output")
        for rules, said, counts in ((now, running, active), (boot, persistent, True)):
            if not counts:
                said.append(f"{family} open, no firewall")
            elif lacking(rules, wanted, ipv6=ipv6):
                said.append(f"{family} shut")
                ok = False
            else:
                said.append(f"{family} open")
        origin = origin or next(
            (
                rule.origin
                for rule in boot
                if rule.direction == "out" and rule.lets_in and rule.port == wanted.port
            ),
            "",
        )
    return Finding(
        resource="egress",
        setting=wanted.label,
        expected="open",
        running=", ".join(running),
        persistent=", ".join(persistent),
        origin=origin,
        ok=ok,
    )
