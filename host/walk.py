"""Everything below a directory, in one pass."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from host import attributes, files, light_walk, paths, writing
from host.base import FileState, HostError
from host.light_walk import LightCache

_SETTLED_NS: Final = 60_000_000_000
"""A file changed in the last minute is not remembered. The clock that stamps changes is coarse
(4 ms and more), so that a second change could carry the same time; and of a page changed through
mmap the kernel stamps the first change only, until it writes the page back (after 30 s)."""

_Stamp = tuple[int, int, int, int, int]

_SUM_BYTES: Final = hashlib.sha256().digest_size
"""At the beginning of the saved cache: a flipped bit must not make a file look changed."""


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
            content = path.read_bytes()
            sha256, known = content[:_SUM_BYTES], content[_SUM_BYTES:]
            if hashlib.sha256(known).digest() == sha256:
                raw = msgspec.msgpack.decode(known, type=dict[bytes, tuple[_Stamp, str]])
                cache._known = {os.fsdecode(path): seen for path, seen in raw.items()}
        except (OSError, msgspec.DecodeError):
            cache._known = {}  # only a cache: everything is read again
        return cache

    def save(self, path: Path) -> None:
        """Write atomically. Raises `HostError`."""
        raw = {os.fsencode(path): seen for path, seen in self._known.items()}
        known = msgspec.msgpack.encode(raw)  # bytes: a name that is not UTF-8 is no text
        writing.write_file(
            str(path.absolute()),
            hashlib.sha256(known).digest() + known,
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
    without: Container[str] = (),
) -> Iterator[tuple[str, FileState]]:
    """Every entry at and below `root`; see `host.base.Host.walk`. Raises `HostError`.

    Sorted by name within a directory. A directory that is a mount point is listed, not entered.
    What disappears meanwhile is left out. Without `content`, sizes and times of files and
    directories are left out too, and those alike in everything else share one `FileState`.
    """
    began_s = time.monotonic()
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
    device = os.fstat(fd).st_dev
    if content:
        yield from _below(root.rstrip("/"), fd, device, cache, without)
    else:
        light_cache = light_cache or LightCache()
        entered = yield from light_walk.below(root.rstrip("/"), fd, device, light_cache, without)
        if not without:  # what was left out would be missing for whoever asks for it again
            light_cache.ended(root, began_s, first, entered)


def _below(
    root: str, root_fd: int, device: int, cache: StatCache | None, without: Container[str]
) -> Iterator[tuple[str, FileState]]:
    """Takes over `root_fd`."""
    pending = [(root, root_fd)]
    try:
        while pending:
            directory, fd = pending.pop()
            inner = []
            try:
                with os.scandir(fd) as entries:
                    listed = sorted([(entry.name, entry) for entry in entries])
                for name, entry in listed:
                    path = f"{directory}/{name}"
                    try:
                        opens = entry.is_file(follow_symlinks=False) or entry.is_dir(
                            follow_symlinks=False
                        )
                        state, below = _entry(path, fd, name, opens, device, cache)
                    except FileNotFoundError:
                        continue
                    except OSError as error:
                        reason = paths.because(error)
                        raise HostError(f"{path} could not be examined: {reason}") from error
                    if below >= 0 and path in without:
                        os.close(below)
                    elif below >= 0:
                        inner.append((path, below))
                    yield path, state
            finally:
                os.close(fd)
                pending += reversed(inner)
    finally:
        for _, fd in pending:
            os.close(fd)


def _entry(
    path: str, dir_fd: int, name: str, opens: bool, device: int, cache: StatCache | None
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
        state = _opened(path, fd, there, cache)
    except BaseException:
        os.close(fd)
        raise
    if stat.S_ISDIR(there.st_mode) and there.st_dev == device:
        return state, fd
    os.close(fd)
    return state, -1


def _opened(path: str, fd: int, there: os.stat_result, cache: StatCache | None) -> FileState:
    """An open directory, or regular file with its SHA-256."""
    flags = attributes.get_flags(fd)
    xattrs = attributes.get_xattrs(fd)
    sha256 = ""
    if files.can_be_hashed(there):
        sha256 = cache.get(path, there) if cache is not None else ""
        if not sha256:
            sha256 = files.hash_fd(fd)
            there = os.fstat(fd)
            if cache is not None:
                cache.remember(path, there, sha256)
    return files.state_of(there, flags=flags, sha256=sha256, xattrs=xattrs)
