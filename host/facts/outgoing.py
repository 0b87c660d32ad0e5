"""Where this host itself has to reach out to, as its configuration files say it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from host.base import CommandMissing, Host
from host.facts.base import Fact, Facts
from host.facts.packages import PACKAGES
from host.facts.texts import read_texts

RESOLV_CONF: Final = "/etc/resolv.conf"
RESOLVED_UPSTREAM: Final = "/run/systemd/resolve/resolv.conf"
"""Whom systemd-resolved asks, where /etc/resolv.conf names only its own stub."""

_LEASES: Final = (
    "/run/systemd/netif/leases/*", "/var/lib/dhcp/*.leases", "/run/NetworkManager/devices/*",
)  # fmt: skip
_SOURCES: Final = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list",
                   "/etc/apt/sources.list.d/*.sources")  # fmt: skip
_SYSLOG: Final = ("/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf")
_CHRONY: Final = ("/etc/chrony/chrony.conf", "/etc/chrony/conf.d/*.conf",
                  "/etc/chrony/sources.d/*.sources")  # fmt: skip
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ftp": 21}
_URI: Final = re.compile(
    r"\b(?:[a-z-]+\+)?(https?|ftp)://(?:[^@/\s]*@)?(\[[0-9a-fA-F:]+\]|[^\s/:\"']+)(?::(\d{1,5}))?"
)
_PROXY: Final = re.compile(
    r'^Acquire::(?:http|https|ftp)::proxy(?:::[^\s"]+)? "([^"]+)";', re.IGNORECASE
)


class Place(msgspec.Struct, frozen=True, order=True):
    """Something to be reached: a host (name or address; "" for any) and a TCP or UDP port."""

    host: str
    port: int
    protocol: str = "tcp"


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration of this host needs to reach.

    `resolvers` are addresses, none of them this host's own. `apt` are the hosts of the package
    sources, or the proxies that stand between. `leased`: addresses (and resolvers) come by DHCP,
    and may be others tomorrow.
    """

    resolvers: tuple[str, ...] = ()
    leased: bool = False
    apt: tuple[Place, ...] = ()
    proxied: bool = False
    mail: tuple[Place, ...] = ()
    syslog: tuple[Place, ...] = ()
    secure_time: bool = False
    """A time server is asked with NTS, which has a port of its own."""


def parse_resolvers(text: str) -> tuple[str, ...]:
    """resolv.conf(5): the addresses behind "nameserver", without zones; loopback left out."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            if not address.is_loopback and not address.is_unspecified:
                found.append(str(address))
    return tuple(dict.fromkeys(found))


def parse_sources(text: str) -> tuple[Place, ...]:
    """sources.list(5), one line or deb822: the hosts packages come from over a network.

    "deb http://mirror.example/debian bookworm main" -> Place("mirror.example", 80). A disabled
    deb822 stanza and comments are left out; file: and cdrom: reach nothing.
    """
    found: list[Place] = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        lines = [line for line in stanza.splitlines() if not line.lstrip().startswith("#")]
        if any(re.match(r"enabled\s*:\s*(no|false|0)\b", line.lower()) for line in lines):
            continue
        found += places("\n".join(lines))
    return tuple(dict.fromkeys(found))


def parse_proxies(text: str) -> tuple[Place, ...]:
    """`apt-config dump Acquire`: the proxies in it ("DIRECT" is none)."""
    found: list[Place] = []
    for line in text.splitlines():
        match = _PROXY.match(line)
        if match and match[1].upper() != "DIRECT":
            found += places(match[1] if "://" in match[1] else f"http://{match[1]}")
    return tuple(dict.fromkeys(found))


def places(text: str) -> Iterator[Place]:
    """The hosts and ports of every HTTP or FTP address in a text."""
    for scheme, name, port in _URI.findall(text):
        number = int(port) if port else _DEFAULT_PORTS[scheme]
        if 0 < number < 65536:
            yield Place(name.strip("[]").lower(), number)


def parse_forwards(text: str) -> tuple[Place, ...]:
    """rsyslog.conf(5): where logs are sent, in the old and in the new notation.

    "*.* @@logs.example.org:6514" -> Place("logs.example.org", 6514, "tcp"); one "@" is UDP.
    """
    found = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        old = re.search(r"\s(@{1,2})(?:\([^)]*\))?(\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(\d{1,5}))?", line)
        if old:
            found.append(_place(old[2], old[3], "udp" if old[1] == "@" else "tcp", 514))
    for action in re.findall(r"action\s*\(([^)]*omfwd[^)]*)\)", text, re.IGNORECASE):
        values = {k.lower(): v for k, v in re.findall(r'(\w+)\s*=\s*"([^"]*)"', action)}
        if values.get("target"):
            protocol = "tcp" if "tcp" in values.get("protocol", "udp").lower() else "udp"
            found.append(_place(values["target"], values.get("port", ""), protocol, 514))
    return tuple(dict.fromkeys(place for place in found if place is not None))


def parse_relay(postfix: str, msmtp: str) -> tuple[Place, ...]:
    """/etc/postfix/main.cf and /etc/msmtprc: the relay that takes this host's mail.

    "relayhost = [mail.example.org]:587" -> Place("mail.example.org", 587).
    """
    found = []
    relay = re.findall(r"(?m)^relayhost\s*=\s*\[?([\w.:-]*?)\]?(?::(\w+))?\s*$", postfix)
    if relay and relay[-1][0]:
        found.append(_place(relay[-1][0], relay[-1][1], "tcp", 25))
    hosts = re.findall(r"(?m)^\s*host\s+(\S+)", msmtp)
    ports = re.findall(r"(?m)^\s*port\s+(\d{1,5})\s*$", msmtp)
    if hosts:
        found.append(_place(hosts[-1], ports[-1] if ports else "", "tcp", 25))
    return tuple(place for place in found if place is not None)


def _place(name: str, port: str, protocol: str, default: int) -> Place | None:
    named = {"submission": "587", "smtps": "465", "submissions": "465", "smtp": "25"}
    text = named.get(port, port) or str(default)
    number = int(text) if text.isdecimal() else 0
    host = name.strip("[]").lower()
    if not 0 < number < 65536 or host in ("localhost", "127.0.0.1", "::1"):
        return None
    return Place(host, number, protocol)


def _resolvers(host: Host) -> tuple[str, ...]:
    texts = read_texts(host, (RESOLV_CONF, RESOLVED_UPSTREAM))
    return parse_resolvers(texts.get(RESOLV_CONF, "")) or parse_resolvers(
        texts.get(RESOLVED_UPSTREAM, "")
    )


def _apt(host: Host) -> tuple[tuple[Place, ...], bool]:
    try:
        proxies = parse_proxies(host.run(("apt-config", "dump", "Acquire"), ok=None).stdout)
    except CommandMissing:
        proxies = ()
    texts = read_texts(host, _SOURCES).values()
    sources = (place for text in texts for place in parse_sources(text))
    return (proxies, True) if proxies else (tuple(dict.fromkeys(sources)), False)


def _mail(host: Host, facts: Facts) -> tuple[Place, ...]:
    texts = read_texts(host, ("/etc/postfix/main.cf", "/etc/msmtprc"))
    found = parse_relay(texts.get("/etc/postfix/main.cf", ""), texts.get("/etc/msmtprc", ""))
    mailers = ("postfix", "exim4-daemon-light", "exim4-daemon-heavy", "opensmtpd")
    if not found and any(name in facts.get(PACKAGES) for name in mailers):
        return (Place("", 25),)
    return found


def _outgoing(host: Host, facts: Facts) -> Outgoing:
    chrony = "\n".join(read_texts(host, _CHRONY).values())
    forwards = (
        place for text in read_texts(host, _SYSLOG).values() for place in parse_forwards(text)
    )
    interfaces = "\n".join(
        read_texts(host, ("/etc/network/interfaces", "/etc/network/interfaces.d/*")).values()
    )
    by_dhcp = bool(re.search(r"(?m)^\s*iface\s+\S+\s+inet6?\s+dhcp\b", interfaces))
    apt, proxied = _apt(host)
    return Outgoing(
        resolvers=_resolvers(host),
        leased=by_dhcp or any(host.glob(pattern) for pattern in _LEASES),
        apt=apt,
        proxied=proxied,
        mail=_mail(host, facts),
        syslog=tuple(dict.fromkeys(forwards)),
        secure_time=bool(re.search(r"(?m)^\s*(server|pool)\s.*\bnts\b", chrony)),
    )


OUTGOING: Fact[Outgoing] = Fact("outgoing", _outgoing)
