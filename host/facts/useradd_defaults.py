"""/etc/default/useradd: what becomes of new accounts whose password has run out."""

from __future__ import annotations

import re
from typing import Final

from host.base import Host, HostError
from host.facts.base import Fact, Facts

PATH: Final = "/etc/default/useradd"
_INACTIVE: Final = re.compile(r"(?m)^[ \t]*INACTIVE[ \t]*=[ \t]*(-?[0-9]{1,9})")


def parse_inactive(text: str) -> tuple[int, str]:
    """(days, origin): (45, "/etc/default/useradd:33"); -1 is never, and what holds by default."""
    every = list(_INACTIVE.finditer(text))
    if not every:
        return -1, PATH
    found = every[-1]
    return int(found[1]), f"{PATH}:{text.count(chr(10), 0, found.start(1)) + 1}"


def _inactive(host: Host, facts: Facts) -> tuple[int, str]:
    try:
        return parse_inactive(host.read_bytes(PATH).decode("utf-8", "replace"))
    except HostError:
        return -1, PATH


INACTIVE: Fact[tuple[int, str]] = Fact("useradd-inactive", _inactive)
