"""What somebody else changed in /etc while a change or an undo was at work: none of its own."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from host.base import Host
from host.names import visible
from snapshots.captured import Captured
from snapshots.model import Delta, Item

ETC = "/etc/"
UNIT_DIRECTORIES = ("/etc/systemd/", "/etc/init.d/", "/etc/rc")
"""Where systemctl writes."""
MARGIN_S = 0.1
"""The clock of files is coarser than ours."""


class AtWork:
    """When programs of ours were at work that write in /etc where they like."""

    def __init__(self) -> None:
        self.may_be_all = False
        """Packages came or went: what their scripts and daemons write can be told from nothing."""
        self._spans: list[tuple[float, float]] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        began_s = time.time()
        try:
            yield
        finally:
            self._spans.append((began_s - MARGIN_S, time.time() + MARGIN_S))

    def may_have(self, changed_s: float) -> bool:
        """Whether one of them may have changed a file then; 0: that is not known."""
        if not changed_s:
            return bool(self._spans)
        return any(began_s <= changed_s <= ended_s for began_s, ended_s in self._spans)


def of_others(
    host: Host, deltas: Iterable[Delta], named: Collection[str], at_work: AtWork
) -> set[str]:
    """The files in /etc among `deltas` that somebody else changed.

    `named` are those that we change; what lies above or below them is ours too. Of any other only
    a program of ours can be the cause, while it was `at_work`. When a file went nobody knows.
    """
    if at_work.may_be_all:
        return set()
    mine = frozenset(named)
    above_mine = {above for path in mine for above in _above(path)}
    found = set()
    for delta in deltas:
        path = delta.key
        if delta.domain != "files" or not path.startswith(ETC):
            continue
        if path in mine or path in above_mine or not mine.isdisjoint(_above(path)):
            continue
        changed_s = host.changed_ns(path) / 1e9 if delta.after is not None else 0
        if not at_work.may_have(changed_s):
            found.add(path)
    return found


class Others:
    """Asked, while something is undone, which of what differs somebody else changed; `paths`: all
    that it said. `named` are the files that are undone."""

    def __init__(self, host: Host, named: Collection[str], at_work: AtWork) -> None:
        self.paths: set[str] = set()
        self._host = host
        self._named = named
        self._at_work = at_work

    def among(self, deltas: Iterable[Delta]) -> set[str]:
        found = of_others(self._host, deltas, self._named, self._at_work)
        found = {path for path in found if not path.startswith(UNIT_DIRECTORIES)}
        self.paths |= found
        return found


def with_files_of(state: Captured, paths: Collection[str], source: Captured) -> Captured:
    """A copy of `state` with these files as they are in `source`."""
    if not paths:
        return state
    files: dict[str, Item] = dict(state["files"])
    for path in paths:
        item = source["files"].get(path)
        if item is None:
            files.pop(path, None)
        else:
            files[path] = item
    return {**state, "files": files}


def sentence(paths: Collection[str]) -> str:
    """What a person should know of them; empty for none."""
    if not paths:
        return ""
    first, *more = sorted(paths)
    and_more = f" and {len(more)} more were" if more else " was"
    return (
        f"{visible(first)}{and_more} changed by something else meanwhile: that is no part of this,"
        " and stays as it is; `harden-tui drift` shows it."
    )


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(2, len(parts))]
