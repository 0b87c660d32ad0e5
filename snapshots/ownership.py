"""Whose our own directories are: root must not work where somebody else can exchange things."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from host import paths
from host.base import HostError
from snapshots.model import SnapshotError


def is_ours(directory: Path) -> bool:
    """Whether this is a real directory (no link) that belongs to whom we run as."""
    try:
        seen = os.lstat(directory)
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid()


def refuse_foreign_way(path: Path) -> None:
    """Raise `SnapshotError` where someone other than root could put another directory at `path`.

    Root restores what it finds there, and writes there: whoever can exchange a directory on the
    way is root. In a sticky directory (/tmp) nobody can exchange what is root's.
    """
    there = path.parent
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with paths.directory(str(there)):
            way = Path(os.path.realpath(there))
    except (HostError, OSError) as error:
        raise SnapshotError(
            f"The state directory {path} is not used: {error}. Nothing was changed."
        ) from None
    for place in (way, *way.parents):
        seen = os.stat(place)
        group_may = seen.st_mode & stat.S_IWGRP and seen.st_gid != 0
        loose = (group_may or seen.st_mode & stat.S_IWOTH) and not seen.st_mode & stat.S_ISVTX
        if seen.st_uid != 0 or loose:
            raise SnapshotError(
                f"The state directory {path} is not used, because {place} above it belongs to "
                "someone other than root or others may write in it; nothing was read from it or "
                "changed. Choose a place of root's, such as /var/lib/harden-tui."
            )
