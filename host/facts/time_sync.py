"""Who sets the clock of this host, from which servers, and whether that works."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts
from host.facts.texts import read_texts
from host.facts.units import UNITS

DAEMONS: Mapping[str, str] = {
    "systemd-timesyncd": "systemd-timesyncd.service",
    "chrony": "chrony.service",
    "ntpsec": "ntpsec.service",
    "ntp": "ntp.service",
    "openntpd": "openntpd.service",
}
"""Package -> its unit. Debian's own exclude each other (they provide time-daemon)."""

TIMESYNCD_DONE = "/run/systemd/timesync/synchronized"
"""systemd-timesyncd touches it each time it has set the clock (systemd-timesyncd.service(8))."""

CHRONY_FILES = (
    "/etc/chrony/chrony.conf",
    "/etc/chrony/conf.d/*.conf",
    "/etc/chrony/sources.d/*.sources",
    "/run/chrony-dhcp/*.sources",
)
TIMESYNCD_FILES = (
    "/usr/lib/systemd/timesyncd.conf.d/*.conf",
    "/etc/systemd/timesyncd.conf",
    "/etc/systemd/timesyncd.conf.d/*.conf",
)


class Tracking(msgspec.Struct, frozen=True):
    """As chrony tells it: the server's address, its stratum, seconds by which the clock is off."""

    synchronised: bool
    server: str = ""
    stratum: int = 0
    off_s: float = 0.0


class Sources(msgspec.Struct, frozen=True):
    """Time servers a daemon is told to ask, and the line that says so ("" where built in)."""

    servers: tuple[str, ...] = ()
    origin: str = ""


class Clock(msgspec.Struct, frozen=True):
    """What is known of one daemon. `left_out`: systemd looked at its unit's own conditions, one was
    not met, and so it does not start it here. `tracking` is `None` where it does not answer."""

    left_out: bool = False
    tracking: Tracking | None = None


def parse_tracking(text: str) -> Tracking | None:
    """One line of 14 fields, "A29FC87B,162.159.200.123,4,1795645511.3,-0.0001,…,Normal"; `None` of
    anything else ("506 Cannot talk to daemon")."""
    fields = text.strip().split(",")
    if len(fields) != 14 or not fields[2].isdecimal():
        return None
    try:
        off_s = float(fields[4])
    except ValueError:
        return None
    done = fields[13] != "Not synchronised" and fields[0] != "00000000"
    return Tracking(done, fields[1] if done else "", int(fields[2]), off_s)


def parse_chrony_sources(texts: Mapping[str, str]) -> Sources:
    """The pool, server and peer lines of chrony's files: path -> text."""
    servers, origin = [], ""
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            found = re.match(r"\s*(?:pool|server|peer)\s+(\S+)", line, re.IGNORECASE)
            if found:
                servers.append(found[1])
                origin = origin or f"{path}:{number}"
    return Sources(tuple(dict.fromkeys(servers)), origin)


def parse_timesyncd_sources(texts: Mapping[str, str]) -> Sources:
    """NTP= of timesyncd.conf and its drop-ins, in their order: a value adds, an empty one clears.

    Without any, those it was built with: FallbackNTP=, on Debian its pool.
    """
    named: dict[str, list[str]] = {"NTP": [], "FallbackNTP": []}
    origins: dict[str, str] = {}
    cleared = False
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            found = re.match(r"\s*(NTP|FallbackNTP)\s*=\s*(.*?)\s*$", line)
            if not found:
                continue
            name, value = found[1], found[2]
            named[name] = [*named[name], *value.split()] if value else []
            origins[name] = f"{path}:{number}"
            cleared = cleared or (name == "FallbackNTP" and not value)
    for name in ("NTP", "FallbackNTP"):
        if named[name]:
            return Sources(tuple(dict.fromkeys(named[name])), origins[name])
    return Sources() if cleared else Sources(("Debian's pool",))


def parse_condition(text: str) -> bool:
    """`systemctl show -p ConditionResult -p ConditionTimestampMonotonic`: whether a condition was
    looked at (the time is 0 where it never was) and not met."""
    answers = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    looked = answers.get("ConditionTimestampMonotonic", "0") not in ("", "0")
    return looked and answers.get("ConditionResult") == "no"


def clock(package: str) -> Fact[Clock]:
    """What is known of the daemon of a package; asked only where systemd knows its unit."""

    def read(host: Host, facts: Facts) -> Clock:
        unit = facts.get(UNITS).get(DAEMONS[package])
        if unit is None:
            return Clock()
        if unit.active != "active":
            asked = ("ConditionResult", "ConditionTimestampMonotonic")
            argv = ["systemctl", "show", unit.unit, *(f"--property={one}" for one in asked)]
            return Clock(left_out=parse_condition(host.run(argv, timeout_s=10).stdout))
        if package == "chrony":
            argv = ["chronyc", "-n", "-c", "tracking"]
            return Clock(tracking=parse_tracking(host.run(argv, timeout_s=10, ok=None).stdout))
        if package == "systemd-timesyncd":
            return Clock(tracking=Tracking(host.state(TIMESYNCD_DONE) is not None))
        return Clock()

    return Fact(f"clock {package}", read)


def sources(host: Host, package: str) -> Sources | None:
    """Where a daemon gets its time from; `None` of one whose files are not known here."""
    if package == "chrony":
        return parse_chrony_sources(read_texts(host, CHRONY_FILES))
    if package == "systemd-timesyncd":
        return parse_timesyncd_sources(read_texts(host, TIMESYNCD_FILES))
    return None
