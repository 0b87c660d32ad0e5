"""A copy of this process that does half of the work on a large tree, on a second processor.

A thread would not do: between two system calls, which take a microsecond each, only one thread of
Python runs at a time. The copy is made by fork in the middle of the work, so that it knows all
that this process knows, does its share, answers, and ends. It ends early where this process does.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import mmap
import os
import struct
import threading
from collections.abc import Callable
from typing import Any, Final

from host.base import HostError

WORTH_IT: Final = 4000
"""Entries after which a second process begins: fork takes about as long as 400 of them."""

_COUNT: Final = struct.Struct("q")
_STOP: Final = _COUNT.size


class Unwanted(Exception):
    """The first process failed or is gone; the second leaves off where it is."""


def worth_it(seen: int) -> bool:
    """Whether to begin a second process now, `seen` entries into a tree."""
    # A fork copies the calling thread only; what others hold at that moment stays held for ever.
    return seen >= WORTH_IT and len(os.sched_getaffinity(0)) > 1 and threading.active_count() == 1


class SecondProcess:
    """Does `job` and keeps what it returned, plain data, until `answer` is asked for."""

    def __init__(self, job: Callable[[SecondProcess], Any]) -> None:
        """Raises `OSError` where the machine has no room for another process."""
        self._first = os.getpid()
        # Count and stop sign, seen by both.
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._reader, writer = os.pipe()
        try:
            self._pid = os.fork()
        except OSError:
            os.close(self._reader)
            os.close(writer)
            raise
        if self._pid == 0:
            self._work(job, writer)
        os.close(writer)

    def _work(self, job: Callable[[SecondProcess], Any], writer: int) -> None:
        try:
            gc.disable()  # it would write to every page, which then had to be copied
            os.close(self._reader)
            with os.fdopen(writer, "wb") as stream:
                stream.write(marshal.dumps(job(self)))
        finally:
            # Nothing of the first process is closed, flushed or undone here.
            os._exit(0)

    def tell(self, seen: int) -> None:
        """In the second process: how far it is. Raises `Unwanted`."""
        _COUNT.pack_into(self._shared, 0, seen)
        if self._shared[_STOP] or os.getppid() != self._first:
            raise Unwanted

    @property
    def seen(self) -> int:
        """How far the second process is."""
        return int(_COUNT.unpack_from(self._shared)[0])

    def stop(self) -> None:
        """Ask the second process to leave off; it answers all the same."""
        self._shared[_STOP] = 1

    def answer(self) -> Any:
        """Wait until it ended. Raises `HostError` where it ended without an answer."""
        with os.fdopen(self._reader, "rb") as stream:
            said = stream.read()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)
        if not said:
            raise HostError("the process that did half of the work was ended by somebody else")
        return marshal.loads(said)
