"""How needrestart is set up: the lines of its files that say what it does with old services."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

MAIN: Final = "/etc/needrestart/needrestart.conf"
PARTS: Final = "/etc/needrestart/conf.d"
DEFAULT: Final = "i"
"""What needrestart does where nothing is said (needrestart.conf of bookworm and trixie)."""

_MODE: Final = re.compile(r"^\s*\$nrconf\{\s*['\"]?restart['\"]?\s*\}\s*=\s*['\"]([a-z])['\"]\s*;")


class ModeLine(msgspec.Struct, frozen=True):
    """`$nrconf{restart} = 'a';` in a file: a (by itself), i (asks) or l (only lists)."""

    value: str
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


def parse_mode(file: str, text: str) -> tuple[ModeLine, ...]:
    """The lines of a file that set the mode. It is a program in Perl; what is no plain assignment
    is not seen."""
    return tuple(
        ModeLine(found[1], file, number)
        for number, line in enumerate(text.splitlines(), 1)
        if (found := _MODE.match(line))
    )


def _read(host: Host, facts: Facts) -> tuple[ModeLine, ...]:
    lines: list[ModeLine] = []
    for path in (MAIN, *host.glob(f"{PARTS}/*.conf")):
        try:
            lines += parse_mode(path, host.read_bytes(path).decode("utf-8", "replace"))
        except HostError:
            continue  # not there
    return tuple(lines)


NEEDRESTART_MODE: Final[Fact[tuple[ModeLine, ...]]] = Fact("needrestart-mode", _read)
"""In the order in which needrestart reads them: the last one counts."""
