"""Which packages an undo must leave, because something that stays needs them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from snapshots.captured import TRIGGERED

QUERY = (
    "dpkg-query",
    "-W",
    "-f",
    r"${binary:Package}\t${db:Status-Status}\t${Provides}\t${Pre-Depends}\t${Depends}"
    r"\t${Recommends}\n",
)

_THERE = frozenset({"installed", *TRIGGERED})

_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.\-]*)")

Group = tuple[str, ...]
"""Alternatives, any of which will do."""


class Installed(msgspec.Struct, frozen=True):
    """An installed package: what it stands for and what it asks for."""

    name: str
    provides: frozenset[str]
    depends: tuple[Group, ...]
    recommends: tuple[Group, ...]


def parse(text: str) -> dict[str, Installed]:
    """The answer to `QUERY` -> {"ufw": Installed("ufw", {"ufw"}, (("iptables",), …), …), …}."""
    found = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 6 or fields[1] not in _THERE:
            continue
        full, _, provides, pre_depends, depends, recommends = fields
        names = {group[0] for group in _groups(provides)}
        found[full] = Installed(
            full,
            frozenset({full.partition(":")[0], *names}),
            (*_groups(pre_depends), *_groups(depends)),
            _groups(recommends),
        )
    return found


def kept(
    installed: Mapping[str, Installed],
    going: Iterable[str],
    needers: Mapping[str, str],
) -> dict[str, str]:
    """Which of `going` must stay, each with the package that needs it (itself where declared).

    `needers` are packages that later transactions declared or installed, with whom to hand over
    to; what they depend on or recommend stays, and so on. Of everything else that stays, only
    what it depends on.
    """
    going = set(going)
    stays: dict[str, str] = {name: name for name in going if name in needers}
    while True:
        remaining = {
            name: package
            for name, package in installed.items()
            if name not in going or name in stays
        }
        available = {word for package in remaining.values() for word in package.provides}
        found: dict[str, str] = {}
        for name, package in remaining.items():
            soft = package.recommends if name in needers or name in stays else ()
            for group in (*package.depends, *soft):
                if available.intersection(group):
                    continue
                for other in going - stays.keys() - found.keys():
                    if other in installed and installed[other].provides.intersection(group):
                        found[other] = name
        if not found:
            return stays
        stays.update(found)


def origin(stays: Mapping[str, str], name: str) -> str:
    """The package at the head of the chain that keeps `name`."""
    seen = set()
    while stays.get(name, name) != name and name not in seen:
        seen.add(name)
        name = stays[name]
    return name


def _groups(field: str) -> tuple[Group, ...]:
    """`a (>= 1) | b:any, c` -> (("a", "b"), ("c",))."""
    groups = []
    for part in field.split(","):
        names = [match[1] for word in part.split("|") if (match := _NAME.match(word))]
        if names:
            groups.append(tuple(names))
    return tuple(groups)
