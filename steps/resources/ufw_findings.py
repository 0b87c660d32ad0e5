"""Findings that every step about ufw shares: whether it is in force, for which families, and what
becomes of packets that no rule is about."""

from __future__ import annotations

from typing import Literal

from host.facts.iptables import IP6TABLES, IPTABLES, KERNEL_HAS_IPV6, Filter, in_force
from host.facts.ufw import Configuration
from host.facts.units import UNITS
from steps.model import Finding
from steps.resource import Context

Policy = Literal["deny", "reject", "allow"]
_POLICY_OF_TARGET = {"DROP": "deny", "REJECT": "reject", "ACCEPT": "allow"}
_STRICTNESS = {"allow": 0, "reject": 1, "deny": 1}


def tables_of(ctx: Context) -> dict[bool, Filter | None]:
    """By family (is it IPv6), leaving out a family the kernel does not have."""
    tables = {False: ctx.facts.get(IPTABLES)}
    if ctx.facts.get(KERNEL_HAS_IPV6):
        tables[True] = ctx.facts.get(IP6TABLES)
    return tables


def firewall_finding(
    ctx: Context, configuration: Configuration, tables: dict[bool, Filter | None], active: bool
) -> Finding:
    unit = ctx.facts.get(UNITS).get("ufw.service")
    started = unit is not None and unit.enabled == "enabled"
    loaded = all(in_force(table, ipv6=ipv6) for ipv6, table in tables.items())
    note = ""
    if active and not loaded:
        note = "`ufw status` says active, but the kernel does not have its chains"
    elif configuration.enabled and not started:
        note = "ufw.service is not enabled, so nothing is loaded at boot"
    running = "inactive" if not active else "active" if loaded else "not in force"
    persistent = "active" if configuration.enabled and started else "inactive"
    return Finding(
        resource="ufw",
        setting="firewall",
        expected="active",
        running=running,
        persistent=persistent,
        origin=configuration.origins.get("enabled", ""),
        ok=running == persistent == "active",
        note=note,
    )


def ipv6_finding(configuration: Configuration) -> Finding:
    return Finding(
        resource="ufw",
        setting="IPV6",
        expected="yes",
        running="yes" if configuration.ipv6 else "no",
        persistent="yes" if configuration.ipv6 else "no",
        origin=configuration.origins.get("ipv6", ""),
        ok=configuration.ipv6,
    )


def policy_of(source: Filter | Configuration | None, way: str) -> str:
    """deny, reject or allow, by the kernel or by ufw's files; with the reason in brackets where a
    policy of denying is void."""
    if source is None:
        return "allow (no firewall)"
    if isinstance(source, Configuration):
        return _POLICY_OF_TARGET.get(source.policies[way], "allow")
    chain = way.upper()
    found = _POLICY_OF_TARGET.get(source.policies.get(chain, ""), "allow")
    if found != "allow" and source.accepts_everything(chain):
        return f"allow (a rule in {chain} accepts everything)"
    return found


def policy_finding(
    configuration: Configuration, table: Filter | None, ipv6: bool, way: str, wanted: Policy
) -> Finding:
    running = policy_of(table, way)
    persistent = policy_of(configuration, way)
    enough = all(
        _STRICTNESS[value.split()[0]] >= _STRICTNESS[wanted] for value in (running, persistent)
    )
    stricter = enough and wanted == "allow" and "allow" not in (running, persistent)
    name = "incoming" if way == "input" else "outgoing"
    return Finding(
        resource="ufw",
        setting=f"{name}{' (IPv6)' if ipv6 else ''}",
        expected=wanted,
        running=running,
        persistent=persistent,
        origin=configuration.origins.get(way, ""),
        ok=enough,
        note="stricter than asked for, and kept" if stricter else "",
    )
