"""sshd's pattern lists (AllowUsers, AllowGroups, from=): who is on one. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def listed(
    names: Iterable[str], patterns: Sequence[str], address: str = "", host_name: str = ""
) -> bool:
    """Whether any name fits any pattern of AllowUsers, DenyUsers, AllowGroups or DenyGroups.

    A "!" before a name means nothing there (tried on both releases: `DenyUsers !alice *` shuts
    alice out). A pattern of users may be USER@HOST, where HOST is a list of addresses, networks and
    wildcards, in which "!" does exclude; without a known `address` only "*" is taken to match.
    """
    for name in names:
        for pattern in patterns:
            user, at, place = pattern.partition("@")
            if not _wild(name, user if at else pattern):
                continue
            if not at or address_listed(address, place.split(","), host_name):
                return True
    return False


def address_listed(address: str, patterns: Sequence[str], host_name: str = "") -> bool:
    """Whether an address, or the name it has for sshd, is on a list; "!" excludes."""
    hit = False
    for pattern in (pattern.strip() for pattern in patterns):
        negated, bare = pattern.startswith("!"), pattern.removeprefix("!")
        if _address_matches(address, bare) or (host_name and _wild(host_name, bare.lower())):
            if negated:
                return False
            hit = True
    return hit


def _address_matches(address: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    if not address:
        return False
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return _wild(address, pattern)


def _wild(text: str, pattern: str) -> bool:
    """`*` and `?` only; sshd knows no [] in patterns."""
    return fnmatchcase(text, pattern.replace("[", "[[]"))
