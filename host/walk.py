"""Everything below a directory, in one pass."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

import msgspec

from host import attributes, files, paths, writing
from host.base import FileState, HostError
from host.light_walk import LightCache, LightLook

_SETTLED_NS: Final = 60_000_000_000
"""A file changed in the last minute is not remembered. The clock that stamps changes is coarse
(4 ms and more), so that a second change could carry the same time; and of a page changed through
mmap the kernel stamps the first change only, until it writes the page back (after 30 s)."""

_Stamp = tuple[int, int, int, int, int]


class StatCache:
    """Hashes of files seen before, valid while device, inode, size, mtime and ctime are the same.

    ctime cannot be set back by a program, which is why mtime alone would not do. A `LocalHost` has
    one in `stat_cache`, which `walk(content=True)` uses and fills; `save` it beside the restore
    points and `load` it at the next start to keep it from one process to the next.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Stamp, str]] = {}
        self.learned = 0
        """How many hashes it has taken up since it was made or loaded."""

    @classmethod
    def load(cls, path: Path) -> StatCache:
        """From a file `save` wrote; an empty cache where there is none or it is damaged."""
        cache = cls()
        try:
            cache._known = msgspec.msgpack.decode(
                path.read_bytes(), type=dict[str, tuple[_Stamp, str]]
            )
        except (OSError, msgspec.DecodeError):
            cache._known = {}  # only a cache: everything is read again
        return cache

    def save(self, path: Path) -> None:
        """Write atomically. Raises `HostError`."""
        writing.write_file(
            str(path.absolute()),
            msgspec.msgpack.encode(self._known),
            FileState(kind="file", mode=0o600, uid=os.geteuid(), gid=os.getegid()),
        )

    def get(self, path: str, there: os.stat_result) -> str:
        """The hash of the file's present content, or "" if it must be read."""
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == _stamp(there) else ""

    def remember(self, path: str, there: os.stat_result, sha256: str) -> None:
        if there.st_ctime_ns + _SETTLED_NS < time.time_ns():
            self._known[path] = (_stamp(there), sha256)
            self.learned += 1

    def forget(self, paths: Iterable[str]) -> None:
        """Keep no hash of these."""
        for path in paths:
            self._known.pop(path, None)


def _stamp(there: os.stat_result) -> _Stamp:
    return (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)


def walk(
    root: str,
    *,
    content: bool,
    cache: StatCache | None = None,
    light_cache: LightCache | None = None,
) -> Iterator[tuple[str, FileState]]:
    """Every entry at and below `root`; see `host.base.Host.walk`. Raises `HostError`.

    Sorted by name within a directory. A directory that is a mount point is listed, not entered.
    What disappears meanwhile is left out. Without `content`, sizes and times of files and
    directories are left out too, and those alike in everything else share one `FileState`.
    """
    first = files.state(root, content=content)
    if first is None:
        return
    yield root, first
    if first.kind != "dir":
        return
    try:
        fd = files.open_quietly(root)
    except OSError as error:
        raise HostError(f"{root} could not be listed: {paths.because(error)}") from error
    look: _Look = _WithContent(cache) if content else LightLook(light_cache or LightCache())
    yield from _below(root.rstrip("/"), fd, os.fstat(fd).st_dev, look)


def _below(root: str, root_fd: int, device: int, look: _Look) -> Iterator[tuple[str, FileState]]:
    """Takes over `root_fd`."""
    pending = [(root, root_fd)]
    try:
        while pending:
            directory, fd = pending.pop()
            inner = []
            try:
                with os.scandir(fd) as entries:
                    listed = sorted([(entry.name, entry) for entry in entries])
                look.enter(directory)
                for name, entry in listed:
                    path = f"{directory}/{name}"
                    try:
                        is_file = entry.is_file(follow_symlinks=False)
                        path, state = look.seen(path, fd, name) if is_file else (path, None)
                        below = -1
                        if state is None:
                            opens = is_file or entry.is_dir(follow_symlinks=False)
                            state, below = _entry(path, fd, name, opens, device, look)
                    except FileNotFoundError:
                        continue
                    except OSError as error:
                        reason = paths.because(error)
                        raise HostError(f"{path} could not be examined: {reason}") from error
                    if below >= 0:
                        inner.append((path, below))
                    yield path, state
            finally:
                os.close(fd)
                pending += reversed(inner)
    finally:
        for _, fd in pending:
            os.close(fd)


class _Look(Protocol):
    """How much is wanted of files and directories; one for each walk."""

    def enter(self, directory: str) -> None:
        """What comes next lies in `directory`."""

    def seen(self, path: str, dir_fd: int, name: str) -> tuple[str, FileState | None]:
        """A file's path and its state, or `None` where it must be opened. Raises `OSError`."""

    def __call__(self, path: str, fd: int, there: os.stat_result) -> FileState:
        """What an open regular file or directory is. Raises `OSError`."""


def _entry(
    path: str, dir_fd: int, name: str, opens: bool, device: int, look: _Look
) -> tuple[FileState, int]:
    """One entry, and a descriptor of it where it is a directory to go into, else -1.

    `opens`: it was listed as a regular file or a directory; nothing else may be opened, because
    opening a pipe can block and opening a device can do anything.
    """
    if not opens:
        there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        target = os.readlink(name, dir_fd=dir_fd) if stat.S_ISLNK(there.st_mode) else ""
        xattrs = attributes.get_xattrs(f"/proc/self/fd/{dir_fd}/{name}")
        return files.state_of(there, target=target, xattrs=xattrs), -1
    try:
        fd = files.open_quietly(name, dir_fd=dir_fd)
    except PermissionError:
        there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        return files.state_of(there), -1
    try:
        there = os.fstat(fd)
        state = look(path, fd, there)
    except BaseException:
        os.close(fd)
        raise
    if stat.S_ISDIR(there.st_mode) and there.st_dev == device:
        return state, fd
    os.close(fd)
    return state, -1


class _WithContent:
    """Regular files with their SHA-256."""

    def __init__(self, cache: StatCache | None) -> None:
        self._cache = cache

    def enter(self, directory: str) -> None:
        """All directories are alike."""

    def seen(self, path: str, dir_fd: int, name: str) -> tuple[str, FileState | None]:
        """Flags and attributes are asked for in any case."""
        return path, None

    def __call__(self, path: str, fd: int, there: os.stat_result) -> FileState:
        flags = attributes.get_flags(fd)
        xattrs = attributes.get_xattrs(fd)
        sha256 = ""
        if stat.S_ISREG(there.st_mode):
            sha256 = self._cache.get(path, there) if self._cache is not None else ""
            if not sha256:
                sha256 = files.hash_fd(fd)
                there = os.fstat(fd)
                if self._cache is not None:
                    self._cache.remember(path, there, sha256)
        return files.state_of(there, flags=flags, sha256=sha256, xattrs=xattrs)
