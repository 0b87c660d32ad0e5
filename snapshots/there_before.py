"""A package that is the host's own again, once the undo of its removal is through: what came with
it when a later step brought it stays with it, and is no change of that step any more."""

from __future__ import annotations

import os
from collections.abc import Collection, Container, Iterable, Mapping
from typing import TYPE_CHECKING

from snapshots import leftovers
from snapshots.decision import Kept
from snapshots.directories import parents
from snapshots.domains.packages import Package
from snapshots.model import Delta, Key
from snapshots.package_owners import owners
from snapshots.package_ties import brought, with_leftovers

if TYPE_CHECKING:
    from host.base import Host
    from snapshots.decision import Later
    from snapshots.inversion import Inversion
    from snapshots.records import Records


def let_go(host: Host, records: Records, inversion: Inversion) -> None:
    """Take it out of the lists of later steps, as `inversion` took the package. Raises
    `HostError`."""
    for later in inversion.later:
        mine = inversion.rebased.get(later.record.id, {})
        stays = {key[1]: "" for key in mine if _brought(later.deltas.get(key), mine[key])}
        if not stays:
            continue
        came = _came_outside(later, mine, records.named_paths(later.record.id))
        going, having = brought(later.deltas.values()) - stays.keys(), owners(host, came)
        found = with_leftovers(Kept(packages=stays), came, going, having).files
        asked = found.keys() - having.keys() if going else set[str]()
        theirs = _named(host, going, asked) - _named(host, stays, asked)
        for path in found:
            if theirs.isdisjoint((path, *parents(path))):
                inversion.rebase(later, Delta("files", path, came[path].after, came[path].after))


def _named(host: Host, packages: Iterable[str], paths: Collection[str]) -> set[str]:
    """Those of `paths` that scripts of `packages` name."""
    scripts = [
        host.read_bytes(path)
        for name in packages if paths
        for word in ("preinst", "postinst", "prerm", "postrm")
        if host.state(path := f"/var/lib/dpkg/info/{name}.{word}") is not None
    ]  # fmt: skip
    return {path for path in paths if any(os.fsencode(path) in text for text in scripts)}


def _brought(left: Delta | None, by_now: Delta | None) -> bool:
    """Whether a package came with a step, which by now would have found it there."""
    if left is None or left.domain != "packages" or Package.of(left.before) is not None:
        return False
    return Package.of(left.after) is not None and (
        by_now is None or Package.of(by_now.before) is not None
    )


def _came_outside(
    later: Later, mine: Mapping[Key, Delta | None], declared: Container[str]
) -> dict[str, Delta]:
    """What came with packages outside of /etc and the trees of the step, by path."""
    new = {
        key: delta
        for (domain, key), delta in later.deltas.items()
        if domain == "files" and delta.before is None
        if key not in declared and (domain, key) not in mine
    }
    return {path: new[path] for path in leftovers.outside(new, later.record.roots)}
