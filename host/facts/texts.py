"""Configuration files by pattern, as text."""

from __future__ import annotations

from collections.abc import Iterable

from host.base import Host, HostError


def read_texts(host: Host, patterns: Iterable[str]) -> dict[str, str]:
    """Every file that fits, path -> text; one that cannot be read is left out."""
    found = {}
    for pattern in patterns:
        for path in host.glob(pattern):
            try:
                found[path] = host.read_bytes(path).decode("utf-8", "replace")
            except HostError:
                continue
    return found
