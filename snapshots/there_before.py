"""A package that is the host's own again, once the undo of its removal is through: what came with
it when a later step brought it stays with it, and is no change of that step any more."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from snapshots import leftovers
from snapshots.decision import Kept
from snapshots.directories import parents
from snapshots.domains.packages import Package
from snapshots.model import Delta, Key
from snapshots.package_owners import owners
from snapshots.package_ties import bears_name, brought, with_leftovers
from snapshots.purge_reach import scripts_of
from snapshots.put_there import named_by

if TYPE_CHECKING:
    from host.base import Host
    from snapshots.decision import Later
    from snapshots.inversion import Inversion
    from snapshots.records import Records

_SCRIPTS: Final = ("preinst", "postinst", "prerm", "postrm")
_PATH: Final = re.compile(rb"/[\w@+.:/-]+")


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
        theirs = _of_siblings(host, going, stays, asked)
        for path in found:
            if path not in theirs:
                inversion.rebase(later, Delta("files", path, came[path].after, came[path].after))


def held(
    since: Iterable[str],
    recorded: Container[str],
    going: Collection[str],
    known: Mapping[str, Iterable[str]],
) -> set[str]:
    """What came since and lies in a directory that a package has which does not go: its data.

    Not what bears the name of one that goes. `known`: path -> its packages. Pure.
    """
    found = set[str]()
    for path in since:
        holder = next((one for one in parents(path) if one in recorded or one in known), "")
        stays = any(name not in going for name in known.get(holder, ()))
        if stays and not bears_name(path, going):
            found.add(path)
    return found


def _of_siblings(
    host: Host, going: Collection[str], stays: Collection[str], asked: Collection[str]
) -> set[str]:
    """What scripts of packages that go with a step made, as far as they name it: with all that
    lies in it, and the directories in which nothing else lies. Nothing that a package that stays
    names, in a script or in a file."""
    named = _named(host, going, asked)
    found = {path for path in asked if not named.isdisjoint((path, *parents(path)))}
    found |= {one for path in found for one in parents(path)} & {*asked}
    if found:
        found -= _named(host, stays, found) | named_by(host, found, stays)
    for path in sorted(found, reverse=True):  # what lies in it before a directory itself
        state = host.state(path)
        inside = host.listdir(path) if state is not None and state.kind == "dir" else ()
        if path not in named and any(f"{path}/{name}" not in found for name in inside):
            found.discard(path)
    return found


def _named(host: Host, packages: Iterable[str], paths: Collection[str]) -> set[str]:
    """Those of `paths` that scripts of `packages` name, and nothing that they begin."""
    scripts = (text for name in packages if paths for text in scripts_of(host, name, _SCRIPTS))
    said = {word for text in scripts for word in _PATH.findall(text)}
    return {path for path in paths if os.fsencode(path) in said}


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
