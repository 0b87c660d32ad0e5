"""The lock by which passwd, useradd, vipw and we stay out of each other's way in lists of accounts.

`/etc/.pwd.lock`, a write lock on the whole file, as lckpwdf(3) takes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Final

from host.package_lock import FLOCK, holder_of

PATH: Final = "/etc/.pwd.lock"
WAIT_S: Final = 15.0
"""As long as lckpwdf(3) waits."""
_ASK_AGAIN_S = 0.05


@contextlib.contextmanager
def held(path: str = PATH, wait_s: float = WAIT_S) -> Iterator[int]:
    """Keep other programs from changing lists of accounts while the block runs.

    Yields 0, or the process that did not let go within `wait_s`. Where the lock itself cannot be
    opened nobody is kept out: what is written then fails for the same reason, or must be done.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        yield 0
        return
    try:
        yield _wait(descriptor, time.monotonic() + wait_s)
    finally:
        os.close(descriptor)


def _wait(descriptor: int, until_s: float) -> int:
    # Bound to the open file: reading this file elsewhere in our process does not let it go.
    asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    while True:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, asked)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                return 0
        else:
            return 0
        if time.monotonic() >= until_s:
            return holder_of(descriptor) or -1
        time.sleep(_ASK_AGAIN_S)
