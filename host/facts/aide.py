"""AIDE: its database, and how the last daily check ended."""

from __future__ import annotations

import re
import time
from typing import Final

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

CONFIG: Final = "/etc/aide/aide.conf"
DATABASE: Final = "/var/lib/aide/aide.db"
LOG: Final = "/var/log/aide/aide.log"
CHECK: Final = "dailyaidecheck.service"

_TAIL_BYTES: Final = 16 * 1024 * 1024


class Database(msgspec.Struct, frozen=True):
    """`age_days` since it was made."""

    path: str
    origin: str
    size_bytes: int
    age_days: float


class Checksums(msgspec.Struct, frozen=True):
    """What the group Checksums of Debian's aide.conf is made of: ("H",) or ("sha256", "sha512")."""

    names: tuple[str, ...]
    origin: str


class LastCheck(msgspec.Struct, frozen=True):
    """`exit`: AIDE's own status, 0 for no difference, 1 to 7 for differences, more for an error;
    `None` where it never ran."""

    exit: int | None
    when: str = ""


def parse_database(config: str) -> tuple[str, int]:
    """Where aide.conf has its database, and the line that says so: ("/var/lib/aide/aide.db", 11).

    Line 0 where no line says it.
    """
    for number, line in enumerate(config.splitlines(), 1):
        found = re.match(r"\s*database(?:_in)?\s*=\s*file:(\S+)", line)
        if found:
            return found[1], number
    return DATABASE, 0


_CHECKSUMS: Final = re.compile(r"(?m)^[ \t]*Checksums[ \t]*=[ \t]*([\w+]+)[ \t]*$")


def parse_checksums(config: str) -> Checksums | None:
    """The last line "Checksums = H"; `None` where the file has no such group."""
    found = list(_CHECKSUMS.finditer(config))
    if not found:
        return None
    names = tuple(name for name in found[-1][1].split("+") if name)
    return Checksums(names, f"{CONFIG}:{config.count(chr(10), 0, found[-1].start(1)) + 1}")


def checksums_replaced(config: str, line: str) -> str:
    """The configuration with `line` instead of what says Checksums."""
    return _CHECKSUMS.sub(line, config)


def parse_log(text: str) -> LastCheck:
    """aide.log as dailyaidecheck writes it: "aide run on web1 started at 2026-11-25 01:52:07." and
    "AIDE returned with exit code 4. Changed entries detected" or "… with a zero exit code."."""
    said = re.findall(r"AIDE returned with (?:exit code (\d{1,3})|a (zero) exit code)", text)
    code = ["0" if zero else number for number, zero in said]
    when = re.findall(r"(?:started at|begin timestamp) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", text)
    if not code and "terminated" in text:
        return LastCheck(-1, when[-1] if when else "")
    return LastCheck(int(code[-1]) if code else None, when[-1] if when else "")


def _database(host: Host, facts: Facts) -> Database | None:
    path, line = parse_database(host.read_bytes(CONFIG).decode("utf-8", "replace"))
    state = host.state(path)
    if state is None:
        return None
    age_days = max(0.0, time.time() - state.mtime_ns / 1e9) / 86400
    return Database(path, f"{CONFIG}:{line}", state.size_bytes, age_days)


def _checksums(host: Host, facts: Facts) -> Checksums | None:
    return parse_checksums(host.read_bytes(CONFIG).decode("utf-8", "replace"))


def _last(host: Host, facts: Facts) -> LastCheck:
    try:
        text = host.read_bytes(LOG, limit_bytes=_TAIL_BYTES).decode("utf-8", "replace")
    except HostError:
        return LastCheck(None)
    return parse_log(text)


AIDE_CHECKSUMS: Fact[Checksums | None] = Fact("aide-checksums", _checksums)
AIDE_DATABASE: Fact[Database | None] = Fact("aide-database", _database)
AIDE_LAST: Fact[LastCheck] = Fact("aide-last", _last)
