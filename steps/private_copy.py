"""Copies that only root can read, for a program that is to try a configuration out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from host import scratch
from host.base import FileState, Host, HostError

PLACES = "/run/harden-tui-*"
"""Where all of them lie, those of directories too."""


def remove_left(host: Host, places: str = PLACES) -> None:
    """Take away copies whose makers were killed, or could not. Raises `HostError`."""
    for path in host.glob(places):
        state = host.state(path)
        if state is None or not scratch.is_left(path, state.mtime_ns / 1e9):
            continue
        if state.kind == "dir":
            for name in host.listdir(path):
                host.put(f"{path}/{name}", None)
        host.put(path, None)


def take_away(host: Host, *paths: str) -> None:
    """Remove what we made, in this order; what a disk refuses once is tried again. Raises
    `HostError`."""
    refused = []
    for path in paths:
        try:
            host.put(path, None)
        except HostError:
            refused.append(path)
    for path in refused:
        host.put(path, None)


@contextmanager
def private_copy(host: Host, prefix: str, text: str) -> Iterator[str]:
    """The path of a file of /run that holds `text`, and is gone afterwards.

    `prefix` is the beginning of its path, ending in a hyphen. What a killed process left under that
    prefix is taken away too. Raises `HostError` where it cannot be written.
    """
    remove_left(host, f"{prefix}*")
    path = f"{prefix}{scratch.suffix()}"
    content = text.encode("utf-8", "surrogateescape")
    try:
        host.write_file(path, content, FileState(kind="file", mode=0o600))
        yield path
    finally:
        take_away(host, path)
