"""systemd-networkd: which links it has in hand, and whether it switches IPv6 on there.

It writes conf/LINK/disable_ipv6 = 0 for each link that gets IPv6 addresses by its .network file
(link_update_ipv6_sysctl and link_ipv6_enabled of systemd's network/), after systemd-sysctl ran.
"""

from __future__ import annotations

from collections.abc import Iterable

from host.base import Host, HostError
from host.facts.base import Fact, Facts

LINKS = "/run/systemd/netif/links"
FOLDERS = (
    "/etc/systemd/network", "/run/systemd/network", "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
)  # fmt: skip
"""Where drop-ins lie, the strongest first: the same file name hides the later ones."""

_WITHOUT_IPV6 = ("no", "false", "off", "n", "f", "0", "ipv4")


def network_file(state: str) -> str:
    """The .network file of a link, of its file in `LINKS`; empty where networkd leaves it alone.

    "ADMIN_STATE=configured\\nNETWORK_FILE=/etc/systemd/network/lan.network\\n…".
    """
    said = dict(line.split("=", 1) for line in state.splitlines() if "=" in line)
    return "" if said.get("ADMIN_STATE") == "unmanaged" else said.get("NETWORK_FILE", "")


def switches_ipv6_on(texts: Iterable[str]) -> bool:
    """Whether a .network file and its drop-ins, in this order, may give a link IPv6.

    Only LinkLocalAddressing=no (or ipv4) without an IPv6 address of its own rules it out.
    """
    link_local, has_address, section = "", False, ""
    for line in (line.strip() for text in texts for line in text.splitlines()):
        if line.startswith("["):
            section = line
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals or line.startswith(("#", ";")):
            continue
        if key == "LinkLocalAddressing" and section == "[Network]":
            link_local = value.lower()
        has_address |= key in ("Address", "Gateway", "Destination") and ":" in value
    return has_address or link_local not in _WITHOUT_IPV6


def _giving_ipv6(host: Host, facts: Facts) -> dict[str, str]:
    found = {}
    for link in host.listdir("/sys/class/net"):
        index = _text(host, f"/sys/class/net/{link}/ifindex").strip()
        path = network_file(_text(host, f"{LINKS}/{index}")) if index else ""
        if path and switches_ipv6_on([_text(host, one) for one in (path, *_drop_ins(host, path))]):
            found[link] = path
    return found


def _drop_ins(host: Host, path: str) -> list[str]:
    chosen: dict[str, str] = {}
    for folder in FOLDERS:
        for one in host.glob(f"{folder}/{path.rpartition('/')[2]}.d/*.conf"):
            chosen.setdefault(one.rpartition("/")[2], one)
    return [chosen[name] for name in sorted(chosen)]


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""


NETWORKD_IPV6: Fact[dict[str, str]] = Fact("networkd-ipv6", _giving_ipv6)
"""{"eth0": "/etc/systemd/network/lan.network"}: links it may switch IPv6 on for, with the file that
makes it so. What it does at the next boot only where its unit is enabled."""
