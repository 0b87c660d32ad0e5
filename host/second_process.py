"""A copy of this process that does half of the work on a large tree, on a second processor.

A thread would not do: between two system calls, which take a microsecond each, only one thread of
Python runs at a time. The copy is made by fork in the middle of the work, so that it knows all
that this process knows; it does its share, says what came of it, and ends. Where this process
fails or is gone, it leaves off.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import marshal
import mmap
import os
import select
import signal
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from host.base import HostError

WORTH_IT: Final = 4000
"""Entries after which a second process begins: fork takes about as long as 400 of them."""

_COUNT: Final = struct.Struct("q")
_STOP: Final = _COUNT.size
_PIPE_BYTES: Final = 1 << 20
"""What the second process may be ahead: the most an unprivileged process gets (pipe(7))."""


class Unwanted(Exception):
    """The first process failed or is gone; the second leaves off where it is."""


def worth_it(seen: int) -> bool:
    """Whether to begin a second process now, `seen` entries into a tree."""
    return seen >= WORTH_IT and len(os.sched_getaffinity(0)) > 1


def is_seconds(directory: str) -> bool:
    """Whether the entries of a directory are the second process's share.

    Told by its name, so that both know it without asking, whatever the shape of the tree.
    """
    return bool(zlib.crc32(os.fsencode(directory)) & 1)


class SecondProcess:
    """Does `job` in a copy of this process; what that says is heard here.

    Raises `OSError` where the machine has no room for another process. Of threads a fork copies
    the calling one only: with others at work, `job` must do without whatever they could hold
    (imports, locks, `print`), and without their descriptors: `keeps` are those that it needs;
    `None` is all of them.
    """

    def __init__(
        self, job: Callable[[SecondProcess], None], *, keeps: Collection[int] | None = None
    ) -> None:
        self._first = os.getpid()
        # Count and stop sign, seen by both.
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        reader, writer = os.pipe()
        with contextlib.suppress(OSError):  # a smaller pipe does too
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if self._pid == 0:
            self._work(job, reader, writer, keeps)
        os.close(writer)
        self._reader = reader
        self._came = bytearray()

    def _work(
        self,
        job: Callable[[SecondProcess], None],
        reader: int,
        writer: int,
        keeps: Collection[int] | None,
    ) -> None:
        try:
            gc.disable()  # it would write to every page, which then had to be copied
            os.close(reader)
            if keeps is not None:
                _close_all_but({0, 1, 2, writer, *keeps})
            self._to_first = os.fdopen(writer, "wb", buffering=0)
            job(self)
        finally:
            # Nothing of the first process is flushed, undone or told twice.
            os._exit(0)

    def say(self, what: Any) -> None:
        """In the second process: plain data for `hear`."""
        said = marshal.dumps(what)
        left = memoryview(_COUNT.pack(len(said)) + said)
        while left:
            left = left[self._to_first.write(left) :]

    def tell(self, seen: int) -> None:
        """In the second process: how far it is. Raises `Unwanted`."""
        _COUNT.pack_into(self._shared, 0, seen)
        if self._shared[_STOP] or os.getppid() != self._first:
            raise Unwanted

    @property
    def seen(self) -> int:
        """How far the second process is."""
        return int(_COUNT.unpack_from(self._shared)[0])

    def hear(self) -> Any:
        """The next thing it says. Raises `HostError` where it ended before."""
        while True:
            for what in self._whole():
                return what
            if not self._take():
                raise HostError("the process that did half of the work was ended")

    def heard(self) -> Iterator[Any]:
        """What it said up to now, without waiting for more."""
        ready = select.poll()
        ready.register(self._reader, select.POLLIN)
        while ready.poll(0) and self._take():
            yield from self._whole()

    def _take(self) -> bool:
        chunk = os.read(self._reader, _PIPE_BYTES)
        self._came += chunk
        return bool(chunk)

    def _whole(self) -> Iterator[Any]:
        """Each thing of which all bytes came."""
        while len(self._came) >= _COUNT.size:
            end = _COUNT.size + _COUNT.unpack_from(self._came)[0]
            if len(self._came) < end:
                return
            what = marshal.loads(memoryview(self._came)[_COUNT.size : end])
            del self._came[:end]
            yield what

    def stop(self) -> None:
        """Ask it to leave off where it tells next how far it is."""
        self._shared[_STOP] = 1

    def end(self, *, kill: bool = False) -> None:
        """Wait until it is gone; `kill` only one that changes nothing."""
        os.close(self._reader)
        if kill:
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _close_all_but(keeps: Collection[int]) -> None:
    """A pipe of another thread's command would not end as long as it is open here."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in keeps:
            with contextlib.suppress(OSError):
                os.close(int(name))
