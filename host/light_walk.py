"""Metadata of a tree, asked again and again: a file that did not change is not opened anew.

Around sealing 50,000 files they are looked at several times: by the check, for the restore point,
and to prove the result. Owner, mode, flags and attributes of an inode cannot change without its
ctime, which no program can set; so for a file seen before one `stat` tells enough.
"""

from __future__ import annotations

import os
import stat
import time
from typing import Final

import msgspec

from host import attributes, files
from host.base import FileState

_AT_REST_NS: Final = 50_000_000
"""The clock that stamps changes ticks every 10 ms at most (HZ=100). Of a file that last changed
this long before it was looked at, every later change carries another time."""


class _Seen(msgspec.Struct, frozen=True, gc=False):
    """A file as it was when it was opened; `stamp` tells whether it still is that."""

    path: str
    stamp: int
    state: FileState


class LightCache:
    """What a host remembers from one walk to the next: 90 bytes a file and its path."""

    def __init__(self) -> None:
        self.directories: dict[str, list[_Seen]] = {}
        """The files of each directory, sorted by name."""
        self.shared: dict[object, FileState] = {}
        """One object for all that are alike: of an application's files a handful differ."""


class LightLook:
    """Looks at entries for one walk, directory by directory, names in order."""

    def __init__(self, cache: LightCache) -> None:
        self._cache = cache
        self._before: list[_Seen] = []
        self._now: list[_Seen] = []
        self._at = 0
        self._at_rest_ns = 0

    def enter(self, directory: str) -> None:
        """What comes next lies in `directory`."""
        self._before = self._cache.directories.get(directory, [])
        self._now = self._cache.directories[directory] = []
        self._at = 0
        self._at_rest_ns = time.time_ns() - _AT_REST_NS

    def seen(self, path: str, dir_fd: int, name: str) -> tuple[str, FileState | None]:
        """The state of a file that was seen before and has not changed since, else `None`.

        With the very string of then as its path, of which whoever keeps both walks has one only.
        Raises `OSError`.
        """
        before, at = self._before, self._at
        while at < len(before) and before[at].path < path:
            at += 1
        self._at = at
        if at == len(before) or before[at].path != path:
            return path, None
        seen = before[at]
        if _stamp(os.stat(name, dir_fd=dir_fd, follow_symlinks=False)) != seen.stamp:
            return seen.path, None
        self._now.append(seen)
        return seen.path, seen.state

    def __call__(self, path: str, fd: int, there: os.stat_result) -> FileState:
        """The state of an open file or directory, without size and times. Raises `OSError`."""
        flags = attributes.get_flags(fd)
        xattrs = attributes.get_xattrs(fd)
        is_file = stat.S_ISREG(there.st_mode)
        linked = (there.st_nlink, there.st_ino) if is_file and there.st_nlink > 1 else (0, 0)
        key: object = (there.st_mode, there.st_uid, there.st_gid, flags, linked)
        if xattrs:
            key = (key, *sorted(xattrs.items()))
        state = self._cache.shared.get(key)
        if state is None:
            state = msgspec.structs.replace(
                files.state_of(there, flags=flags, xattrs=xattrs),
                size_bytes=0,
                mtime_ns=0,
                links=linked[0],
                inode=linked[1],
            )
            self._cache.shared[key] = state
        if is_file and there.st_ctime_ns < self._at_rest_ns:
            self._now.append(_Seen(path, _stamp(there), state))
        return state


def _stamp(there: os.stat_result) -> int:
    """Device, inode and ctime in one number."""
    return (there.st_dev << 64 | there.st_ino) << 64 | there.st_ctime_ns
