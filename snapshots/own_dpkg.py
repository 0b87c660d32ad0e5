"""What dpkg itself wrote while an undo brought packages back or took them away: no stranger did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from snapshots.capture import Keeper
from snapshots.captured import Captured, differences
from snapshots.decision import ACCOUNT_FILES, DERIVED
from snapshots.domains.base import Scope
from snapshots.domains.packages import Package
from snapshots.drift_origin import deeds_since
from snapshots.model import Delta, FileItem, Item, SnapshotError
from snapshots.package_ties import files_of, listed, with_accounts
from snapshots.put_aside import NS, was_at_work

_HALF_WAY = (".dpkg-new", ".dpkg-old", ".dpkg-dist", ".dpkg-tmp")
"""What dpkg puts beside a configuration file that is not as it left it."""
_MADE_BY_TOOLS = re.compile(
    r"/etc/pam\.d/common-[a-z-]+|/var/lib/pam/[a-z-]+|/etc/alternatives/.+|/etc/rc.\.d/.+"
)
"""What removal scripts have their tools make anew. pam-auth-update leaves alone what somebody
edited; the others are links."""
_ENABLED = re.compile(r"/etc/systemd/(?:system|user)/(?:[^/]+\.(?:wants|requires|upholds)/)?[^/]+")
"""Links with which scripts enable the units of their package, or give them another name."""


def by_own_dpkg(
    keeper: Keeper,
    since: str,
    first: Captured,
    now: Mapping[str, Item],
    wanted: Mapping[str, Item | None],
) -> set[str]:
    """Files that came or changed from `first` to `now` because packages did, since `since` (ISO).

    Those of the packages, in what is `wanted` back, derived, or made by the tools of those that
    went; written while dpkg was at work on one of them, by its log. In a list of accounts nothing
    may stand that neither side has. What is gone meanwhile is dpkg's: no time tells of it.
    """
    came, went = _moved(keeper, first["packages"])
    names = came | went
    if not names:
        return set()
    since_s = datetime.fromisoformat(since).timestamp()
    bare = {name.partition(":")[0] for name in names}
    deeds = [deed for deed in deeds_since(keeper.host, since_s) if deed.package in bare]
    changes = [
        delta
        for delta in differences({"files": first["files"]}, {"files": dict(now)})
        if delta.after is not None
    ]
    theirs = _of_packages(keeper, came, changes, wanted) if came else set()
    if went:
        theirs |= {delta.key for delta in changes if _is_of_removal(delta.key)}
    return {path for path in wanted if path not in now} | {
        path
        for path in theirs
        if was_at_work(deeds, keeper.host.changed_ns(path) / NS)
        and (path not in ACCOUNT_FILES or _knows_all(keeper, path, first["files"], now, wanted))
    }


def _moved(keeper: Keeper, first: Mapping[str, Item]) -> tuple[set[str], set[str]]:
    """The packages that are there in a version that `first` had not, and those that are there no
    more; none of another tool's."""
    packages = keeper.packages.capture(keeper.host, Scope())
    came, went = set(), set()
    for name in packages.keys() | first.keys():
        there, before = Package.of(packages.get(name)), Package.of(first.get(name))
        if there is None:
            went |= {name} if before is not None else set()
        elif before is None or before.version != there.version:
            came.add(name)
    strange = keeper.host.strange_packages
    return came - strange, went - strange


def _is_of_removal(path: str) -> bool:
    return path in ACCOUNT_FILES or any(made.fullmatch(path) for made in (DERIVED, _MADE_BY_TOOLS))


def _of_packages(
    keeper: Keeper, names: set[str], changes: list[Delta], wanted: Mapping[str, Item | None]
) -> set[str]:
    owned = {path: name for name in sorted(names) for path in listed(keeper.host, (name,))}
    accounts = with_accounts(keeper.host, names)
    theirs = set(files_of(changes, dict.fromkeys(names, ""), owned, set(), accounts))
    for delta in changes:
        path = delta.key
        beside = path.endswith(_HALF_WAY) and path.rpartition(".dpkg-")[0] in owned
        is_back = delta.before is None and wanted.get(path) is not None
        if beside or is_back or DERIVED.fullmatch(path):
            theirs.add(path)
    return theirs | _enabling(changes, owned)


def _enabling(changes: Iterable[Delta], owned: Iterable[str]) -> set[str]:
    """The links that enable units of `owned`, and new directories in which they lie."""
    units = {path.rpartition("/")[2] for path in owned if "/systemd/" in path}
    links, made = set(), set()
    for delta in changes:
        if not isinstance(delta.after, FileItem) or not _ENABLED.fullmatch(delta.key):
            continue
        state = delta.after.state
        if state.kind == "symlink" and state.target.rpartition("/")[2] in units:
            links.add(delta.key)
        elif state.kind == "dir" and delta.before is None:
            made.add(delta.key)
    return links | (made & {link.rpartition("/")[0] for link in links})


def _knows_all(
    keeper: Keeper,
    path: str,
    first: Mapping[str, Item],
    now: Mapping[str, Item],
    wanted: Mapping[str, Item | None],
) -> bool:
    """Whether each line stands in `first` or is `wanted`, or is of an account that only that has.

    An account that comes back may get another number or password than it had. A copy ("passwd-")
    holds what stood in the list itself a moment before.
    """
    both = (path, path.removesuffix("-"))
    try:
        old, goal = (
            {line for one in both for line in _lines(keeper, side.get(one))}
            for side in (first, wanted)
        )
        there = _lines(keeper, now.get(path))
    except SnapshotError:
        return False
    coming = {_name(line) for line in goal} - {_name(line) for line in old}
    return all(line in old or line in goal or _name(line) in coming for line in there)


def _lines(keeper: Keeper, item: Item | None) -> list[bytes]:
    """The lines of a list of accounts. Raises `SnapshotError`."""
    if not isinstance(item, FileItem) or not item.state.sha256:
        return []
    return keeper.store.get(item.state.sha256).splitlines()


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0]
