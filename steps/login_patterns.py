"""sshd's pattern lists (AllowUsers, AllowGroups, from=): who is on one. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase


def listed(names: Iterable[str], patterns: Sequence[str], address: str = "") -> bool:
    """Whether any name is on the list: any pattern matches and no negated one does.

    A pattern may be USER@HOST, where HOST is an address, a network or a wildcard; without a
    known `address` only a HOST of "*" is taken to match.
    """
    hit = False
    for name in names:
        for pattern in patterns:
            negated, bare = pattern.startswith("!"), pattern.removeprefix("!")
            user, at, place = bare.rpartition("@")
            matches = _wild(name, user if at else bare) and (
                not at or address_listed(address, [place])
            )
            if matches and negated:
                return False
            hit = hit or matches
    return hit


def address_listed(address: str, patterns: Sequence[str]) -> bool:
    """Whether an address is on a list of addresses, networks and wildcards; "!" excludes."""
    hit = False
    for pattern in (pattern.strip() for pattern in patterns):
        negated, bare = pattern.startswith("!"), pattern.removeprefix("!")
        if _address_matches(address, bare):
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
