"""Numbers of users and groups by name."""

from __future__ import annotations

from host.base import Host
from host.facts.base import Fact, Facts, FactUnavailable


def parse_numbers(text: str) -> dict[str, int]:
    """`getent passwd` or `getent group`: {"root": 0, "www-data": 33, …}."""
    numbers: dict[str, int] = {}
    for line in text.split("\n"):
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdigit():
            numbers.setdefault(fields[0], int(fields[2]))
    return numbers


def number(known: dict[str, int], name: str, what: str) -> int:
    """The number of a name, or of a number written out. Raises `FactUnavailable`."""
    if name.isdigit():
        return int(name)
    if name not in known:
        raise FactUnavailable(f"there is no {what} {name!r} on this host")
    return known[name]


def _users(host: Host, facts: Facts) -> dict[str, int]:
    return parse_numbers(host.run(("getent", "passwd"), timeout_s=10).stdout)


def _groups(host: Host, facts: Facts) -> dict[str, int]:
    return parse_numbers(host.run(("getent", "group"), timeout_s=10).stdout)


USERS: Fact[dict[str, int]] = Fact("user-numbers", _users)
GROUPS: Fact[dict[str, int]] = Fact("group-numbers", _groups)
