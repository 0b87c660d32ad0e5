"""What a restore.sh set aside: what was not there then, and copies of what it wrote over.

STATE/snapshots/points/POINT/set-aside.N     beside the script
/run/harden-tui/set-aside.POINT.N            where there was no room for it, until the next boot
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from host.base import Host, HostError
from snapshots.state import StateDir

SPARE: Final = Path("/run/harden-tui")


def places(state: StateDir, points: Iterable[str]) -> list[Path]:
    """Where it lies, of these restore points."""
    found: list[Path] = []
    for point in points:
        found += sorted((state.points / point).glob("set-aside.*"))
        found += _spare(point)
    return found


def _spare(point: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(SPARE.glob(f"set-aside.{point}.*"))
    return []


def bring_home(host: Host, state: StateDir, point: str) -> None:
    """Put what lies in /run beside the script, where there is room for it now."""
    if host.is_practice:
        return
    for place in _spare(point):
        with contextlib.suppress(HostError, OSError):
            _move(host, place, _free(state.points / point))


def _free(point: Path) -> Path:
    """A place that nothing lies in: a full disk may have taken directories, and no file."""
    number = 1
    while True:
        home = point / f"set-aside.{number}"
        for folder, _, _ in os.walk(home, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if not os.path.lexists(home):
            return home
        number += 1


def _move(host: Host, place: Path, home: Path) -> None:
    """By way of cp, which keeps whatever it may be. Raises `HostError`, `OSError`."""
    try:
        host.run(("cp", "-a", "--", str(place), str(home)))
        host.sync((str(home),))
    except (HostError, OSError):
        shutil.rmtree(home, ignore_errors=True)
        raise
    shutil.rmtree(place)


def sentence(found: Iterable[Path]) -> str:
    """Where a person finds it; "" where nothing was set aside."""
    names = " and ".join(map(str, found))
    if not names:
        return ""
    return (
        "What was there and did not belong to that state, and files as they were before restore.sh"
        f" wrote over them, lie in {names}."
    )
