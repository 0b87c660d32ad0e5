"""ucf's tables of configuration files, which it writes without syncing them.

A power cut may leave them empty, and ucf would then ask about every file as if somebody had edited
it. So a transaction keeps them, and going back puts in again what they lost.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from host.base import Host

REGISTRY: Final = "/var/lib/ucf/registry"
HASHES: Final = "/var/lib/ucf/hashfile"
FORMER: Final = 8
"""So many of its former tables ucf keeps, as hashfile.0 and so on."""
TABLES: Final = (HASHES, REGISTRY)
"""Lines "md5sum  path" and "package  path"; a path is in each at most once."""


def tables(host: Host) -> dict[str, str]:
    """Path of a table -> its text now. Raises `HostError`."""
    return {
        path: host.read_bytes(path).decode("utf-8", "surrogateescape")
        for path in TABLES
        if host.state(path) is not None
    }


def sums(host: Host, paths: Collection[str]) -> dict[str, set[str]]:
    """Those of `paths` that ucf knows -> the MD5s of all packaged versions it remembers: its table
    and its former ones. Raises `HostError`."""
    found: dict[str, set[str]] = {}
    for name in (HASHES, *(f"{HASHES}.{number}" for number in range(FORMER))):
        for line in _text(host, name).splitlines():
            if (path := _file_of(line)) in paths:
                found.setdefault(path, set()).add(line.split(None, 1)[0])
    return found


def put_back(host: Host, kept: dict[str, str]) -> None:
    """Make the tables say of every file what they said then. Raises `HostError`.

    Lines about other files stay where there is such a file: somebody may have installed a package
    since.
    """
    for path in TABLES:
        if path not in kept:
            continue
        text = kept[path]
        now = _text(host, path)
        merged = _merged(host, text, now)
        if sorted(merged) != sorted(now.splitlines()):
            host.write_file(path, ("\n".join(merged) + "\n").encode("utf-8", "surrogateescape"))


def forget(host: Host, packages: Collection[str]) -> None:
    """Take purged packages out of the registry: not all of them do so themselves
    (unattended-upgrades of bookworm and trixie does not). Raises `HostError`."""
    now = _text(host, REGISTRY)
    names = {name.partition(":")[0] for name in packages}
    lines = [
        line
        for line in now.splitlines(keepends=True)
        if not names & set(line.split(None, 1)[:1]) or host.state(_file_of(line)) is not None
    ]  # fmt: skip
    if len(lines) < len(now.splitlines()):
        host.write_file(REGISTRY, "".join(lines).encode("utf-8", "surrogateescape"))


def _merged(host: Host, then: str, now: str) -> list[str]:
    kept = then.splitlines()
    about = set(map(_file_of, kept))
    others = [
        line
        for line in now.splitlines()
        if _file_of(line) not in about and _file_of(line) and host.state(_file_of(line)) is not None
    ]
    return [*kept, *others]


def _text(host: Host, path: str) -> str:
    if host.state(path) is None:
        return ""
    return host.read_bytes(path).decode("utf-8", "surrogateescape")


def _file_of(line: str) -> str:
    words = line.split(None, 1)
    path = words[1].strip() if len(words) > 1 else ""
    return path if path.startswith("/") else ""
