"""A JSON file of the state directory that several processes change."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from snapshots.durable import write_durably
from snapshots.model import SnapshotError

File = TypeVar("File", bound=msgspec.Struct)


@contextmanager
def changing(path: Path, load: Callable[[], File], otherwise: str) -> Iterator[File]:
    """The file as `load` reads it under a lock, written back at the end.

    Raises `SnapshotError` where that cannot be done; `otherwise` says what holds then.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            file = load()
            yield file
            pretty = msgspec.json.format(msgspec.json.encode(file, order="deterministic"))
            write_durably(path, pretty + b"\n")
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be written ({error.strerror}); {otherwise}") from error
