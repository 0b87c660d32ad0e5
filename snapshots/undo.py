"""Undoing one transaction, in any order, at any later time, in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from host.base import Host
from host.mariadb import NotRunning
from host.names import visible
from snapshots import (
    intact,
    leaving,
    leftovers,
    others,
    settle,
    undo_packages,
    undo_plan,
    undo_secrets,
    witnesses,
)
from snapshots.accounts_since import AccountsSince
from snapshots.bringing_back import bring_back
from snapshots.capture import Keeper
from snapshots.captured import (
    VOLATILE_FILES,
    Captured,
)
from snapshots.daemons import pulled
from snapshots.decision import by_key
from snapshots.domains.mariadb import asks_mariadb
from snapshots.dpkg import is_offered, refuse_interrupted
from snapshots.found import keep_strangers
from snapshots.goal import Goal
from snapshots.guard_switch import Switch
from snapshots.impediments import impediments
from snapshots.inverse import Contents
from snapshots.inversion import Inversion
from snapshots.kept_by_undo import KeptByUndo
from snapshots.model import (
    UNRESOLVED,
    Conflict,
    Delta,
    Key,
    Resolutions,
    SnapshotError,
    TransactionRecord,
    UndoPlan,
)
from snapshots.opening import changing, open_transaction, way_back
from snapshots.others import AtWork, Others, with_items_of
from snapshots.progress import Progress, Silent
from snapshots.reached import of_keys
from snapshots.records import Records
from snapshots.secret_paths import KnownSecrets
from snapshots.state import StateDir
from snapshots.transaction import Transaction
from snapshots.undo_sources import differences_of, inverted, paths_of, standing


def plan_undo(
    host: Host, state: StateDir, tx_id: str, resolutions: Resolutions = UNRESOLVED
) -> UndoPlan:
    """What undoing `tx_id` would do now; asks only.

    Raises `SnapshotError` where it cannot be undone, `HostError` where the host cannot be asked.
    """
    return plan_undos(host, state, [tx_id], resolutions)[0]


def plan_undos(
    host: Host,
    state: StateDir,
    tx_ids: Sequence[str],
    resolutions: Resolutions = UNRESOLVED,
    *,
    leave_out: bool = False,
) -> list[UndoPlan]:
    """What undoing these one after the other would do, each on what the ones before it leave.

    With `leave_out` those that cannot be undone because something they need is damaged stay, and
    their plans say so. Raises as `plan_undo`.
    """
    keeper = Keeper(host, state)
    try:
        return _planned(keeper, tx_ids, resolutions, {}, leave_out=leave_out)
    except SnapshotError:
        lost = intact.lists_lost(Records(state)) if leave_out else {}
        if not lost.keys() & set(tx_ids):
            raise
        return _planned(keeper, tx_ids, resolutions, lost, leave_out=True)
    finally:
        keeper.store.forget()


def _planned(
    keeper: Keeper,
    tx_ids: Sequence[str],
    resolutions: Resolutions,
    lost: Mapping[str, str],
    *,
    leave_out: bool,
) -> list[UndoPlan]:
    """The plans; `lost`: what cannot be undone for its list of differences, and why, a clause."""
    records = Records(keeper.state)
    chosen = [_undoable(records, tx_id) for tx_id in tx_ids if tx_id not in lost]
    roots = {root.path: root for record in chosen for root in record.roots}
    named = (path for record in chosen for path in records.named_paths(record.id))
    keeper.files.about_to_change = frozenset(named)
    with _named_where_mariadb_is_needed(chosen), way_back(keeper):
        current = keeper.capture(roots.values(), Silent()) if chosen else {}
    stores = _stores(keeper)
    contents = _contents(keeper, stores)
    in_force = standing(keeper, records, [one.id for one in chosen], paths_of(current))
    plans: list[UndoPlan] = []
    coming: dict[str, str] = {}
    for record in chosen:
        mine = in_force[record.id]
        later = [
            one
            for one in in_force.values()
            if one is not mine and witnesses.outlasts(one.record, record)
        ]
        deltas = list(mine.deltas.values())
        try:
            inversion = inverted(
                keeper, records, record, deltas, later, current, contents, resolutions
            )
            misfit = undo_packages.take_along(keeper, inversion, current, coming)
            first = all(one.left_out for one in plans)
            met = impediments(inversion, keeper, stores, misfit, first=first)
            plan = undo_plan.plan_of(keeper, inversion, met.unfit, met.cannot)
            why = undo_plan.why_left_out(plan, resolutions, met) if leave_out else ""
        except SnapshotError as error:
            if not leave_out:
                raise
            why = f"{undo_plan.named(record)} cannot be undone: {error}"
        if why:
            plans.append(undo_plan.left_out(record, why))
            continue
        plans.append(plan)
        del in_force[record.id]
        coming |= undo_packages.coming(inversion)
        current = inversion.target()
        for one in later:
            one.deltas = by_key(inversion.deltas_of(one, current))
    for record in (records.read(tx_id) for tx_id in tx_ids if tx_id in lost):
        why = intact.cannot(lost[record.id], undo_plan.named(record))
        plans.append(undo_plan.left_out(record, why))
    return plans


def _stores(keeper: Keeper) -> intact.Stores:
    return intact.Stores(
        keeper.state,
        practice=keeper.host.is_practice,
        offered=partial(is_offered, keeper.host),
        objects=keeper.store,
    )


def _contents(keeper: Keeper, stores: intact.Stores) -> Contents:
    secrets = KnownSecrets(keeper.host, keeper.secret_paths)
    return Contents(keeper.store.get, secrets, stores.content)


@contextmanager
def _named_where_mariadb_is_needed(chosen: Sequence[TransactionRecord]) -> Iterator[None]:
    """Say of several which cannot be undone while MariaDB does not answer, and which can."""
    try:
        yield
    except NotRunning as error:
        asking = [one for one in chosen if asks_mariadb(one.roots)]
        others = [one for one in chosen if one not in asking]
        if not others:
            raise
        raise NotRunning(
            f"{error} Nothing was touched. The undo of {_names(asking)} needs it; what can be"
            f" undone without it: `harden-tui rollback {_names(others, ' ')}`."
        ) from None


def _names(chosen: Sequence[TransactionRecord], between: str = ", ") -> str:
    """As a person types them."""
    return between.join(one.steps[0] if len(one.steps) == 1 else one.id for one in chosen)


def undo(
    host: Host,
    state: StateDir,
    tx_id: str,
    *,
    expect_fingerprint: str | None,
    user: str,
    progress: Progress,
    resolutions: Resolutions = UNRESOLVED,
    ready: Callable[[], object] = lambda: None,
    prove: Callable[[], None] = lambda: None,
    switch: Switch | None = None,
) -> TransactionRecord:
    """Undo `tx_id`; returns the record of the undo, a transaction of kind `rollback`.

    Its status is `committed` where all went well, `pending` with a `switch`, which guards it.
    Where something failed, `prove` included, which raises `HostError`, the host was brought back
    to before the undo (`rolled-back`), or could not be (`needs-person`); `reason` says why. Before
    anything is changed `ready` is called, which may raise `HostError`. Raises
    `Conflict` and `SnapshotError` (not undoable, approved plan out of date) before anything is
    touched.
    """
    with changing(host, state, f"rollback of {tx_id}", progress, switch) as held:
        keeper = Keeper(host, state)
        records = Records(state)
        record = _undoable(records, tx_id)
        keeper.files.about_to_change = frozenset(records.named_paths(record.id))
        with way_back(keeper):
            current = keeper.capture(record.roots, progress)
        paths = paths_of(current)
        deltas = list(differences_of(keeper, records, record.id, paths))
        in_force = standing(keeper, records, [record.id], paths, but=record.id)
        del paths
        stores = _stores(keeper)
        contents = _contents(keeper, stores)
        later = list(in_force.values())
        inversion = inverted(keeper, records, record, deltas, later, current, contents, resolutions)
        del deltas, later, in_force  # 50,000 of a tree, which the decisions have, or let go of
        if inversion.conflicts:
            raise Conflict(undo_plan.refusal(undo_plan.plan_of(keeper, inversion), resolutions))
        misfit = undo_packages.take_along(keeper, inversion, current)
        approved = expect_fingerprint is None or expect_fingerprint == undo_plan.fingerprint(
            host, inversion
        )
        if not approved:
            raise SnapshotError(
                "The host has changed since this undo was shown; nothing was touched. Look at the "
                "preview again."
            )
        if any(d.delta.domain == "packages" and d.changes for d in inversion.decisions):
            values = {k: getattr(item, "value", "") for k, item in current["packages"].items()}
            refuse_interrupted(host, values)
        own = TransactionRecord(
            id="",
            kind="rollback",
            steps=record.steps,
            title=f"Undo: {record.title}",
            status="open",
            started="",
            user=user,
            undoes=record.id,
            undid="" if record.kind == "rollback" else record.kind,
            validations=record.validations,
            activations=record.activations,
            roots=record.roots,
            resolved={visible(key): choice for key, choice in inversion.chosen.items()},
        )
        with way_back(keeper):
            for content in inversion.contents.made.values():
                keeper.store.add(content)
            met = impediments(inversion, keeper, stores, misfit)
            if met.cannot:
                raise SnapshotError(met.cannot)
            keeper.debs.keep(host, undo_packages.leaving(inversion, current), progress)
            secrets = undo_secrets.keep(keeper, inversion)
            kept = KeptByUndo(keeper, inversion)
        ready()
        tx = open_transaction(
            keeper, records, own, current, held.pop_all(), progress, switch=switch
        )
    ended = tx.complete(
        partial(_perform, keeper, records, tx, inversion, kept, current, prove, progress)
    )
    if ended.status not in ("needs-person", "pending"):  # both may have to go back yet
        for hashed in secrets:
            keeper.secret_paths.drop(hashed)
    return ended


def _perform(
    keeper: Keeper,
    records: Records,
    tx: Transaction,
    inversion: Inversion,
    kept: KeptByUndo,
    current: Captured,
    prove: Callable[[], None],
    progress: Progress,
) -> TransactionRecord:
    record = inversion.record
    target = inversion.target()
    outside = leftovers.outside(inversion.current["files"], record.roots)
    gone = _going(inversion, outside)
    left = leftovers.sentences(leftovers.beyond(keeper.host, outside))
    for path in outside:
        target["files"].pop(path, None)
    theirs = _others(keeper, inversion, outside)
    tx.ours.is_only(theirs.named, theirs.at_work)
    tx.ours.tell(f"undo {record.id}", target)
    if theirs.at_work.may_be_all:
        tx.ours.tell_persons(current, target)
    persons = AccountsSince(keeper, current["files"], only_persons=theirs.at_work.may_be_all)
    goal = Goal(
        captured=target,
        roots=record.roots,
        validations=record.validations,
        activations=record.activations,
        named=frozenset(
            d.delta.key for d in inversion.decisions if d.changes and d.delta.key in VOLATILE_FILES
        ),
        free=frozenset(inversion.free),
        besides=frozenset(inversion.besides),
        decided=frozenset(
            d.delta.key
            for d in inversion.decisions
            if inversion.besides and d.changes and d.delta.domain == "files"
        ),
        persons=persons,
    )
    inversion.let_go()
    kept.keep(records, tx.id)
    meanwhile: list[str] = []
    over: set[str] = set()
    mind = partial(keep_strangers, keeper, tx.record, current, meanwhile, progress, over=over)
    notes, after = bring_back(
        keeper, goal, progress, now=current, all_or_nothing=True, mind=mind,
        of_others=theirs.staying,
    )  # fmt: skip
    after = with_items_of(after, theirs.keys | theirs.held, current)
    meanwhile += [
        others.started_again(theirs.stopped),
        others.sentence({*theirs.keys, *persons.keys()} - {("files", path) for path in over}),
    ]
    progress.doing("proving the result")
    prove()
    kept.put_back(records, tx.id)
    tx.write_after(after, [*gone, *kept.taken()])
    stays = {*outside, *kept.look_again(outside)}
    left += kept.sentences(tx.id)
    going = {delta.key for delta in gone} | {*kept.holders}
    leaving.prepare(records, tx.id, going, stays - going)
    touched = inversion.touched
    rebased = {
        later.record.id: inversion.deltas_of(later, after)
        for later in (*inversion.later, *inversion.witnesses)
        if later.record.id in touched
    }
    settle.prepare(records, tx.id, rebased, revocable=tx.kept_as == "pending")
    return tx.finish(" ".join(filter(None, [*notes, *left, *meanwhile])), tuple(rebased))


def _others(keeper: Keeper, inversion: Inversion, outside: Iterable[str]) -> Others:
    changing = [one.delta for one in inversion.decisions if one.changes]
    at_work = AtWork(inversion.record.roots, partial(pulled, keeper.host))
    at_work.may_be_all = any(delta.domain == "packages" for delta in changing)
    at_work.reaches(of_keys((delta.domain, delta.key) for delta in changing))
    units = (delta.key for delta in changing if delta.domain == "units")
    at_work.take(inversion.record.activations, units)
    named: set[Key] = {("files", path) for path in outside}
    named |= {(delta.domain, delta.key) for delta in changing}
    return Others(named, at_work)


def _going(inversion: Inversion, outside: list[str]) -> list[Delta]:
    """What came with the packages outside of what is captured, and goes with them."""
    going = {d.delta.key: d for d in inversion.decisions if d.changes and d.target is None}
    return [
        Delta("files", path, inversion.now(going[path].delta), None)
        for path in outside
        if path in going
    ]


def why_not(record: TransactionRecord) -> str:
    """Why a transaction cannot be undone whatever the host is like; empty where it can."""
    if record.kind == "rollback":
        return f"{record.id} is itself an undo; nothing was touched. Apply the step again instead."
    if record.status != "committed":
        return f"{record.id} is {record.status}, so there is nothing of it to undo."
    return ""


def _undoable(records: Records, tx_id: str) -> TransactionRecord:
    record = records.read(tx_id)
    why = why_not(record)
    if why:
        raise SnapshotError(why)
    intact.require_lists(records, tx_id)
    return record
