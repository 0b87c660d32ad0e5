"""A second process that looks at half of a tree's directories ahead of the first one's walk.

It only spares the first process work: where it is not there, ended, or met another directory than
the one that comes next, the first process looks for itself from there on.
"""

from __future__ import annotations

import contextlib
import os
import stat
from array import array
from collections.abc import Iterator
from operator import is_
from typing import TYPE_CHECKING, Any

from host import files
from host.base import FileState, HostError
from host.second_process import SecondProcess, is_seconds

if TYPE_CHECKING:
    from host.light_walk import Entry, Listed, Look, Pending

_QUARTERS = 3
"""The second process's share: the first one has to do with all that was seen besides."""

_ANEW = -1
"""In place of a state's number: the first process must look itself (at directories, which it goes
into, and at links)."""


class Ahead:
    """A second process that begins with the `pending` directories of a walk."""

    def __init__(self, look: Look, pending: Pending) -> None:
        self._look = look
        self._states: list[FileState] = []
        """What it told so far; it names them by their number."""
        self._second: SecondProcess | None = None
        with contextlib.suppress(OSError):  # no room for another process
            self._second = SecondProcess(
                _Telling(look, pending).run, keeps=[fd for _, fd in pending]
            )

    def told(self, directory: str) -> Iterator[Entry] | None:
        """What it saw in a directory; `None` where that must be looked at here."""
        if self._second is None or not is_seconds(directory, _QUARTERS):
            return None
        try:
            where, names, numbers, inodes, stamps, keys = self._second.hear()
        except HostError:
            where = ""
        if where != directory:
            self.end()
            return None
        self._states += [self._look.cache.state(key) for key in keys]
        if names is None:
            return self._same(self._look.before(directory))
        return self._entries(names, array("i", numbers), array("Q", inodes), array("q", stamps))

    def end(self) -> None:
        """Let go of it, finished or not: it changes nothing."""
        if self._second is not None:
            self._second.end(kill=True)
            self._second = None

    @staticmethod
    def _same(before: Listed) -> Iterator[Entry]:
        columns = zip(before.paths, before.states, before.inodes, before.stamps, strict=True)
        for path, state, inode, stamp in columns:
            name = path.rpartition("/")[2]
            yield name, None, (state, inode, stamp) if inode else None

    def _entries(
        self, names: list[str], numbers: array[int], inodes: array[int], stamps: array[int]
    ) -> Iterator[Entry]:
        states = self._states
        for name, number, inode, stamp in zip(names, numbers, inodes, stamps, strict=True):
            yield name, None, None if number == _ANEW else (states[number], inode, stamp)


class _Telling:
    """The second process's part: the same walk, and what it sees in its share of it."""

    def __init__(self, look: Look, pending: Pending) -> None:
        self._look = look
        self._pending = pending
        self._numbers: dict[int, int] = {}
        """The numbers of the states told so far, by their identity."""

    def run(self, process: SecondProcess) -> None:
        # An inherited descriptor shares its place in the list of names with the first process.
        pending = [(directory, _again(fd)) for directory, fd in self._pending]
        while pending:
            directory, fd = pending.pop()
            if is_seconds(directory, _QUARTERS):
                listed, inner = self._look.directory(directory, fd)
                process.say(self._told(directory, listed))
            else:
                inner = self._directories(directory, fd)
            os.close(fd)
            pending += reversed(inner)

    def _told(self, directory: str, now: Listed) -> tuple[Any, ...]:
        before = self._look.before(directory)
        if _equal(before, now):
            return directory, None, b"", b"", b"", []
        keys: list[tuple[Any, ...]] = []
        numbers = array("i")
        for state in now.states:
            number = self._numbers.get(id(state))
            if number is None:
                number = self._number(state, keys)
            numbers.append(number)
        start = len(directory) + 1
        names = [path[start:] for path in now.paths]
        columns = (numbers.tobytes(), now.inodes.tobytes(), now.stamps.tobytes())
        return directory, names, *columns, keys

    def _number(self, state: FileState, keys: list[tuple[Any, ...]]) -> int:
        key = _key(state)
        if self._look.cache.shared.get(key) is not state or state.kind != "file":
            return _ANEW
        number = self._numbers[id(state)] = len(self._numbers)
        keys.append(key)
        return number

    def _directories(self, directory: str, fd: int) -> Pending:
        with os.scandir(fd) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        found = []
        for name in names:
            deeper = files.open_quietly(name, dir_fd=fd)
            if os.fstat(deeper).st_dev == self._look.device:
                found.append((f"{directory}/{name}", deeper))
            else:
                os.close(deeper)
        return found


def _again(fd: int) -> int:
    return files.open_quietly(".", dir_fd=fd)


def _equal(before: Listed, now: Listed) -> bool:
    files_are = (before.paths, before.inodes, before.stamps) == (now.paths, now.inodes, now.stamps)
    return files_are and all(map(is_, before.states, now.states))


def _key(state: FileState) -> tuple[Any, ...]:
    """The key of a regular file's state in `LightCache.shared`."""
    mode = stat.S_IFREG | state.mode
    key = (mode, state.uid, state.gid, state.flags, state.links, state.inode)
    return (*key, *sorted(state.xattrs.items()))
