"""Names for what is there only while its maker works, so that others can tell when it was left."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_NAME: Final = re.compile(r"[.-](\d+)-[0-9a-f]{8}$")

_CLOCKS_DIFFER_S: Final = 2.0


def suffix() -> str:
    """`PID-RANDOM` of this process, for the end of a name, after a dot or a hyphen."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def is_left(name: str, made_s: float) -> bool:
    """Whether the maker of what has this name has ended; False where the name is no scratch name.

    `made_s`: when it was made or last changed, in seconds since 1970.
    """
    found = _NAME.search(name)
    return found is not None and not _is_its_maker(int(found[1]), made_s)


def left_in(directory: Path) -> Iterator[Path]:
    """The hidden scratch entries right in a directory whose makers have ended."""
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name[0] == "." and is_left(
                entry.name, entry.stat(follow_symlinks=False).st_mtime
            ):
                yield Path(entry.path)


def _is_its_maker(pid: int, made_s: float) -> bool:
    """A process of that number that was there already when the thing was made."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return False
    # Not from /proc/stat: what it says of the last boot is another's in some containers.
    booted_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    began_s = booted_s + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return fields[0] not in "ZX" and began_s <= made_s + _CLOCKS_DIFFER_S
