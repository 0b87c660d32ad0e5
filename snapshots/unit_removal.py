"""Taking away the units of ours that only stand while something waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from host.base import Host
from host.writing import TEMPORARY_PREFIX


def remove_units(
    host: Host,
    paths: Iterable[str],
    units: Sequence[str],
    *,
    directories: Iterable[str],
    made: Sequence[str],
) -> None:
    """Remove these files and links, and the directories that were `made` for them.

    `units` are what systemd shall forget that it failed; `directories` those in which a harden-tui
    that was killed may have left a file under its temporary name. May be repeated. Raises
    `HostError`.
    """
    there = [path for path in paths if host.state(path) is not None]
    there += [
        f"{path}/{name}"
        for path in directories
        for name in host.listdir(path)
        if name.startswith(TEMPORARY_PREFIX)
    ]
    for path in there:
        host.put(path, None)
    for path in reversed(made):
        if host.state(path) is not None and not host.listdir(path):
            host.put(path, None)
    if there:
        host.run(("systemctl", "daemon-reload"), ok=None, timeout_s=60.0)
        host.run(("systemctl", "reset-failed", *units), ok=None)
