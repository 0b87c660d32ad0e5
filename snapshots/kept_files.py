"""Opening what is kept in the state directory: regular files, and nothing else in their place.

A pipe there would be waited for, for ever; a link may lead anywhere.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Final

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_FILE: Final = "it is no regular file"


def opened(path: Path) -> BufferedReader:
    """For reading. Raises `OSError`."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        # Of a link, and of a socket or device without anybody behind it
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise OSError(error.errno, _NO_FILE, str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, _NO_FILE, str(path))
    return os.fdopen(descriptor, "rb")


def read(path: Path) -> bytes:
    """Raises `OSError`."""
    with opened(path) as stream:
        return stream.read()
