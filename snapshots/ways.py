"""The way to what was captured: through real directories, from its root on down.

A capture follows no link below /etc or a declared tree. So where a link stands above one of its
files now, other files lie behind it, and nothing may be put there or taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from host.base import Host
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

        Not where the link itself is `wanted` as a directory.
        """
        known: dict[str, str] = {}
        found = {}
        for path in wanted:
            link = self._link(host, path.rpartition("/")[0], wanted, known)
            if link:
                found[path] = link
        return found

    def _link(
        self, host: Host, directory: str, wanted: Mapping[str, Item | None], known: dict[str, str]
    ) -> str:
        """The first link on the way to `directory` and itself; `known`: those asked for before."""
        link = known.get(directory)
        if link is None:
            link = ""
            if self.top(f"{directory}/"):
                link = self._link(host, directory.rpartition("/")[0], wanted, known)
                if not link and not _is_dir(wanted.get(directory)):
                    state = host.state(directory)
                    link = directory if state is not None and state.kind == "symlink" else ""
            known[directory] = link
        return link


def _is_dir(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"
