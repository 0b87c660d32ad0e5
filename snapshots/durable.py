"""Writing that survives a power cut, for our own state directory.

The host's files go through `Host`; this is for what harden-tui remembers about them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from host import scratch
from host.syncing import sync_filesystem


def write_durably(path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o600) -> None:
    """Replace `path` atomically: after a crash it holds the old bytes or the new ones, whole."""
    parts = (content,) if isinstance(content, bytes) else content
    temporary = path.with_name(f".{path.name}.{scratch.suffix()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def append_durably(path: Path, line: bytes) -> None:
    """Add one line and return when it is on the disk."""
    fresh = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        append_whole(descriptor, line + b"\n")
    finally:
        os.close(descriptor)
    if fresh:
        sync_directory(path.parent)


def append_whole(descriptor: int, line: bytes) -> None:
    """All of `line` durably at the end of an open file, or none of it. Raises `OSError`."""
    size = os.fstat(descriptor).st_size
    try:
        left = memoryview(line)
        while left:  # a disk that fills up takes a part first, and refuses only the rest
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(paths: Iterable[Path]) -> None:
    """Make many freshly written files durable.

    Asking for each in turn costs a journal commit per file (5 to 20 ms on a disk); one `syncfs`
    first makes each of them a formality. It touches this one file system only, where `sync`
    would also wait for a network mount that hangs.
    """
    files = list(paths)
    if len(files) > 8:
        sync_filesystem(str(files[0]))
    for path in files:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def private_directory(path: Path) -> None:
    """Create `path` and what is missing above it, for the owner alone (0700), durably."""
    if path.is_dir():
        return
    private_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)
