"""Deciding what an undo makes of everything that its transaction changed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from snapshots import (
    account_undo,
    chain_remains,
    directories,
    remains,
    soundness,
    together,
    witnesses,
)
from snapshots.accounts import NOBODY, Named
from snapshots.captured import Captured, only_changes
from snapshots.decision import Kept, Later
from snapshots.inverse import Contents
from snapshots.inversion import Inversion
from snapshots.model import UNRESOLVED, Delta, Item, Resolutions, TransactionRecord


def invert(
    record: TransactionRecord,
    deltas: Iterable[Delta],
    later: list[Later],
    current: Captured,
    contents: Contents,
    *,
    kept: Kept,
    pristine: Iterable[str] = (),
    packaged: Iterable[str] = (),
    resolutions: Resolutions = UNRESOLVED,
    former: Callable[[], Mapping[str, Item]] = dict,
    rows: Callable[[], Mapping[str, Item]] = dict,
    named: Named = NOBODY,
    unreachable: Mapping[str, str] = MappingProxyType({}),
) -> Inversion:
    """Decide for every difference of `record`.

    `current` is the host now. `pristine`: configuration files of packages that go, as packaged;
    `packaged`: all of those packages' configuration files. `resolutions`: what a person chose for
    things in conflict; they count only for those. `former` gives the files as they were before
    `record`, `rows` MariaDB's; they are asked where a directory that somebody removed since is made
    anew, or a grant comes back whose account is gone. `named`: whom dpkg-statoverride names.
    `unreachable`: what lies behind a link or under a mount since, and why.
    """
    inversion = Inversion(
        record,
        later,
        current,
        contents,
        kept,
        frozenset(pristine),
        frozenset(packaged),
        resolutions,
        unreachable,
    )
    # What a window only tells of is not undone with it; a step has no such, but 50,000 others.
    made: list[Delta] = []
    mine = list(deltas if record.kind == "apply" else only_changes(deltas))
    inversion.makes = {one.key for one in mine if directories.is_made(one)}
    inversion.covers = {one.key for one in mine if directories.is_covered(one)}
    units = together.units(mine, current.get("mariadb", {}))
    inversion.resolutions = together.shared(resolutions, units)
    for delta in mine:
        if directories.is_made(delta):
            made.append(delta)  # whose it becomes depends on what becomes of that in it
        else:
            inversion.decide(delta)
    if made:
        witnesses.foresee(inversion, inversion.decisions)
    for delta in sorted(made, key=lambda one: one.key, reverse=True):
        inversion.decide(delta)
        witnesses.foresee(inversion, inversion.decisions[-1:])
    together.settle(inversion, units, rows)
    remains.settle_directories(inversion, former)
    chain_remains.settle_chains(inversion)
    remains.settle_tables(inversion)
    fitted = account_undo.settle(inversion, named)
    inversion.foreseen.clear()
    witnesses.rebase(inversion)
    if fitted is not None:
        account_undo.retell(inversion, fitted)
    soundness.never_removed(inversion)
    soundness.covered_went(inversion)
    soundness.make_sound(inversion)
    return inversion
