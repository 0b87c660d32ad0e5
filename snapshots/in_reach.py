"""What a package's own scripts may remove although it did not come with the package.

`rm -rf /var/lib/chrony` at the end of chrony asks nobody whose files lie there: those of somebody
who had chrony before, or of another program. They are kept before it goes, and put back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Container, Iterable
from datetime import datetime
from typing import Final, NamedTuple

from host.base import FileState, Host, HostError
from host.names import is_utf8, visible
from snapshots import leftovers, put_kept, returned
from snapshots.account_books import ids_in
from snapshots.accounts import PASSWD
from snapshots.capture import Keeper
from snapshots.inverse import is_present, read_hash
from snapshots.inversion import Inversion
from snapshots.merge import lines_of
from snapshots.model import FileItem, Item, TransactionRecord
from snapshots.package_owners import batches, owners
from snapshots.package_ties import listed
from snapshots.purge_reach import reach
from snapshots.put_there import put_there
from snapshots.records import Records

_KINDS: Final = frozenset({"file", "symlink", "dir", "fifo", "char", "block"})
"""A socket says nothing without the program that made it."""


class Beside(NamedTuple):
    """What lies in reach and did not come with the packages, by path."""

    stays: dict[str, Item]
    made: dict[str, Item]
    """By their programs, or by their scripts: it goes with them."""


def lies_there(
    keeper: Keeper,
    going: Collection[str],
    known: Container[str],
    record: TransactionRecord,
    leaving: Container[int],
    theirs: Collection[str] = (),
) -> Beside:
    """What the scripts of `going` may remove, without what these have or what is `known` to have
    come with the transaction of `record`.

    What was there before it began stays, and so does what somebody put there, or who owns it does:
    `leaving` are the UIDs of the accounts that came with it. So does what is `theirs`, the files
    that other changes need: dpkg itself removes them where it has them. Raises `HostError`.
    """
    host = keeper.host
    there = _there(host, reach(host, going), theirs)
    having = owners(host, there)
    stays = {path for path, names in having.items() if not {*going}.intersection(names)}
    stays |= there.keys() & {*theirs}
    # A name that dpkg has may be somebody's directory or link, which it took as it was.
    shapes = {p: there[p] for p in having.keys() - stays if there[p].kind in ("dir", "symlink")}
    stays |= shapes.keys() - _since(keeper, shapes, record, unknown=True).keys()
    there = {p: there[p] for p in there if p in stays or not (p in having or p in known)}
    since = _since(keeper, there, record)
    stays |= {*(put_there(host, since, (), going) if since else ())}
    stays |= {
        path
        for path, state in there.items()
        if path not in since or (state.uid != 0 and state.uid not in leaving)
    }
    items: dict[str, Item] = {path: FileItem(there[path]) for path in sorted(there)}
    return Beside(
        {path: item for path, item in items.items() if path in stays},
        {path: item for path, item in items.items() if path not in stays},
    )


def _there(host: Host, tops: Iterable[str], besides: Iterable[str]) -> dict[str, FileState]:
    states: dict[str, FileState] = {
        path: item.state
        for path, item in leftovers.states(host, tops, in_mounts=True).items()
        if isinstance(item, FileItem)
    }
    more = {path: host.state(path) for path in besides if path not in states}
    states |= {path: state for path, state in more.items() if state is not None}
    return {path: state for path, state in states.items() if state.kind in _KINDS}


def going_with(inversion: Inversion) -> set[str]:
    """The packages that an undo takes away."""
    return {
        one.delta.key
        for one in inversion.decisions
        if one.delta.domain == "packages" and one.changes and not is_present(one.target)
    }


def in_reach_of(keeper: Keeper, inversion: Inversion) -> Beside:
    """As `lies_there`, of the packages that an undo takes away. Raises `HostError`."""
    going = going_with(inversion)
    if not going:
        return Beside({}, {})
    files = [one for one in inversion.decisions if one.delta.domain == "files"]
    known = {one.delta.key for one in files if one.changes and not is_present(one.target)}
    leaving, theirs = _leaving(inversion), _of_others(keeper.host, inversion, going) - known
    return lies_there(keeper, going, known, inversion.record, leaving, theirs)


def _of_others(host: Host, inversion: Inversion, going: Collection[str]) -> set[str]:
    """The files outside of /etc that later changes made, or that stay, and the packages have or
    may remove."""
    theirs = {
        key
        for later in inversion.later
        for (domain, key), delta in later.deltas.items()
        if domain == "files" and is_present(delta.after)
    }
    theirs |= {
        one.delta.key
        for one in inversion.decisions
        if one.delta.domain == "files" and not one.changes
    }
    own, below = {*listed(host, sorted(going))}, tuple(f"{top}/" for top in reach(host, going))
    return {
        path
        for path in theirs
        if not path.startswith("/etc/") and (path in own or path.startswith(below))
    }


def _leaving(inversion: Inversion) -> set[int]:
    """The UIDs of the accounts that came with what is undone."""
    for one in inversion.decisions:
        if (one.delta.domain, one.delta.key) == ("files", PASSWD):
            before, after = (
                ids_in(lines_of(inversion.contents.get(sha256)))
                if (sha256 := read_hash(side))
                else set[int]()
                for side in (one.delta.before, one.delta.after)
            )
            return after - before
    return set()


def too_large(host: Host, paths: Collection[str]) -> str:
    """A sentence about those of `paths` that are not kept; empty where all are."""
    large = sorted({*paths} - put_kept.smallest(host, paths))
    if not large:
        return ""
    first = ", ".join(map(visible, large[: leftovers.NAMED]))
    more = f" and {len(large) - leftovers.NAMED} more" if len(large) > leftovers.NAMED else ""
    return (
        f"Scripts of the packages may remove {first}{more}, which did not come with them and "
        f"{'is' if len(large) == 1 else 'are'} too large to be kept: move "
        f"{'it' if len(large) == 1 else 'them'} away first."
    )


def born_s(host: Host, paths: Collection[str]) -> dict[str, float]:
    """When each file was made, in s since 1970; without those of which nobody tells."""
    found = dict[str, float]()
    for asked in batches(filter(is_utf8, paths)):  # no program is given another name
        with contextlib.suppress(HostError, ValueError):
            told = host.run(("stat", "-c", "%.9W", "--", *asked), ok=None).stdout.split()
            times = [float(word) for word in told]
            if len(times) == len(asked):  # else one went meanwhile, and nobody knows which
                found |= {path: at for path, at in zip(asked, times, strict=True) if at > 0}
    return found


def _since(
    keeper: Keeper,
    there: dict[str, FileState],
    record: TransactionRecord,
    *,
    unknown: bool = False,
) -> dict[str, Item]:
    """What was made since it began; of what nobody tells that, `unknown` decides."""
    began_s, born = datetime.fromisoformat(record.started).timestamp(), born_s(keeper.host, there)
    told = {path: born.get(path, began_s if unknown else 0.0) for path in there}
    new = {path: at for path, at in told.items() if at >= began_s}
    back = returned.known(Records(keeper.state)) if new else {}
    return {path: FileItem(there[path]) for path, at in new.items() if at > back.get(path, 0.0)}


def made_since(host: Host, paths: Collection[str], since_s: float) -> list[str]:
    """Those of `paths` that may have been made later than that, in s since 1970."""
    born = born_s(host, paths)
    return [path for path in paths if born.get(path, since_s) >= since_s]
