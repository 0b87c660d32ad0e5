"""Which programs were started from directories whose mounts are to change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from host.base import Host, HostError

_MAPPED = re.compile(r"^\S+ ..x\S* \S+ \S+ \d+ +(/.+?)$", re.MULTILINE)


def mapped_from(maps: str, points: Sequence[str]) -> list[str]:
    """/proc/PID/maps: what is mapped to be executed from below `points`, ["/tmp/x/lib.so"].

    Of what was deleted since nothing is said: it cannot be started again in any case.
    """
    found = {path for path in _MAPPED.findall(maps) if not path.endswith(" (deleted)")}
    return sorted(path for path in found if path.startswith(tuple(f"{p}/" for p in points)))


def running_from(host: Host, points: Sequence[str]) -> list[tuple[str, str]]:
    """Processes that execute something from there: [("process 812 (java)", "/tmp/libx.so")]."""
    if not points:
        return []
    found = []
    for path in host.glob("/proc/[0-9]*/maps"):
        folder = path.rpartition("/")[0]
        try:
            mapped = mapped_from(host.read_bytes(path).decode("utf-8", "replace"), points)
            name = host.read_bytes(f"{folder}/comm").decode("utf-8", "replace").strip()
        except HostError:
            continue  # it ended
        if mapped:
            found.append((f"process {folder.rpartition('/')[2]} ({name})", mapped[0]))
    return found
