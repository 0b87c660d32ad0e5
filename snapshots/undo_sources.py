"""What an undo is decided from: what changed since, and whose packages and files are by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial

import msgspec

from snapshots import (
    account_undo,
    alternatives,
    invert,
    leftovers,
    reach,
    settle,
    there_before,
    witnesses,
)
from snapshots.capture import Keeper
from snapshots.captured import Captured, is_trigger_only, same
from snapshots.decision import Later, by_key
from snapshots.domains.packages import Package
from snapshots.inverse import Contents
from snapshots.inversion import Inversion
from snapshots.model import Delta, FileItem, Resolutions, TransactionRecord
from snapshots.package_growth import grown
from snapshots.package_owners import new_files, owners, with_owners
from snapshots.package_ties import as_packaged, conffiles, ties, with_leftovers
from snapshots.points import point_before
from snapshots.put_there import put_there
from snapshots.records import Records


def paths_of(current: Captured) -> dict[str, str]:
    """One string for each path: what was captured and what was changed name the same 50,000."""
    return {path: path for path in current.get("files", {})}


def differences_of(
    keeper: Keeper, records: Records, tx_id: str, paths: Mapping[str, str]
) -> Iterator[Delta]:
    secret = keeper.secret_paths.paths
    for delta in records.each_delta(tx_id, paths):
        if delta.domain == "packages" and _is_of_a_trigger(delta):
            continue
        yield _keyed(keeper, delta) if delta.key in secret else delta


def standing(
    keeper: Keeper, records: Records, chosen: Sequence[str], paths: Mapping[str, str], but: str = ""
) -> dict[str, Later]:
    """What is to be undone, and all in force since, oldest first, with its differences.

    Without `but`: of the only one that is to be undone nobody asks by key, and keys of 50,000
    differences take 5 MB.
    """
    everything = records.all()
    first = next((record for record in everything if record.id in chosen), None)
    return {
        record.id: Later(record, by_key(differences_of(keeper, records, record.id, paths)))
        for record in everything
        if record.id != but
        and (
            record.id in chosen
            or (first is not None and record.in_force and witnesses.outlasts(record, first))
        )
    }


def inverted(
    keeper: Keeper,
    records: Records,
    record: TransactionRecord,
    deltas: list[Delta],
    later: list[Later],
    current: Captured,
    contents: Contents,
    resolutions: Resolutions,
) -> Inversion:
    """`deltas` are those of `record`; what came with its packages since is added to them."""
    came = leftovers.states(keeper.host, leftovers.tops_of(deltas, record.roots))
    known = set[str]()
    if came:
        known = {delta.key for delta in deltas if delta.domain == "files"}
        # What daemons put there since goes too.
        deltas += [Delta("files", path, None, came[path]) for path in sorted(came.keys() - known)]
        current = {**current, "files": {**current["files"], **came}}
    declared = records.named_paths(record.id)
    kept = ties(keeper.host, deltas, later, current, declared)
    going = {
        delta.key
        for delta in deltas
        if delta.domain == "packages"
        and Package.of(delta.before) is None
        and delta.key not in kept.packages
        and current["packages"].get(delta.key) not in (None, delta.before)
    }
    before = cache(partial(keeper.points.load, point_before(record.id)))
    files = new_files(deltas, current, declared)
    having = owners(keeper.host, {*files, *came})
    kept = with_leftovers(kept, came, going, having)
    kept = with_owners(
        keeper.host, kept, deltas, later, current, declared, having, came,
        before=lambda: before()["packages"],
    )  # fmt: skip
    recorded = frozenset(known)
    known |= having.keys() | (kept.files.keys() & recorded)
    known |= {key for one in later for domain, key in one.deltas if domain == "files"}
    kept = msgspec.structs.replace(
        kept,
        beyond=leftovers.beyond(keeper.host, came),
        put=put_there(keeper.host, came, known, going),
        shared=alternatives.shared(keeper.host, deltas, current, going),
    )
    # Nobody's, and in a directory that another package has: it is not decided about at all.
    since = came.keys() - recorded - having.keys() - kept.put.keys() - declared
    held = there_before.held(since, recorded, going, having)
    deltas = [delta for delta in deltas if delta.key not in held] if held else deltas
    pristine, packaged = conffiles(keeper.host, going, current)
    upgraded = {one.key for one in deltas if _is_otherwise(one, current)}
    pristine |= as_packaged(keeper.host, going, upgraded) - packaged
    if going:
        steps, _ = witnesses.apart(later)
        more = grown(
            keeper.host, record, deltas, steps, going, before()["files"], current,
            packaged - pristine,
        )  # fmt: skip
        packaged |= {delta.key for delta in more if delta.after is None}
        deltas += more
    inversion = invert.invert(
        record,
        deltas,
        later,
        current,
        contents,
        kept=kept,
        pristine=pristine - declared,
        packaged=packaged - declared,
        resolutions=resolutions,
        former=lambda: before()["files"],
        rows=lambda: before().get("mariadb", {}),
        named=account_undo.named_by_dpkg(keeper.host, going),
        unreachable=reach.out_of_reach(keeper.host, record, deltas, current),
    )
    there_before.let_go(keeper.host, records, inversion)
    return inversion


def _is_of_a_trigger(delta: Delta) -> bool:
    """Whether it was taken for a difference before triggers were none."""
    return delta.before != delta.after and is_trigger_only(delta.before, delta.after)


def _keyed(keeper: Keeper, delta: Delta) -> Delta:
    """A difference from before its file became secret, comparable with what is captured now."""
    if delta.domain != "files":
        return delta
    before, after = (
        settle.keyed_item(keeper, item) if item is not None else None
        for item in (delta.before, delta.after)
    )
    return msgspec.structs.replace(delta, before=before, after=after)


def _is_otherwise(delta: Delta, current: Captured) -> bool:
    """Whether another file stands now where a transaction left its own in place of somebody's."""
    if delta.domain != "files" or delta.key.startswith("/etc/") or delta.before is None:
        return False
    now = current["files"].get(delta.key)
    return isinstance(now, FileItem) and now.state.kind == "file" and not same(now, delta.after)
