"""A process of a running service, also where systemd knows no main process (Apache's forks)."""

from __future__ import annotations

from collections.abc import Sequence

from host.base import Host, HostError

PLACES = (
    "/sys/fs/cgroup/system.slice/{unit}/cgroup.procs",
    "/sys/fs/cgroup/systemd/system.slice/{unit}/cgroup.procs",
    "/sys/fs/cgroup/unified/system.slice/{unit}/cgroup.procs",
)
"""The unified hierarchy first, then those of hosts that still have the older one."""


def process_of(host: Host, unit: str, main_pid: int = 0) -> int:
    """The main process, or else the lowest number in the unit's control group; 0 if there is none.

    A forking service starts its workers after itself, so that the lowest is mostly the parent.
    """
    if main_pid:
        return main_pid
    return next((pid for place in PLACES if (pid := _lowest(host, place.format(unit=unit)))), 0)


def processes_of(host: Host, patterns: Sequence[str]) -> dict[str, int]:
    """Running services by patterns of their names, {"php8.2-fpm.service": 812}; systemd is not
    asked."""
    found: dict[str, int] = {}
    for pattern in patterns:
        for place in PLACES:
            for path in host.glob(place.format(unit=pattern)):
                pid = _lowest(host, path)
                if pid:
                    found.setdefault(path.split("/")[-2], pid)
    return dict(sorted(found.items()))


def _lowest(host: Host, path: str) -> int:
    try:
        text = host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return 0
    return min((int(word) for word in text.split() if word.isascii() and word.isdigit()), default=0)
