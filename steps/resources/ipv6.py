"""IPv6 beside IPv4: filtered by the same rules, or off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from host.facts import Fact
from host.facts.iptables import (
    IP6TABLES,
    IPTABLES,
    KERNEL_HAS_IPV6,
    Filter,
    Way,
    in_force,
    user_rules,
)
from host.facts.networkd import NETWORKD_IPV6
from host.facts.ufw import UFW_CONFIGURATION, UFW_STATUS, Configuration, Rule
from host.facts.units import UNITS
from snapshots.model import Change, RunCommand
from steps.expectation import Expectation
from steps.model import Finding
from steps.resource import Context, Planned, Resource
from steps.resources.ipv6_off import switched_on_again, what_breaks
from steps.resources.sysctl import Sysctl
from steps.resources.ufw_findings import firewall_finding, ipv6_finding, policy_of
from steps.resources.ufw_packets import rehearse
from steps.resources.ufw_plan import ipv6_on, once, rivals
from steps.resources.ufw_rules import after

OFF = "net.ipv6.conf.all.disable_ipv6"
KEYS = (OFF, "net.ipv6.conf.default.disable_ipv6")
"""What is written. What counts is each interface's own key: to read `all` means nothing
(Documentation/networking/ip-sysctl.rst of the kernel)."""

_WAYS: tuple[tuple[Way, str], ...] = (("input", "in"), ("output", "out"))


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: Literal["guard", "off"]


class Ipv6(Resource):
    """`ipv6: {mode: guard}` or `{mode: "off"}`."""

    kind: ClassVar[str] = "ipv6"

    def __init__(self, step_id: str, mode: Literal["guard", "off"]) -> None:
        self.mode = mode
        self._switch = Sysctl(step_id, {key: Expectation.of(1) for key in KEYS})

    @classmethod
    def parse(cls, step_id: str, body: Any) -> Ipv6:
        return cls(step_id, msgspec.convert(body, Body).mode)

    def facts(self) -> tuple[Fact[Any], ...]:
        shared = (*self._switch.facts(), KERNEL_HAS_IPV6, UNITS, NETWORKD_IPV6)
        if self.mode == "off":
            return shared
        return (*shared, UFW_CONFIGURATION, UFW_STATUS, IPTABLES, IP6TABLES)

    def observe(self, ctx: Context) -> list[Finding]:
        if not ctx.facts.get(KERNEL_HAS_IPV6):
            return [_said("IPv6", "guarded like IPv4, or off", "this kernel has none", ok=True)]
        off = [*self._switch.observe(ctx), *switched_on_again(ctx)]
        if self.mode == "off":
            return off
        if all(finding.ok is True and finding.applicable for finding in off):
            origin = off[0].origin
            return [_said("IPv6", "guarded like IPv4, or off", "off", ok=True, origin=origin)]
        configuration = ctx.facts.get(UFW_CONFIGURATION)
        if configuration is None:
            expected = "filtered by ufw, like IPv4"
            running = "not filtered (ufw is not installed)"
            wrong = _said("IPv6", expected, running, ok=False, note=_FIRST)
            return [wrong, *_half_off(off)]
        four, six = ctx.facts.get(IPTABLES), ctx.facts.get(IP6TABLES)
        active = ctx.facts.get(UFW_STATUS).active
        return [
            firewall_finding(ctx, configuration, {False: four, True: six}, active),
            ipv6_finding(configuration),
            *(_policy(configuration, four, six, way) for way, _ in _WAYS),
            *(_rules(configuration, four, six, way, direction) for way, direction in _WAYS),
            *_half_off(off),
        ]

    def plan(self, ctx: Context) -> Planned:
        if all(finding.ok is not False for finding in self.observe(ctx) if finding.applicable):
            return Planned()
        if self.mode == "off":
            return self._plan_off(ctx)
        configuration = ctx.facts.get(UFW_CONFIGURATION)
        if configuration is None or not ctx.facts.get(UFW_STATUS).active:
            return Planned(notes=(_FIRST,))
        return _plan_guard(ctx, configuration)

    def _plan_off(self, ctx: Context) -> Planned:
        refusals, notes = what_breaks(ctx)
        if refusals:
            return Planned(refusals=tuple(refusals))
        planned = self._switch.plan(ctx)
        return msgspec.structs.replace(planned, notes=(*planned.notes, *notes))


_FIRST = "ufw is not on: apply firewall.ufw, which filters IPv4 and IPv6 by the same rules."


def _plan_guard(ctx: Context, configuration: Configuration) -> Planned:
    """IPv6 switched on in ufw, and the rules it lacks; what only IPv6 lets in is a person's."""
    refusals = rivals(ctx)
    wider = [rule for _, direction in _WAYS for rule in _only(configuration, direction, six=True)]
    if wider:
        listed = "; ".join(f"`{rule.command}` ({rule.origin})" for rule in wider)
        refusals.append(
            f"ufw lets through in IPv6 what it does not in IPv4: {listed}. Nothing was changed."
            " Delete it with `ufw status numbered` and `ufw delete NUMBER`, or open it in IPv4 too."
        )
    if refusals:
        return Planned(refusals=tuple(refusals))
    missing = [
        msgspec.structs.replace(rule, ipv6=True, to="::/0", source="::/0")
        for _, direction in _WAYS
        for rule in _only(configuration, direction, six=False)
    ]
    names = {"DROP": "deny", "REJECT": "reject", "ACCEPT": "allow"}
    lockouts, notes = rehearse(
        ctx,
        (),
        after(configuration.rules, missing, ()),
        names.get(configuration.policies["input"], "deny"),
        names.get(configuration.policies["output"], "allow"),
    )
    changes: list[Change] = ipv6_on(ctx, configuration, True)
    changes += once(
        RunCommand(argv=("ufw", *rule.specification), why="the same in IPv6 as in IPv4")
        for rule in missing
    )
    if not changes:
        why = "load ufw's rules into the kernel again"
        changes = [RunCommand(argv=("ufw", "reload"), why=why)]
    return Planned(
        changes=tuple(changes), notes=tuple(notes), lockouts=tuple(lockouts), packages=("ufw",)
    )


def _only(configuration: Configuration, direction: str, *, six: bool) -> list[Rule]:
    """Rules for everyone that one family has and the other has not."""
    return _difference(configuration.family(six), configuration.family(not six), direction)


def _difference(rules: Sequence[Rule], others: Sequence[Rule], direction: str) -> list[Rule]:
    """Those of `rules` that let everyone through and have no like in the other family.

    Rules for single addresses cannot be alike: an address is of one family.
    """
    there = {_likeness(rule) for rule in others}
    return [
        rule
        for rule in rules
        if rule.lets_in
        and rule.direction == direction
        and rule.from_anywhere
        and rule.to in ("0.0.0.0/0", "::/0")
        and _likeness(rule) not in there
    ]


def _likeness(rule: Rule) -> tuple[str, ...]:
    return (rule.protocol, rule.port, rule.source_port, rule.direction,
            rule.interface_in, rule.interface_out, "any" if rule.from_anywhere else rule.source,
            "any" if rule.to in ("0.0.0.0/0", "::/0") else rule.to)  # fmt: skip


def _policy(
    configuration: Configuration, four: Filter | None, six: Filter | None, way: Way
) -> Finding:
    name = "incoming" if way == "input" else "outgoing"
    expected, running = policy_of(four, way), policy_of(six, way)
    persistent = policy_of(configuration, way)
    strictness = {"allow": 0, "reject": 1, "deny": 1}
    return Finding(
        resource="ipv6",
        setting=f"{name} (IPv6)",
        expected=f"{expected}, as in IPv4",
        running=running,
        persistent=persistent,
        origin=configuration.origins.get(way, ""),
        ok=strictness[running.split()[0]] >= strictness[expected.split()[0]],
    )


def _rules(
    configuration: Configuration,
    four: Filter | None,
    six: Filter | None,
    way: Way,
    direction: str,
) -> Finding:
    now = tuple(
        user_rules(table, ipv6=ipv6, way=way)
        if table is not None and in_force(table, ipv6=ipv6, way=way)
        else ()
        for ipv6, table in ((False, four), (True, six))
    )
    boot = (configuration.family(False), configuration.family(True))
    running, persistent = (_compared(one[0], one[1], direction) for one in (now, boot))
    wider = _difference(boot[1], boot[0], direction) or _difference(boot[0], boot[1], direction)
    return Finding(
        resource="ipv6",
        setting=f"rules for what {'comes in' if way == 'input' else 'goes out'}",
        expected="the same as in IPv4",
        running=running,
        persistent=persistent,
        origin=wider[0].origin if wider else "",
        ok=running == persistent == _SAME,
    )


_SAME = "the same"


def _compared(four: Sequence[Rule], six: Sequence[Rule], direction: str) -> str:
    parts = [
        f"{what}: {'; '.join(dict.fromkeys(rule.command for rule in rules))}"
        for what, rules in (
            ("only in IPv6", _difference(six, four, direction)),
            ("only in IPv4", _difference(four, six, direction)),
        )
        if rules
    ]
    return ", ".join(parts) or _SAME


def _half_off(off: Sequence[Finding]) -> list[Finding]:
    """Why a host where somebody meant IPv6 to be off does not count as such; only told."""
    if not any(finding.setting == OFF and finding.running == "1" for finding in off):
        return []
    reasons = [
        f"{finding.setting}: {finding.note or f'is {finding.running}'}"
        for finding in off
        if not (finding.ok is True and finding.applicable)
    ]
    return [
        Finding(
            resource="ipv6",
            setting="IPv6 off",
            expected="on every interface, now and at boot",
            running="not all of that",
            applicable=False,
            note="; ".join(reasons),
        )
    ]


def _said(
    setting: str, expected: str, running: str, *, ok: bool, note: str = "", origin: str = ""
) -> Finding:
    return Finding(
        resource="ipv6", setting=setting, expected=expected, running=running, persistent=running,
        ok=ok, note=note, origin=origin,
    )  # fmt: skip
