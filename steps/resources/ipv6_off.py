"""What switching IPv6 off would break, looked for first, and what would switch it on again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from host.base import CommandMissing, HostError, Port
from host.facts.networkd import NETWORKD_IPV6
from host.facts.ports import PORTS
from host.facts.units import UNITS
from steps.model import Finding
from steps.resource import Context
from steps.resources.ufw_rules import plain_address

_LISTEN_FILES: Final = (
    "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf", "/etc/apache2/ports.conf",
    "/etc/apache2/sites-enabled/*", "/etc/mysql/*.cnf", "/etc/mysql/*.d/*.cnf",
    "/etc/chrony/chrony.conf", "/etc/chrony/conf.d/*.conf", "/etc/nginx/sites-enabled/*",
    "/etc/fail2ban/fail2ban.local", "/etc/rsyslog.d/*.conf",
)  # fmt: skip
_LISTENS: Final = re.compile(
    r"^\s*(listenaddress|listen|bind-address|bind_address|bindaddress|bindcmdaddress)[\s=]+"
    r"\"?(\[[0-9a-f:.]+\]|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*)",
    re.IGNORECASE,
)


def listen_lines(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(file:line, the line) of settings that bind a daemon to an IPv6 address.

    "ListenAddress ::", "Listen [::1]:8080", "bind-address = ::1"; comments are left out.
    """
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if _LISTENS.match(line):
                yield f"{path}:{number}", " ".join(line.split())


def what_breaks(ctx: Context) -> tuple[list[str], list[str]]:
    """(refusals, notes): who would lose what. Raises `HostError` where it cannot be asked."""
    refusals = []
    for address in (ctx.session.client_address, ctx.session.server_address):
        there = plain_address(address)
        if there is not None and there.version == 6 and not there.is_loopback:
            refusals.append(
                f"You are connected over IPv6 ({there}): this would end your own connection."
                " Nothing was changed. Connect to this host's IPv4 address and apply again."
            )
            break
    if not _has_ipv4(ctx):
        refusals.append(
            "This host has no IPv4 address but its own loopback: nobody could reach it any more."
            " Nothing was changed."
        )
    bound = sorted({_name(port) for port in ctx.facts.get(PORTS) if _only_ipv6(port)})
    if bound:
        refusals.append(
            f"Bound to an IPv6 address of its own, and would not start again without it:"
            f" {', '.join(bound)}. Nothing was changed. Give it an IPv4 address first, or keep"
            " IPv6 and guard it (`mode=guard`)."
        )
    lines = list(listen_lines(_texts(ctx)))
    refusals += [
        f"{origin} says `{line}`, which fails without IPv6. Nothing was changed. Change that line"
        " first, or keep IPv6 and guard it (`mode=guard`)."
        for origin, line in lines
    ]
    both = sorted({_name(port) for port in ctx.facts.get(PORTS) if port.address in ("::", "::1")})
    notes = [f"Reachable in IPv4 only afterwards: {', '.join(both)}."] if both else []
    notes += [f"{one.setting}: {one.note}." for one in switched_on_again(ctx)]
    return refusals, notes


def switched_on_again(ctx: Context) -> list[Finding]:
    """What sets the interfaces by itself when the network starts, after every sysctl file."""
    units = ctx.facts.get(UNITS)
    reasons = {}
    for name in ("systemd-networkd.service", "NetworkManager.service"):
        unit = units.get(name)
        if unit is not None and unit.enabled in ("enabled", "enabled-runtime"):
            reasons[name] = (unit.active, _reason(ctx, name, unit.active == "active"))
    return [
        Finding(
            resource="unit",
            setting=name,
            expected="leaves IPv6 off at boot",
            running=active,
            persistent="enabled",
            ok=None,
            note=reason,
        )
        for name, (active, reason) in reasons.items()
        if reason
    ]


def _reason(ctx: Context, unit: str, runs: bool) -> str:
    """Why it is not known that a unit leaves IPv6 off; empty where it does."""
    if unit == "NetworkManager.service":
        return "it sets IPv6 by its connections (ipv6.method), which are not looked at here"
    if not runs:
        return "it starts at boot, and does not run now: which links it takes cannot be told"
    links = ctx.facts.get(NETWORKD_IPV6)
    if not links:
        return ""
    named = ", ".join(f"{link} ({path})" for link, path in sorted(links.items()))
    return (
        f"at boot it may switch IPv6 on for {named}: to leave it off, LinkLocalAddressing=no (or"
        " ipv4) must stand there, and no IPv6 address"
    )


def _only_ipv6(port: Port) -> bool:
    return (
        ":" in port.address
        and port.address not in ("::", "::1")
        and not (port.address.startswith(("::ffff:", "fe80:")))
    )


def _name(port: Port) -> str:
    return f"{port.process or port.unit or 'unknown'} on [{port.address}]:{port.port}"


def _has_ipv4(ctx: Context) -> bool:
    try:
        answer = ctx.host.run(("ip", "-4", "-o", "addr", "show", "scope", "global"), ok=None)
    except CommandMissing:
        return True  # it cannot be told; whoever comes over IPv6 was looked for already
    return bool(answer.stdout.strip()) or not answer.ok


def _texts(ctx: Context) -> dict[str, str]:
    found = {}
    for pattern in _LISTEN_FILES:
        for path in ctx.host.glob(pattern):
            try:
                found[path] = ctx.host.read_bytes(path).decode("utf-8", "replace")
            except HostError:
                continue  # a directory, or a link to nothing
    return found
