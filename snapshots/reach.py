"""Whether what was changed can still be reached where it was: not behind a link, nor under a mount.

A capture goes through neither, so what lies there looks as if somebody had removed it. It may be in
force all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from host.base import Host
from host.mounted import mount_points
from host.names import visible
from snapshots import disputes
from snapshots.decision import Clash, Key
from snapshots.directories import coverer, is_other, parents
from snapshots.model import Delta, FileItem, Item, Root, TransactionRecord

if TYPE_CHECKING:
    from snapshots.inversion import Inversion


def mounts_below(host: Host, roots: Iterable[Root]) -> frozenset[str]:
    """Where something is mounted in /etc or one of the roots. Raises `HostError`."""
    inside = ("/etc/", *(f"{root.path.rstrip('/')}/" for root in roots))
    return frozenset(point for point in mount_points(host) if point.startswith(inside))


def mounted_since(host: Host, record: TransactionRecord) -> frozenset[str]:
    """Of these, what was not when the transaction began; none where that is not known."""
    if record.mounted is None:
        return frozenset()
    return mounts_below(host, record.roots) - frozenset(record.mounted)


def is_out_of_reach(inversion: Inversion, delta: Delta, now: Item | None) -> bool:
    """Decide of what cannot be reached: it is a conflict, and can only stay as it is."""
    stands = _in_the_way(inversion, delta, now) if delta.domain == "files" else ""
    if not stands:
        return False
    inversion.walks.stop(delta, "")
    inversion.clash(Clash(delta.after, now))
    if inversion.resolutions.of(delta.key) == "keep-current":
        inversion.say(delta, "kept", note=disputes.KEPT)
        return True
    inversion.say(delta, "conflict", note=stands)
    inversion.decisions[-1].cannot = {"restore": stands, "merge": stands}
    return True


def _in_the_way(inversion: Inversion, delta: Delta, now: Item | None) -> str:
    """What stands on the way to it, and what can be done."""
    for place in (delta.key, *parents(delta.key)) if inversion.mounted else ():
        if place in inversion.mounted:
            return f"something was mounted on {visible(place)} since; unmount it first"
    if now is not None or _last(inversion, delta) is None:
        return ""
    there = inversion.current.get("files", {})
    for above in parents(delta.key):
        item = there.get(above)
        if is_other(item):
            if above in inversion.covers or coverer(inversion, above) is not None:
                return ""
            is_link = isinstance(item, FileItem) and item.state.kind == "symlink"
            what = "a link" if is_link else "no directory"
            return f"{visible(above)}, in which it lay, is {what} now; put the directory back first"
    return ""


def _last(inversion: Inversion, delta: Delta) -> Item | None:
    """How it stood after the last transaction that tells of it."""
    key: Key = (delta.domain, delta.key)
    told = (one.deltas[key] for one in reversed(inversion.everybody) if key in one.deltas)
    return next(told, delta).after
