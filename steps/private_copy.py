"""A file that only root can read, for a program that is to try a configuration out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from host import scratch
from host.base import FileState, Host


@contextmanager
def private_copy(host: Host, prefix: str, text: str) -> Iterator[str]:
    """The path of a file of /run that holds `text`, and is gone afterwards.

    `prefix` is the beginning of its path, ending in a hyphen. What a killed process left under that
    prefix is taken away too. Raises `HostError` where it cannot be written.
    """
    for left in host.glob(f"{prefix}*"):
        state = host.state(left)
        if state is not None and scratch.is_left(left, state.mtime_ns / 1e9):
            host.put(left, None)
    path = f"{prefix}{scratch.suffix()}"
    content = text.encode("utf-8", "surrogateescape")
    try:
        host.write_file(path, content, FileState(kind="file", mode=0o600))
        yield path
    finally:
        host.put(path, None)
