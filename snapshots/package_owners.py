"""Whose the files of a transaction are by now: another package may have taken them over since.

A configuration file moves from one package to another in an upgrade, or a package makes way for
one that provides or replaces it, or brings the same files. What such a package has stays with it,
whoever brought it first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from host.base import CommandMissing, Host
from host.names import is_utf8
from snapshots import dependencies, witnesses
from snapshots.captured import Captured
from snapshots.decision import ACCOUNT_FILES, Kept, Later
from snapshots.domains.packages import Package
from snapshots.model import Delta, FileItem, Item, SnapshotError
from snapshots.package_ties import files_of, listed, units_of, with_accounts

AT_ONCE = 5000
AT_ONCE_BYTES = 500_000
"""So many paths are asked of a program at a time: a command line holds 2 MB."""


def batches(paths: Iterable[str]) -> Iterator[list[str]]:
    """`paths` in parts that fit on a command line."""
    part: list[str] = []
    room_bytes = AT_ONCE_BYTES
    for path in paths:
        size_bytes = len(os.fsencode(path)) + 9  # its end, and a pointer to it
        if part and (size_bytes > room_bytes or len(part) == AT_ONCE):
            yield part
            part, room_bytes = [], AT_ONCE_BYTES
        part.append(path)
        room_bytes -= size_bytes
    if part:
        yield part


def owners(host: Host, paths: Collection[str]) -> dict[str, list[str]]:
    """Those of `paths` that dpkg knows -> the packages that have them, also removed ones."""
    found: dict[str, list[str]] = {}
    wanted = sorted(filter(is_utf8, paths))  # no package has another name
    try:
        for part in batches(wanted):
            for line in host.run(("dpkg-query", "-S", *part), ok=None).stdout.splitlines():
                names, _, path = line.rpartition(": ")
                if names and path in paths:
                    found[path] = names.split(", ")
    except CommandMissing:
        return {}
    return found


def new_files(deltas: Iterable[Delta], current: Captured, declared: Collection[str]) -> set[str]:
    """The files a transaction brought that are still there; none where it changed no package.

    `declared` are those that its changes name, which are its own.
    """
    deltas = list(deltas)
    if not any(delta.domain == "packages" for delta in deltas):
        return set()
    there = current["files"]
    return {
        delta.key
        for delta in deltas
        if delta.domain == "files"
        and delta.before is None
        and delta.key in there
        and delta.key not in declared
    }


class Moved(msgspec.Struct, frozen=True):
    """What of a transaction's packages is otherwise by now.

    `moving`: those that the undo takes away or turns back; `gone`: those that somebody removed
    since.
    """

    moving: frozenset[str]
    gone: frozenset[str]

    @classmethod
    def of(cls, deltas: Iterable[Delta], current: Captured, kept: Collection[str]) -> Moved:
        moving, gone = set(), set()
        for delta in deltas:
            if delta.domain != "packages" or delta.key in kept:
                continue
            before, after = Package.of(delta.before), Package.of(delta.after)
            now = Package.of(current["packages"].get(delta.key))
            if before is None:
                moving.add(delta.key)
                if now is None and after is not None:
                    gone.add(delta.key)
            elif now is not None and after is not None and now.version == after.version:
                moving.add(delta.key)
        return cls(frozenset(moving), frozenset(gone))


def with_owners(
    host: Host,
    kept: Kept,
    deltas: Sequence[Delta],
    later: Sequence[Later],
    current: Captured,
    declared: Collection[str],
    known: Mapping[str, Sequence[str]],
    came: Collection[str],
    before: Callable[[], Mapping[str, Item]],
) -> Kept:
    """`kept`, with what other packages have by now that were not there, or not so, before it all.

    `known`: what dpkg says of the new files, as `owners` has it; `came`: those outside of /etc;
    `before`: the packages there were before the transaction.
    """
    moved = Moved.of(deltas, current, kept.packages)
    others = _Others(current, moved, before)
    having = {
        path: name
        for path, names in known.items()
        if path not in kept.files and (name := next(filter(others.has, names), ""))
    }
    ours = {*new_files(deltas, current, declared), *came}
    files = {**kept.files, **_without_filled(having, ours, current["files"])}
    instead = _instead(host, moved, others, having)
    places: dict[str, str] = {}
    if instead:
        present = {n for n in moved.moving if Package.of(current["packages"].get(n)) is not None}
        files = {**_theirs(host, deltas, instead, present, declared), **files}
        leaves = {_bare(name) for name in moved.moving} - set[str]().union(*instead.values())
        for path in came:
            if not (path in files or leaves & _words(path) or present & set(known.get(path, ()))):
                places[path] = _first(instead, path)
        files |= places
    holders = {*kept.files.values()} - kept.packages.keys()  # of what came outside of /etc
    takers = {*having.values(), *instead, *filter(others.has, holders)}
    if not takers:
        return kept
    units: dict[str, str] = {}
    for name in sorted(filter(others.is_new, takers)):
        units |= units_of(dict.fromkeys(listed(host, (name,)), name))
    return msgspec.structs.replace(
        kept,
        files=files,
        units={**units, **kept.units},
        heirs={**_heirs(later, takers), **kept.heirs},
        places=places,
    )


def _theirs(
    host: Host,
    deltas: Iterable[Delta],
    instead: Iterable[str],
    leaving: Collection[str],
    declared: Collection[str],
) -> dict[str, str]:
    """What of a transaction's files belongs to the packages that came `instead`, as an undo tells
    it of packages that stay; not what packages have that are `leaving`."""
    owned = {path: name for name in sorted(instead) for path in listed(host, (name,))}
    own = set(listed(host, sorted(leaving))) - owned.keys() if leaving else set[str]()
    concerned = [one for one in deltas if one.before is None or one.key in ACCOUNT_FILES]
    names = dict.fromkeys(instead, "")
    return files_of(concerned, names, owned, {*declared, *own}, with_accounts(host, names))


class _Others:
    """The packages that stay as they are and came, or were upgraded, since before it all."""

    def __init__(
        self, current: Captured, moved: Moved, before: Callable[[], Mapping[str, Item]]
    ) -> None:
        self._now = current["packages"]
        self._moved = moved
        self._read = before
        self._before: Mapping[str, Item] | None = None

    def has(self, name: str) -> bool:
        now = Package.of(self._now.get(name))
        if now is None or name in self._moved.moving:
            return False
        then = self._then(name)
        return then is None or then.version != now.version

    def is_new(self, name: str) -> bool:
        """Whether it was not there at all before."""
        return self._then(name) is None

    def _then(self, name: str) -> Package | None:
        if self._before is None:
            try:
                self._before = self._read()
            except SnapshotError:
                self._before = {}  # what was there is not known: rather too much stays
        return Package.of(self._before.get(name))


def _without_filled(
    having: Mapping[str, str], ours: Collection[str], there: Mapping[str, Item]
) -> dict[str, str]:
    """`having` without directories in which something else stays: they do by themselves."""
    found = {path: name for path, name in having.items() if not _is_directory(there.get(path))}
    for path in sorted(having.keys() - found.keys(), reverse=True):
        inside = f"{path}/"
        if all(below in ours and below not in found for below in there if below.startswith(inside)):
            found[path] = having[path]
    return found


def _is_directory(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"


def _instead(
    host: Host, moved: Moved, others: _Others, having: Mapping[str, str]
) -> dict[str, frozenset[str]]:
    """The packages that came in place of those that are gone -> the names of these.

    They provide or replace one, or have files of theirs: of those after which they are named.
    """
    if not moved.gone:
        return {}
    try:
        installed = dependencies.parse(host.run(dependencies.QUERY).stdout)
    except CommandMissing:
        return {}
    gone = frozenset(map(_bare, moved.gone))
    ours = set(map(_bare, moved.moving))
    found = {}
    for name, package in installed.items():
        mine = {path for path, owner in having.items() if owner == name}
        places = gone & (package.provides | package.replaces)
        if mine and not places:
            named = ours & set[str]().union(*map(_words, mine))
            places = gone & named if named else gone
        if places and others.has(name):
            found[name] = places
    return found


def _first(instead: Mapping[str, frozenset[str]], path: str) -> str:
    """Of these, one that came in place of the package after which `path` is named, or any."""
    return min(instead, key=lambda name: (not instead[name] & _words(path), name))


def _words(path: str) -> set[str]:
    return set(path.replace(".log", "").split("/"))


def _bare(name: str) -> str:
    return name.partition(":")[0]


def _heirs(later: Sequence[Later], names: Collection[str]) -> dict[str, str]:
    """Of these packages: the first later step, or else the first witness, that changed it."""
    steps, others = witnesses.apart(later)
    found: dict[str, str] = {}
    for one in (*steps, *others):
        changed = {delta.key for delta in one.deltas.values() if delta.domain == "packages"}
        for name in names:
            if name in changed or _bare(name) in one.record.packages:
                found.setdefault(name, one.record.id)
    return found
