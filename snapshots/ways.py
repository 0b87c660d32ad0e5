"""The way to what was captured: through real directories, from its root on down.

A capture follows no link below /etc or a declared tree. So where a link stands above one of its
files now, other files lie behind it, and nothing may be put there or taken away. Neither does it go
into another file system: where one is mounted above what was captured, it came since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from host.base import Host
from host.mounted import mount_devices
from snapshots.captured import is_metadata_only
from snapshots.model import FileItem, Item


class Ways:
    """Those below `roots`, of which some may lie in others."""

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = tuple(sorted(root.rstrip("/") for root in roots))

    def top(self, path: str) -> str:
        """The outermost root that `path` lies in; empty where there is none."""
        return next((root for root in self._roots if path.startswith(f"{root}/")), "")

    def linked(self, host: Host, wanted: Mapping[str, Item | None]) -> dict[str, str]:
        """Those of `wanted` that lie behind a link now -> that link.

        Not where the link itself is `wanted` as a directory, unless a file in it shall get back no
        more than its mode: the directory would come back empty, so the link stays, too.
        """
        found: dict[str, str] = {}
        known: dict[str, str] = {}
        for path, item in wanted.items():
            if is_metadata_only(item) and (link := self._link(host, _above(path), {}, known)):
                found[path] = link
        if found:
            wanted = {path: item for path, item in wanted.items() if path not in found}
            for link in set(found.values()):
                if _is_dir(wanted.get(link)):
                    found[link] = link
                    wanted = {path: item for path, item in wanted.items() if path != link}
        known.clear()
        for path, item in wanted.items():
            if not is_metadata_only(item) and (
                link := self._link(host, _above(path), wanted, known)
            ):
                found[path] = link
        return found

    def mounted(self, host: Host, wanted: Mapping[str, Item | None]) -> dict[str, str]:
        """Those of `wanted` that lie where something was mounted since -> where that is.

        It came since where it is another file system than that of the root, or where it shall go.
        A directory bound to another one of the same file system may have been there always.
        """
        devices = mount_devices(host)
        found: dict[str, str] = {}
        for root in self._roots:
            real = host.realpath(root or "/").rstrip("/")
            home = max((at for at in devices if _is_in(real, at)), key=len, default="")
            inside = {
                root + at.removeprefix(real): device == devices[home]
                for at, device in devices.items()
                if at != real and _is_in(at, real or "/")
            }
            for at, is_same in sorted(inside.items()):
                goes = at in wanted and wanted[at] is None
                if at in self._roots or (is_same and not goes):
                    continue
                for path in wanted:
                    if path == at and wanted[path] is not None:
                        continue  # a file bound over it was captured as the file
                    if _is_in(path, at) and not self._has_root_between(path, at):
                        found.setdefault(path, at)
        return found

    def _has_root_between(self, path: str, above: str) -> bool:
        """A root of its own that lies behind what is mounted `above` was captured there."""
        return any(root != above and _is_in(root, above) and _is_in(path, root)
                   for root in self._roots)  # fmt: skip

    def _link(
        self, host: Host, directory: str, wanted: Mapping[str, Item | None], known: dict[str, str]
    ) -> str:
        """The first link on the way to `directory` and itself; `known`: those asked for before."""
        link = known.get(directory)
        if link is None:
            link = ""
            if self.top(f"{directory}/"):
                link = self._link(host, _above(directory), wanted, known)
                if not link and not _is_dir(wanted.get(directory)):
                    state = host.state(directory)
                    link = directory if state is not None and state.kind == "symlink" else ""
            known[directory] = link
        return link


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _is_in(path: str, directory: str) -> bool:
    """Whether it is that or lies below it."""
    return f"{path}/".startswith(f"{directory.rstrip('/')}/")


def _is_dir(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"
