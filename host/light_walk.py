"""Metadata of a tree, asked again and again: a file that did not change is not opened anew.

Around sealing 50,000 files they are looked at several times: by the check, for the restore point,
and to prove the result. Owner, mode, flags and attributes of an inode cannot change without its
ctime, which no program can set; so for a file seen before one `stat` tells enough.
"""

from __future__ import annotations

import os
import stat
import time
from array import array
from collections.abc import Collection, Container, Generator, Iterable, Iterator
from typing import Any, Final

from host import attributes, files, paths, second_process, walk_ahead
from host.base import FileState, HostError
from host.listed import Listed, nothing_on

_AT_REST_NS: Final = 50_000_000
"""The clock that stamps changes ticks every 10 ms at most (HZ=100). Of a file that last changed
this long before it was looked at, every later change carries another time."""

Pending = list[tuple[str, int]]
"""Directories to go into, and descriptors of them."""

Key = tuple[Any, ...]
"""What the kernel says of a file or directory; alike ones have equal keys."""

Seen = tuple[FileState, int, int]
"""A file's state, its inode and its stamp."""

Entry = tuple[str, bool | None, Seen | None]
"""A name; whether it is a regular file or a directory, which may be opened, if that is known;
and all about it, if that is."""


class LightCache:
    """What a host remembers from one walk to the next: 32 bytes an entry and its path."""

    def __init__(self) -> None:
        self.directories: dict[str, Listed] = {}
        self.shared: dict[Key, FileState] = {}
        """One object for all that are alike: of an application's files a handful differ."""
        self._ended: dict[str, tuple[float, FileState]] = {}
        """The roots of walks that came to their end: when they began, and what the root was."""

    def ended(self, root: str, began_s: float, first: FileState, entered: Collection[str]) -> None:
        """A walk of `root` came to its end; what it did not enter (any more) is forgotten."""
        inside = f"{root.rstrip('/')}/"
        for directory in [path for path in self.directories if path.startswith(inside)]:
            if directory not in entered:
                del self.directories[directory]
        self._ended[root] = (began_s, first)

    def walked(self, root: str, since_s: float | None) -> Iterator[tuple[str, FileState]] | None:
        """See `host.base.Host.walked`."""
        began_s, first = self._ended.get(root, (0.0, None))
        return (
            None
            if since_s is None or first is None or began_s < since_s
            else self._again(root, first)
        )

    def _again(self, root: str, first: FileState) -> Iterator[tuple[str, FileState]]:
        yield root, first
        pending = [root.rstrip("/")]
        while pending:
            listed = self.directories[pending.pop()]
            yield from zip(listed.paths, listed.states, strict=True)
            columns = zip(reversed(listed.paths), reversed(listed.states), strict=True)
            for path, state in columns:
                if state.kind == "dir" and path in self.directories:
                    pending.append(path)

    def entries(self, root: str = "/") -> int:
        """How many entries were last seen below `root`."""
        inside = root.rstrip("/")
        return sum(
            len(listed.paths)
            for directory, listed in self.directories.items()
            if directory == inside or directory.startswith(f"{inside}/")
        )

    def changed(self, entries: int = 0) -> None:
        """So many were changed: where that is most of them, all are opened without a `stat` first.

        Their paths stay known, so that whoever keeps both walks has one string for each.
        """
        self._ended.clear()
        if entries and 2 * entries > self.entries():
            for listed in self.directories.values():
                listed.inodes = array("Q", bytes(8 * len(listed.paths)))

    def state(self, key: Key) -> FileState:
        """The state that stands for all with that key."""
        state = self.shared.get(key)
        if state is None:
            mode, uid, gid, flags, links, inode, *xattrs = key
            state = self.shared[key] = FileState(
                kind=files.KINDS[stat.S_IFMT(mode)],
                mode=stat.S_IMODE(mode),
                uid=uid,
                gid=gid,
                flags=flags,
                xattrs=dict(xattrs),
                links=links,
                inode=inode,
            )
        return state


def below(
    root: str, root_fd: int, device: int, cache: LightCache, without: Container[str] = ()
) -> Generator[tuple[str, FileState], None, set[str]]:
    """See `host.walk.walk`. Takes over `root_fd`; returns what was entered. Raises `HostError`.

    From `second_process.WORTH_IT` entries on a second process comes from the other end; at once
    where there were as many the last time.
    """
    look = Look(cache, device, without)
    pending: Pending = [(root, root_fd)]
    ahead: walk_ahead.Ahead | None = None
    seen = cache.entries(root)
    entered: set[str] = set()
    try:
        while pending:
            if ahead is None and second_process.worth_it(seen):
                ahead = walk_ahead.Ahead(look, pending)
            directory, fd = pending.pop()
            try:
                told = ahead.told(directory) if ahead is not None else None
                inner: Pending = []
                if isinstance(told, Listed):
                    listed = told
                else:
                    listed, inner = look.directory(directory, fd, told)
            finally:
                os.close(fd)
            cache.directories[directory] = listed
            entered.add(directory)
            pending += reversed(inner)
            seen += len(listed.paths)
            yield from zip(listed.paths, listed.states, strict=True)
    finally:
        if ahead is not None:
            ahead.end()
        for _, fd in pending:
            os.close(fd)
    return entered


class Look:
    """Looks at directories of one file system, for one walk."""

    def __init__(self, cache: LightCache, device: int, without: Container[str] = ()) -> None:
        self.cache = cache
        self._shared = cache.shared
        self.device = device
        self._without = without
        self._at_rest_ns = 0

    def before(self, directory: str) -> Listed:
        """What is remembered of a directory."""
        listed = self.cache.directories.get(directory)
        return listed if listed and listed.device == self.device else nothing_on(self.device)

    def directory(
        self, directory: str, fd: int, told: Iterable[Entry] | None = None
    ) -> tuple[Listed, Pending]:
        """What lies in an open directory, and what of it to go into, opened. Raises `HostError`.

        A file has the very string of an earlier walk as its path: whoever keeps both walks has
        one only. `told`: what another process saw in it.
        """
        before, now = self.before(directory), nothing_on(self.device)
        inner: Pending = []
        self._at_rest_ns = time.time_ns() - _AT_REST_NS
        at, last = 0, len(before.paths)
        path = directory
        try:
            for name, opens, seen in _entries(fd, before) if told is None else told:
                path = f"{directory}/{name}"
                while at < last and before.paths[at] < path:
                    at += 1
                known = at < last and before.paths[at] == path
                if known:
                    path = before.paths[at]
                if seen is not None:
                    now.add(path, *seen)
                    continue
                try:
                    if opens is None:
                        there = os.stat(name, dir_fd=fd, follow_symlinks=False)
                        if known and self._is_still(before, at, there):
                            now.add(path, before.states[at], before.inodes[at], before.stamps[at])
                            continue
                        opens = stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode)
                    deeper = self._entry(path, fd, name, opens, now)
                except FileNotFoundError:
                    continue
                if deeper >= 0 and path in self._without:
                    os.close(deeper)
                elif deeper >= 0:
                    inner.append((path, deeper))
        except BaseException as error:
            for _, deeper in inner:
                os.close(deeper)
            if isinstance(error, OSError):
                reason = paths.because(error)
                raise HostError(f"{path} could not be examined: {reason}") from error
            raise
        return now, inner

    def _is_still(self, before: Listed, at: int, there: os.stat_result) -> bool:
        return (
            there.st_ino == before.inodes[at]
            and _stamp(there) == before.stamps[at]
            and there.st_dev == self.device
        )

    def _entry(self, path: str, dir_fd: int, name: str, opens: bool, now: Listed) -> int:
        """Add one entry; returns a descriptor of a directory to go into, else -1.

        `opens`: nothing else may be opened, because opening a pipe can block and opening a device
        can do anything. Raises `OSError`.
        """
        if not opens:
            there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            target = os.readlink(name, dir_fd=dir_fd) if stat.S_ISLNK(there.st_mode) else ""
            xattrs = attributes.get_xattrs(f"/proc/self/fd/{dir_fd}/{name}")
            now.add(path, files.state_of(there, target=target, xattrs=xattrs))
            return -1
        try:
            fd = files.open_quietly(name, dir_fd=dir_fd)
        except PermissionError:
            there = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
            now.add(path, files.state_of(there))
            return -1
        deeper = -1
        try:
            there = os.fstat(fd)
            flags = attributes.get_flags(fd)
            xattrs = attributes.get_xattrs(fd)
            mode, inode = there.st_mode, there.st_ino
            is_file = stat.S_ISREG(mode)
            links, linked = (there.st_nlink, inode) if is_file and there.st_nlink > 1 else (0, 0)
            key: Key = (mode, there.st_uid, there.st_gid, flags, links, linked)
            if xattrs:
                key = (*key, *sorted(xattrs.items()))
            state = self._shared.get(key) or self.cache.state(key)
            is_here = there.st_dev == self.device
            if is_here and is_file and there.st_ctime_ns < self._at_rest_ns:
                now.add(path, state, inode, _stamp(there))
            else:
                now.add(path, state)
            if is_here and not is_file and stat.S_ISDIR(mode):
                deeper = fd
        finally:
            if deeper < 0:
                os.close(fd)
        return deeper


def _entries(fd: int, before: Listed) -> Iterator[Entry]:
    """The names in an open directory, sorted; what they are only where no `stat` will tell."""
    if any(before.inodes):
        for name in sorted(os.listdir(fd)):
            yield name, None, None
        return
    with os.scandir(fd) as entries:
        listed = [
            (
                entry.name,
                entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False),
            )
            for entry in entries
        ]
    listed.sort()
    for name, opens in listed:
        yield name, opens, None


def _stamp(there: os.stat_result) -> int:
    """Changes with every change of a file, and no program can set it."""
    return there.st_ctime_ns
