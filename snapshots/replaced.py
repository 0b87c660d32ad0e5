"""Somebody's own files where packages that come put theirs: dpkg writes over them unasked.

Outside of /etc no restore point has them. So what is to come is fetched and read before a change
begins, and what lies there and no package has becomes part of what is captured.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from host.base import CommandFailed, CommandMissing, FileState, Host
from host.names import visible
from snapshots.directories import parents
from snapshots.dpkg import NONINTERACTIVE, TIMEOUT_S, versions
from snapshots.leftovers import NAMED
from snapshots.model import FileItem, Item, Root
from snapshots.package_owners import owners
from snapshots.progress import Progress

ARCHIVES: Final = "/var/cache/apt/archives"

_INSTALL: Final = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")
_NAMES_ALL: Final = ("--print-uris", "-o", "Dir::Cache::archives=/nonexistent")
"""Also what was fetched before."""

_FETCHES: Final = ("--download-only", "-o", "Debug::NoLocking=1")
"""The lock is ours already."""

_URI: Final = re.compile(r"^'([^']+)' (\S+) ", re.MULTILINE)
_MERGED: Final = re.compile(r"/usr(/(?:bin|sbin|lib\w*)/.*)")
"""What has a second name where /bin is a link to /usr/bin; packages may have either."""


def roots(host: Host, packages: Iterable[str], progress: Progress) -> tuple[Root, ...]:
    """The files of nobody's that installing `packages` would write over, as trees of a change.

    None where apt cannot say or fetch what would come: then it will not come. Raises `HostError`.
    """
    wanted = {*packages}
    if host.is_practice or not wanted:
        return ()
    wanted -= {name.partition(":")[0] for name in versions(host)}
    if not wanted:
        return ()
    progress.doing("looking at what would come")
    try:
        coming = [
            path for deb in _debs(host, sorted(wanted), progress) for path in _contents(host, deb)
        ]
    except (CommandFailed, CommandMissing):
        return ()
    found = _of_nobody(host, coming)
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        progress.output(
            f"Kept, as packages write over it: {', '.join(map(visible, found[:NAMED]))}{more}."
        )
    return tuple(Root(path, content=True) for path in found)


def in_the_way(host: Host, debs: Iterable[str]) -> list[str]:
    """The files of nobody's that unpacking these would write over. Raises `HostError`."""
    return _of_nobody(host, [path for deb in debs for path in _contents(host, deb)])


def directories(
    host: Host, trees: Iterable[Root], files: Mapping[str, Item]
) -> dict[str, FileState]:
    """Those in which such files lie, as they are, outermost first: they may go with packages."""
    lying = [root.path for root in trees if isinstance(files.get(root.path), FileItem)]
    above = {one for path in lying if not path.startswith("/etc/") for one in parents(path)}
    states = ((path, host.state(path)) for path in sorted(above))
    return {path: state for path, state in states if state is not None and state.kind == "dir"}


def put_directories_back(host: Host, there: Mapping[str, FileState]) -> None:
    """Those that went with packages; through no link. Raises `HostError`."""
    for path, state in there.items():
        if host.state(path) is None:
            host.put(path, state, within=f"/{path.split('/')[1]}")


def _debs(host: Host, names: Collection[str], progress: Progress) -> list[str]:
    """Where the .deb of each package lies that would come."""
    said = host.run((*_INSTALL, *_NAMES_ALL, *names), timeout_s=TIMEOUT_S, env=NONINTERACTIVE)
    archives = _archives(host)
    files = {
        unquote(uri.removeprefix("file:")) if uri.startswith("file:") else f"{archives}/{name}"
        for uri, name in _URI.findall(said.stdout)
    }
    missing = [path for path in files if host.state(path) is None]
    if missing:
        progress.doing(f"fetching {len(missing)} packages")
        host.run((*_INSTALL, *_FETCHES, *names), timeout_s=TIMEOUT_S, env=NONINTERACTIVE)
    return sorted(path for path in files if host.state(path) is not None)


def _archives(host: Host) -> str:
    """Where apt keeps what it fetches."""
    said = host.run(("apt-config", "shell", "where", "Dir::Cache::archives/d")).stdout
    found = re.search(r"^where='(/[^']*?)/*'$", said, re.MULTILINE)
    return found[1] if found else ARCHIVES


def _contents(host: Host, deb: str) -> Iterator[str]:
    """What it puts outside of /etc, without directories."""
    for line in host.run(("dpkg-deb", "--contents", deb)).stdout.splitlines():
        kind, *_, name = line.split(None, 5)
        path = name.partition({"l": " -> ", "h": " link to "}.get(kind[0], "\0"))[0][1:]
        if kind[0] != "d" and not path.startswith("/etc/"):
            yield path


def _of_nobody(host: Host, paths: Iterable[str]) -> list[str]:
    """Those that are there and that no package has, by where they really lie."""
    there = {
        f"{host.realpath(path.rpartition('/')[0])}/{path.rpartition('/')[2]}": path
        for path in paths
        if (state := host.state(path)) is not None and state.kind in ("file", "symlink")
    }
    names = {path: {path, short, *_MERGED.findall(path)} for path, short in there.items()}
    having = owners(host, {one for found in names.values() for one in found})
    return sorted(path for path, found in names.items() if not having.keys() & found)
