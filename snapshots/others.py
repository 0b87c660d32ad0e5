"""What somebody else changed in /etc while a change or an undo was at work: none of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from host.base import Host
from host.names import visible
from snapshots.captured import Captured
from snapshots.model import Activation, Delta, Item

ETC = "/etc"
UNIT_DIRECTORIES = ("/etc/systemd/", "/etc/init.d/", "/etc/rc")
"""Where systemctl writes, of which units come back by its own ways: never taken for others'."""


class AtWork:
    """What programs of ours wrote in /etc without that a change names it."""

    def __init__(self) -> None:
        self.may_be_all = False
        """Packages came or went: what their scripts and daemons write can be told from nothing."""
        self.written: set[str] = set()
        self.homes: tuple[str, ...] = ()
        """Directories of daemons that took the change: what is theirs they may write, too."""

    @contextmanager
    def noted(self, host: Host) -> Iterator[None]:
        """Whatever changes meanwhile in /etc is ours."""
        before = host.changes_below(ETC)
        try:
            yield
        finally:
            now = host.changes_below(ETC)
            self.written |= {path for path, _ in before.items() ^ now.items()}

    def take(self, activations: Iterable[Activation], named: Iterable[str]) -> None:
        """Daemons are made to take what is `named`. Programs that do not belong to one may write
        anything."""
        tops = {f"{ETC}/{path.split('/')[2]}/" for path in named if path.count("/") > 2}
        for activation in activations:
            self.may_be_all |= activation.how == "command"
            if activation.unit:
                tops.add(f"{ETC}/{activation.unit.rpartition('.')[0]}/")
        self.homes = tuple({*self.homes, *tops} - {f"{ETC}/"})


def of_others(deltas: Iterable[Delta], named: Collection[str], at_work: AtWork) -> set[str]:
    """The files in /etc among `deltas` that somebody else changed.

    `named` are those that we change; what lies above or below them is ours too. Of any other only
    a program of ours can be the cause, if it was `at_work`.
    """
    if at_work.may_be_all:
        return set()
    mine = frozenset(named)
    above_mine = {above for path in mine for above in _above(path)}
    return {
        delta.key
        for delta in deltas
        if delta.domain == "files"
        and delta.key.startswith(f"{ETC}/")
        and delta.key not in mine
        and delta.key not in above_mine
        and delta.key not in at_work.written
        and not delta.key.startswith((*UNIT_DIRECTORIES, *at_work.homes))
        and mine.isdisjoint(_above(delta.key))
    }


class Others:
    """Asked, while something is undone, which of what differs somebody else changed; `paths`: all
    that it said. `named` are the files that are undone."""

    def __init__(self, named: Collection[str], at_work: AtWork) -> None:
        self.paths: set[str] = set()
        self._named = named
        self._at_work = at_work

    def among(self, deltas: Iterable[Delta]) -> set[str]:
        found = of_others(deltas, self._named, self._at_work)
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
