"""Where something is mounted: what lies there is no part of the directory that it covers."""

from __future__ import annotations

import re
from typing import Final

from host.base import Host

MOUNTINFO: Final = "/proc/self/mountinfo"

_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


def mount_points(host: Host) -> frozenset[str]:
    """Every path on which something is mounted, directories bound to another place included.

    None on a practice host without such a file. Raises `HostError` where it cannot be read: what
    is not known must not pass for nothing.
    """
    if host.is_practice and host.state(MOUNTINFO) is None:
        return frozenset()
    return parse_points(_text(host))


def mount_devices(host: Host) -> dict[str, str]:
    """The same path -> the device of what is mounted there ("8:1"); empty without such a file."""
    return {} if host.state(MOUNTINFO) is None else parse_devices(_text(host))


def _text(host: Host) -> str:
    return host.read_bytes(MOUNTINFO).decode("utf-8", "surrogateescape")


def parse_points(text: str) -> frozenset[str]:
    """/proc/PID/mountinfo: {"/", "/srv/my disk", …}; there a space is written as `\\040`."""
    return frozenset(parse_devices(text))


def parse_devices(text: str) -> dict[str, str]:
    """The same: {"/": "8:1", …}; of what is mounted over one another the last."""
    rows = (line.split(" ") for line in text.split("\n"))
    return {_ESCAPE.sub(_character, row[4]): row[2] for row in rows if len(row) > 4}


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))
