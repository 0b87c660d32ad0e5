"""The lock by which apt, dpkg, unattended-upgrades and we stay out of each other's way.

`/var/lib/dpkg/lock-frontend`, a POSIX record lock, as apt and dpkg take it. It belongs to this
process, whichever thread took it; a program we start does not share it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

from host.base import HostError

PATH: Final = "/var/lib/dpkg/lock-frontend"
FLOCK: Final = struct.Struct("hhqqi4x")
"""struct flock of 64-bit Linux: type, whence, start, length, pid."""


class PackageLock:
    """Held or not; may be taken again while it is held, and is let go as often."""

    def __init__(self, path: str = PATH) -> None:
        self._path = path
        self._descriptor = -1
        self._depth = 0

    @property
    def is_held(self) -> bool:
        return self._depth > 0

    def take(self) -> int:
        """0 where it is ours now, else the process that has it. Raises `HostError`."""
        if not self._depth and os.path.isdir(os.path.dirname(self._path)):
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            try:
                descriptor = os.open(self._path, flags, 0o640)
            except OSError as error:
                raise HostError(
                    f"{self._path} cannot be opened ({error.strerror}), so other package tools "
                    "could not be kept out; nothing was changed"
                ) from error
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = holder_of(descriptor)
                os.close(descriptor)
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise HostError(
                        f"{self._path} cannot be locked ({error.strerror}); nothing was changed"
                    ) from error
                return holder or -1
            self._descriptor = descriptor
        self._depth += 1
        return 0

    def let_go(self) -> None:
        if not self._depth:
            return
        self._depth -= 1
        if not self._depth and self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def holder_of(descriptor: int) -> int:
    """The process in the way; 0 where it let go just now."""
    asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    answer: tuple[int, ...] = FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return 0 if answer[0] == fcntl.F_UNLCK else answer[4]
