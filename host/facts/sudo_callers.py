"""Whom sudoers lets do anything at all, by the names it gives them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_SETTING: Final = re.compile(r"(Defaults\b|(Runas|Host|Cmnd|Cmd)_Alias\b|[@#]include)")
_ALIAS: Final = re.compile(r"User_Alias\s+(.*)")
_SPECIFICATION: Final = re.compile(r"([^=\s,]+(?:\s*,\s*[^=\s,]+)*)\s+[^=]+=")


def parse_callers(texts: Iterable[str]) -> tuple[str, ...]:
    """Of files as sudo reads them: ("root", "%sudo", "alice"), names of aliases put in their place.

    A name may be "ALL", "#1000", "+netgroup" or "!bob" as well.
    """
    lists: dict[str, list[str]] = {}
    named: list[str] = []
    for text in texts:
        for raw in text.replace("\\\n", " ").splitlines():
            line = re.sub(r"(^|\s)#(?!\d).*", "", raw).strip()
            alias, specification = _ALIAS.match(line), _SPECIFICATION.match(line)
            if alias:
                for part in alias[1].split(":"):
                    name, _, members = part.partition("=")
                    lists[name.strip()] = _names(members)
            elif specification and not _SETTING.match(line):
                named += _names(specification[1])
    found: list[str] = []
    for name in named:
        found += _expanded(name, lists)
    return tuple(dict.fromkeys(found))


def _expanded(name: str, lists: dict[str, list[str]]) -> list[str]:
    """An alias may hold others; one that holds itself is passed over, as sudo would refuse it."""
    if name not in lists:
        return [name]
    rest = {key: value for key, value in lists.items() if key != name}
    return [one for member in lists[name] for one in _expanded(member, rest)]


def _names(text: str) -> list[str]:
    return [name for one in text.split(",") if (name := one.strip())]
