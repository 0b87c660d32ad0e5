"""Whether what was changed can still be reached where it was: not behind a link, nor under a mount.

A capture goes through neither, so what lies there looks as if somebody had removed it. It is in
force all the same, or will be.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from host.base import Host
from host.mounted import mount_points
from host.names import visible
from snapshots import disputes
from snapshots.captured import Captured
from snapshots.decision import Clash
from snapshots.directories import coverer, parents
from snapshots.model import Delta, FileItem, Item, Key, Root, TransactionRecord
from snapshots.ways import Ways

if TYPE_CHECKING:
    from snapshots.inversion import Inversion


def mounts_below(host: Host, roots: Iterable[Root]) -> frozenset[str]:
    """Where something is mounted in /etc or one of the roots, or over one of them, the host's own
    "/" left out. Raises `HostError`."""
    tops = [f"{root.path.rstrip('/')}/" for root in roots]
    inside = ("/etc/", *tops)
    return frozenset(
        point
        for point in mount_points(host) - {"/"}
        if point.startswith(inside) or any(top.startswith(f"{point}/") for top in tops)
    )


def out_of_reach(
    host: Host, record: TransactionRecord, deltas: Iterable[Delta], current: Captured
) -> dict[str, str]:
    """Files that the transaction changed -> what stands on the way to them, and what can be done.

    What was mounted before it already is no obstacle, unless it is not mounted any more; in a
    record of an earlier version, nothing is. Raises `HostError`.
    """
    mounted = unmounted = frozenset[str]()
    if record.mounted is not None:
        then, now = frozenset(record.mounted), mounts_below(host, record.roots)
        mounted, unmounted = now - then, then - now
    there = current.get("files", {})
    paths = [delta.key for delta in deltas if delta.domain == "files"]
    linked = _read_through_links(host, record.roots, paths, there)
    found = {}
    for path in paths:
        if not (mounted or path not in there or path in linked):
            continue
        why = _covered(path, mounted) or linked.get(path) or _behind_link(host, path, there)
        if why := why or ("" if path in there else _uncovered(path, unmounted)):
            found[path] = why
    return found


def _read_through_links(
    host: Host, roots: Iterable[Root], paths: Iterable[str], there: Mapping[str, Item]
) -> dict[str, str]:
    """What is a root of its own is captured whatever leads to it: it is `there` behind a link."""
    tops = [root.path.rstrip("/") for root in roots]
    alone = {path for path in tops if path in there}.intersection(paths)
    linked = Ways(tops).linked(host, dict.fromkeys(alone))
    for path in alone - linked.keys():
        if link := _link_of_others(host, path):
            linked[path] = link
    return {path: _is_link(link) for path, link in linked.items()}


def _link_of_others(host: Host, path: str) -> str:
    """A link on the way to `path` that is not root's alone: nobody writes through such a one."""
    for above in parents(path):
        state = host.state(above)
        if state is not None and state.kind == "symlink":
            holder = host.state(above.rpartition("/")[0] or "/")
            if holder is None or state.uid != 0 or holder.uid != 0:
                return above
            if holder.mode & 0o022 and not holder.mode & stat.S_ISVTX:
                return above
    return ""


def _covered(path: str, mounted: frozenset[str]) -> str:
    for place in (path, *parents(path)) if mounted else ():
        if place in mounted:
            return f"something was mounted on {visible(place)} since; unmount it first"
    return ""


def _uncovered(path: str, unmounted: frozenset[str]) -> str:
    at = next((place for place in parents(path) if place in unmounted), "")
    return f"what was mounted on {visible(at)} is not now; mount it first" if at else ""


def _behind_link(host: Host, path: str, there: Mapping[str, Item]) -> str:
    """Empty also where nothing lies behind the link under that name."""
    if path in there:
        return ""
    for above in parents(path):
        item = there.get(above)
        if isinstance(item, FileItem) and item.state.kind == "symlink" and host.state(path):
            return _is_link(above)
    return ""


def _is_link(above: str) -> str:
    return f"{visible(above)}, in which it lay, is a link now; put the directory back first"


def is_kept_from_us(inversion: Inversion, delta: Delta, now: Item | None) -> bool:
    """Decide of what cannot be reached: it is a conflict, and can only stay as it is.

    Not where it went by known hands.
    """
    why = inversion.unreachable.get(delta.key) if delta.domain == "files" else None
    if why is None or (now is None and _is_known_to_be_gone(inversion, delta)):
        return False
    inversion.walks.stop(delta, "")
    inversion.clash(Clash(delta.after, now))
    if inversion.resolutions.of(delta.key) == "keep-current":
        inversion.say(delta, "kept", note=disputes.KEPT)
    else:
        inversion.say(delta, "conflict", note=why)
        inversion.decisions[-1].cannot = {"restore": why, "merge": why}
    return True


def _is_known_to_be_gone(inversion: Inversion, delta: Delta) -> bool:
    """Whether a transaction took it away, or found it gone, or made the link."""
    key: Key = (delta.domain, delta.key)
    told = (one.deltas[key] for one in reversed(inversion.everybody) if key in one.deltas)
    return next(told, delta).after is None or any(
        above in inversion.covers or coverer(inversion, above) is not None
        for above in parents(delta.key)
    )
