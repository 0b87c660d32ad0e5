"""Which packages an undo must leave, because something that stays needs them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from snapshots.captured import TRIGGERED

QUERY = (
    "dpkg-query",
    "-W",
    "-f",
    r"${binary:Package}\t${db:Status-Status}\t${Provides}\t${Pre-Depends}\t${Depends}"
    r"\t${Recommends}\t${Replaces}\n",
)

_THERE = frozenset({"installed", *TRIGGERED})

_RELATION = re.compile(r"\s*(?P<name>[a-z0-9][a-z0-9+.\-]*)(:[a-z0-9-]+)?\s*(?P<version>\()?")

IN_A_VERSION = " (version)"
"""Behind a name: asked for, or stood for, in a version. What only provides a name, without one, is
no answer to that (Debian Policy 7.5)."""

Group = tuple[str, ...]
"""Alternatives, any of which will do."""


class Installed(msgspec.Struct, frozen=True):
    """An installed package: what it stands for, what it asks for, and in whose place it came."""

    name: str
    provides: frozenset[str]
    depends: tuple[Group, ...]
    recommends: tuple[Group, ...]
    replaces: frozenset[str] = frozenset()


def parse(text: str) -> dict[str, Installed]:
    """The answer to `QUERY` -> {"ufw": Installed("ufw", {"ufw"}, (("iptables",), …), …), …}."""
    found = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 7 or fields[1] not in _THERE:
            continue
        full, _, provides, pre_depends, depends, recommends, replaces = fields
        own = full.partition(":")[0]
        names = {group[0] for group in _groups(provides)}
        names |= {name.removesuffix(IN_A_VERSION) for name in names}
        whole = {group[0] for group in _groups(replaces)}  # else only files of older versions
        found[full] = Installed(
            full,
            frozenset({own, own + IN_A_VERSION, *names}),
            (*_groups(pre_depends), *_groups(depends)),
            _groups(recommends),
            frozenset(name for name in whole if not name.endswith(IN_A_VERSION)),
        )
    return found


def kept(
    installed: Mapping[str, Installed],
    going: Iterable[str],
    needers: Mapping[str, str],
    refused: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Which of `going` must stay, each with the package that needs it (itself where declared).

    `needers` are packages that later transactions declared or installed, with whom to hand over
    to; what they depend on or recommend stays, and so on. Of everything else that stays, only
    what it depends on. `refused`: those that dpkg would not take away, and what needs them.
    """
    going = set(going)
    stays: dict[str, str] = {name: name for name in going if name in needers}
    stays |= {name: needer for name, needer in refused.items() if name not in stays}
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
    """`a (>= 1) | b:any, c` -> (("a (version)", "b"), ("c",))."""
    groups = []
    for part in field.split(","):
        names = [
            match["name"] + (IN_A_VERSION if match["version"] else "")
            for word in part.split("|")
            if (match := _RELATION.match(word))
        ]
        if names:
            groups.append(tuple(names))
    return tuple(groups)
