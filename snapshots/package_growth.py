"""What later versions of a package brought to /etc: an upgrade since goes with its package.

A transaction that installed a package knows the files of that version. When its package goes,
purged by dpkg, so does what an upgrade added: configuration files, directories, and what scripts
made in a directory of the package at the moment of an upgrade. Not so what somebody edited before
and dpkg or ucf, or that person, put aside meanwhile: of that a person is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from host.base import Host
from snapshots import put_aside
from snapshots.captured import Captured
from snapshots.decision import Later
from snapshots.drift_origin import Deed, deeds_since
from snapshots.model import Delta, FileItem, Item, TransactionRecord
from snapshots.package_owners import owners

ETC = "/etc/"


def grown(
    host: Host,
    record: TransactionRecord,
    deltas: Iterable[Delta],
    later: Iterable[Later],
    going: Collection[str],
    before: Mapping[str, Item],
    current: Captured,
    changed: Collection[str],
) -> list[Delta]:
    """What is to be taken away besides `deltas`, as differences from nothing.

    `going`: the packages that go; `before`: the files there were before they came; `changed`:
    those of their configuration files that somebody changed, which nobody may take away unasked.
    """
    if not going:
        return []
    there = current["files"]
    brought = {delta.key for delta in deltas if delta.domain == "files" and delta.before is None}
    owned = {path for path in _listed(host, going) if path.startswith(ETC)}
    new = {path for path in owned if path in there and path not in before and path not in brought}
    new -= of_others(host, new, going)
    homes = {path for path in (*new, *(owned & brought)) if _is_directory(there.get(path))}
    deeds = _deeds(host, record, going) if homes else []
    made = _made_by_scripts(host, deeds, homes, owned | before.keys() | brought, there)
    chains = list(later)
    asked = {*changed} | put_aside.edited(host, made, record, deltas, chains, deeds, going, there)
    return [
        Delta("files", path, None, None if path in asked else _left(path, chains, there[path]))
        for path in sorted(new | made)
    ]


def _left(path: str, later: Iterable[Later], now: Item) -> Item | None:
    """The file as the packages left it: as the first later transaction found it, or as it is."""
    for one in later:
        if ("files", path) in one.deltas:
            return one.deltas["files", path].before
    return now


def _made_by_scripts(
    host: Host,
    deeds: Collection[Deed],
    homes: Collection[str],
    known: Collection[str],
    there: Mapping[str, Item],
) -> set[str]:
    """What nobody owns, lies in a directory of the packages, and came while dpkg upgraded one."""
    tops = tuple(f"{home}/" for home in homes)
    return {
        path
        for path in there
        if path.startswith(tops)
        and path not in known
        and put_aside.was_at_work(deeds, host.changed_ns(path) / put_aside.NS)
    }


def _deeds(host: Host, record: TransactionRecord, going: Iterable[str]) -> list[Deed]:
    """What dpkg did with those packages since `record` began."""
    names = {name.partition(":")[0] for name in going}
    since_s = datetime.fromisoformat(record.started).timestamp()
    return [deed for deed in deeds_since(host, since_s) if deed.package in names]


def _listed(host: Host, packages: Iterable[str]) -> list[str]:
    answer = host.run(("dpkg-query", "-L", *sorted(packages)), ok=None)
    return [line for line in answer.stdout.splitlines() if line.startswith("/")]


def of_others(host: Host, paths: Collection[str], going: Collection[str]) -> set[str]:
    """Those of `paths` that a package has that does not go."""
    known = owners(host, paths)
    return {path for path, names in known.items() if any(name not in going for name in names)}


def _is_directory(item: Item | None) -> bool:
    return isinstance(item, FileItem) and item.state.kind == "dir"
