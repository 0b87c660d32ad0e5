"""Packages that other tools changed inside a transaction, which are none of its own.

They are found where dpkg's lock was let go for our own apt (`dpkg.let_in`). Which files came with a
package is told as an undo tells it (`package_ties`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from host.base import Host
from snapshots.captured import Captured, differences
from snapshots.decision import DERIVED
from snapshots.domains.packages import Package
from snapshots.drift_origin import deeds_since
from snapshots.model import Delta, DomainName
from snapshots.package_growth import ETC, of_others
from snapshots.package_ties import conffiles, files_of, listed, units_of, with_accounts
from snapshots.put_aside import NS, was_at_work

LONGEST_S = 3600.0
"""So long one package may take dpkg at the most, for its deed to be found in the log."""


def sentence(names: Iterable[str]) -> str:
    """What a person should know of them; empty for none."""
    them = ", ".join(sorted(names))
    if not them:
        return ""
    return (
        f"Another package tool changed {them} in the meantime; that is no part of this, and stays"
        " as it left it."
    )


def left_to_them(host: Host, state: Captured, now: Captured, declared: Collection[str]) -> Captured:
    """`state` with all that is strangers' as it is `now`, so that it is no difference.

    `declared`: the files that our own changes name. Of a package that was there before only
    configuration files count that are just as it brings them: others may have been changed by us.
    """
    names = host.strange_packages
    if not names:
        return state
    present = {name for name in names if Package.of(now["packages"].get(name)) is not None}
    new = {name for name in present if Package.of(state["packages"].get(name)) is None}
    changes = differences({"files": state["files"]}, {"files": now["files"]})
    files, units = _brought(host, new, changes, declared)
    pristine, _ = conffiles(host, present, now)
    files |= {
        delta.key
        for delta in changes
        if delta.key not in declared and (delta.key in pristine or DERIVED.fullmatch(delta.key))
    }
    files |= _written_by_scripts(host, changes, now, declared)
    return _as_it_is(state, now, {"packages": set(names), "files": files, "units": units})


def with_what_came(
    host: Host, state: Captured, now: Captured, declared: Collection[str], names: Collection[str]
) -> Captured:
    """`state` with what its packages `names` brought as it is `now`, but for files `declared`."""
    there = {name for name in names if Package.of(now["packages"].get(name)) is not None}
    if not there:
        return state
    changes = differences({"files": state["files"]}, {"files": now["files"]})
    files, units = _brought(host, there, changes, declared)
    files |= {
        delta.key for delta in changes if delta.key not in declared and DERIVED.fullmatch(delta.key)
    }
    return _as_it_is(state, now, {"files": files, "units": units})


def _brought(
    host: Host, names: Collection[str], changes: list[Delta], declared: Collection[str]
) -> tuple[set[str], set[str]]:
    """(files among `changes`, units) that came with the packages `names`."""
    brought = {path: name for name in sorted(names) for path in listed(host, (name,))}
    accounts = with_accounts(host, names)
    files = files_of(changes, dict.fromkeys(names, ""), brought, set(declared), accounts)
    return set(files), set(units_of(brought))


def _as_it_is(
    state: Captured, now: Captured, keys: Mapping[DomainName, Collection[str]]
) -> Captured:
    """A copy of `state` with these things as they are `now`."""
    taken = {domain: dict(items) for domain, items in state.items()}
    for domain, mine in taken.items():
        for key in keys.get(domain, ()):
            item = now[domain].get(key)
            if item is None:
                mine.pop(key, None)
            else:
                mine[key] = item
    return taken


def _written_by_scripts(
    host: Host, changes: Iterable[Delta], now: Captured, declared: Collection[str]
) -> set[str]:
    """What lies in a directory that is theirs alone, and was written while dpkg was at work on
    one of them."""
    names = host.strange_packages
    homes = {
        path
        for path in listed(host, sorted(names))
        if path.startswith(ETC) and path in now["files"]
    }
    tops = tuple(f"{path}/" for path in homes - of_others(host, homes, names))
    written = {
        delta.key: host.changed_ns(delta.key) / NS
        for delta in changes
        if delta.after is not None and delta.key.startswith(tops) and delta.key not in declared
    }
    if not written:
        return set()
    known = {_bare(name) for name in names}
    since_s = min(written.values()) - LONGEST_S
    deeds = [deed for deed in deeds_since(host, since_s) if deed.package in known]
    return {path for path, at_s in written.items() if was_at_work(deeds, at_s)}


def without_theirs(host: Host, paths: Iterable[str], names: Collection[str]) -> list[str]:
    """Those of `paths` that did not come with the packages `names`, nor bear the name of one."""
    if not names:
        return list(paths)
    theirs = set(listed(host, sorted(names)))
    short = {_bare(name) for name in names}
    return [
        path
        for path in paths
        if path not in theirs and path.rpartition("/")[2].removesuffix(".log") not in short
    ]


def _bare(name: str) -> str:
    return name.partition(":")[0]
