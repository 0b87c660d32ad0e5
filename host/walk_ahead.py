"""A second process that looks at a tree's directories from the end, until the walk meets it.

It only spares the first process work, which looks for itself wherever it comes first: where the
second one is not there, or has no processor to run on, nothing waits for it.
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
from host.base import FileState
from host.listed import Listed
from host.second_process import SecondProcess

if TYPE_CHECKING:
    from host.light_walk import Entry, Look, Pending

_ANEW = -1
"""In place of a state's number: the first process must look itself (at directories, which it goes
into, and at links)."""


class Ahead:
    """A second process that begins with the `pending` directories of a walk."""

    def __init__(self, look: Look, pending: Pending) -> None:
        self._look = look
        self._states: list[FileState] = []
        """What it told so far; it names them by their number."""
        self._told: dict[str, tuple[Any, ...]] = {}
        self._second: SecondProcess | None = None
        with contextlib.suppress(OSError):  # no room for another process
            self._second = SecondProcess(
                _Telling(look, pending).run, keeps=[fd for _, fd in pending]
            )

    def told(self, directory: str) -> Listed | Iterator[Entry] | None:
        """What it saw in a directory: all there is to know, or entry for entry.

        `None` where it did not come to it yet.
        """
        if self._second is not None:
            for where, *rest in self._second.heard():
                *_, keys = rest
                self._states += [self._look.cache.state(key) for key in keys]
                self._told[where] = tuple(rest)
        if directory not in self._told:
            return None
        names, told_numbers, told_inodes, told_stamps, _ = self._told.pop(directory)
        before = self._look.before(directory)
        if names is None:
            return before if all(before.inodes) else self._same(before)
        numbers, inodes = array("i", told_numbers), array("Q", told_inodes)
        stamps = array("q", told_stamps)
        paths = [f"{directory}/{name}" for name in names]
        if _ANEW in numbers or before.paths not in ([], paths):
            return self._entries(names, numbers, inodes, stamps)
        states = [self._states[number] for number in numbers]
        return Listed(self._look.device, before.paths or paths, inodes, stamps, states)

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
        # What the first process comes to last is first here. And an inherited descriptor shares
        # its place in the list of names with the first process, so each is opened anew.
        pending = [(directory, _again(fd)) for directory, fd in reversed(self._pending)]
        while pending:
            directory, fd = pending.pop()
            listed, inner = self._look.directory(directory, fd)
            os.close(fd)
            pending += inner
            process.say(self._told(directory, listed))

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
