"""What dpkg would refuse to take away, asked of dpkg itself: it compares versions, too."""

from __future__ import annotations

import re
from collections.abc import Collection

from host.base import CommandMissing, Host

PURGE = ("dpkg", "--simulate", "--purge", "--force-remove-reinstreq")

_PREVENTED = re.compile(r"^dpkg: dependency problems prevent removal of (\S+):$")
_NEEDED_BY = re.compile(r"^ (\S+) (?:pre-)?depends on ")


def of_purge(host: Host, packages: Collection[str]) -> dict[str, str]:
    """Those of `packages` that dpkg would not purge together -> a package that needs each.

    dpkg neither locks nor changes anything for it. A practice host's dpkg refuses nothing.
    """
    if not packages or host.is_practice:
        return {}
    try:
        answer = host.run((*PURGE, *sorted(packages)), ok=None)
    except CommandMissing:
        return {}
    return parse(answer.stderr) if not answer.ok else {}


def parse(said: str) -> dict[str, str]:
    """dpkg's complaints -> {"libold:amd64": "newthing", …}."""
    found: dict[str, str] = {}
    package = ""
    for line in said.splitlines():
        if prevented := _PREVENTED.match(line):
            package = prevented[1]
        elif package and (needed := _NEEDED_BY.match(line)):
            found.setdefault(package, needed[1])
    return found
