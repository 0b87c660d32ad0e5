"""Making a file system durable as a whole."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable


def sync_filesystem(path: str) -> None:
    """Everything written so far to the file system that `path` lies on. Raises `OSError`.

    One file system only: `sync` would also wait for a network mount that hangs.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)


def sync_filesystems(paths: Iterable[str]) -> None:
    """Each file system of `paths` once; a path that is not there is passed over."""
    done = set()
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            device = os.stat(path).st_dev
            if device not in done:
                done.add(device)
                sync_filesystem(path)
