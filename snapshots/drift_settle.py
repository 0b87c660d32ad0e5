"""Settling what drifted: accept it, put it back, or merge it.

Accepting changes nothing on the host: what stands is expected from then on. Putting back and
merging are a transaction of their own, with a restore point, validation and activation, and a
proof; it can be undone like a step's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from host.base import LARGEST_READ_BYTES, Host
from host.names import visible
from snapshots import drift_accepted, others
from snapshots.bringing_back import bring_back
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.daemons import pulled
from snapshots.drift import Choice, Drifted, content_roots, touched
from snapshots.drift_accepted import Accepted
from snapshots.drift_look import drifted, is_secret
from snapshots.drift_plan import (
    SettlePlan,
    Settling,
    decide,
    known_baseline,
    must_be_as_shown,
    plan_of,
)
from snapshots.found import keep_strangers
from snapshots.goal import Goal
from snapshots.guard_switch import Switch
from snapshots.model import FileItem, Key, SnapshotError, TransactionRecord, Worked
from snapshots.opening import changing, open_transaction, ready, way_back
from snapshots.others import AtWork, Others, with_items_of
from snapshots.progress import Progress
from snapshots.reached import of_keys
from snapshots.records import Records, now_text
from snapshots.state import StateDir
from snapshots.transaction import Transaction


def accept(
    host: Host,
    state: StateDir,
    keys: Iterable[Key],
    *,
    expect_fingerprint: str | None,
    user: str,
) -> SettlePlan:
    """Expect these things as they stand from now on; durable on return.

    Raises `SnapshotError` where the host moved on since it was shown, `Busy` and `HostError`.
    """
    with state.lock("drift accept"):
        ready(host, state)
        keeper = Keeper(host, state)
        baseline = known_baseline(keeper)
        settling = decide(keeper, baseline, "accept", keys, drifted(keeper, baseline))
        must_be_as_shown(settling, expect_fingerprint)
        with way_back(keeper):
            for one in settling.things:
                _keep(keeper, one)
            keeper.store.sync()
        known = touched(baseline.standing)
        kept = [
            old
            for old in drift_accepted.read(state)
            if old.thing in known or old.transaction >= baseline.record.id
        ]
        fresh = (
            Accepted(
                transaction=baseline.last.id, domain=one.domain, key=one.key, item=one.now,
                when=now_text(), by=user,
            )
            for one in settling.things
        )  # fmt: skip
        with way_back(keeper):
            drift_accepted.write(state, [*kept, *fresh])
        return plan_of(keeper, settling)


def settle(
    host: Host,
    state: StateDir,
    choice: Choice,
    keys: Iterable[Key],
    *,
    expect_fingerprint: str | None,
    user: str,
    prove: Callable[[], None],
    worked: Worked | None = None,
    progress: Progress,
    switch: Switch | None = None,
) -> TransactionRecord:
    """Put things back, or merge them, in a transaction of kind `drift`; returns its record.

    Its status is `committed` where all went well, `pending` with a `switch`, which guards it.
    Where something failed, `prove` included, which raises `HostError`, the host was brought back
    (`rolled-back`) or could not be (`needs-person`). Raises `SnapshotError` (not possible, out of
    date) before anything is touched.
    """
    with changing(host, state, f"drift {choice}", progress, switch) as held:
        keeper = Keeper(host, state)
        records = Records(state)
        baseline = known_baseline(keeper)
        roots = content_roots(baseline.standing)
        keys = tuple(keys)
        keeper.files.about_to_change = frozenset(key for domain, key in keys if domain == "files")
        with way_back(keeper):
            current = keeper.capture(roots, progress)
        things = drifted(keeper, baseline, {d: current[d] for d in baseline.items})
        settling = decide(keeper, baseline, choice, keys, things)
        if settling.refused:
            raise SnapshotError(next(iter(settling.refused.values())))
        must_be_as_shown(settling, expect_fingerprint)
        with way_back(keeper):
            for content in settling.contents.made.values():
                keeper.store.add(content)
        words = {"restore": "Put back", "merge": "Merge", "accept": "Accept"}
        names = [one.key for one in settling.things]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        record = TransactionRecord(
            id="",
            kind="drift",
            steps=settling.steps,
            title=visible(f"{words[choice]} {names[0]}{more}"),
            status="open",
            started="",
            user=user,
            validations=settling.validations,
            activations=settling.activations,
            roots=roots,
            worked=worked,
        )
        tx = open_transaction(
            keeper, records, record, current, held.pop_all(), progress, switch=switch
        )
    return tx.complete(partial(_perform, keeper, records, tx, settling, current, prove, progress))


def _perform(
    keeper: Keeper,
    records: Records,
    tx: Transaction,
    settling: Settling,
    current: Captured,
    prove: Callable[[], None],
    progress: Progress,
) -> TransactionRecord:
    at_work = AtWork(tx.record.roots, partial(pulled, keeper.host))
    at_work.may_be_all = any(domain == "packages" for domain, _ in settling.targets)
    at_work.reaches(of_keys(settling.targets))
    units = (key for domain, key in settling.targets if domain == "units")
    at_work.take(settling.activations, units)
    theirs = Others(settling.targets.keys(), at_work)
    tx.ours.is_only(theirs.named, at_work)
    target: Captured = {domain: dict(items) for domain, items in current.items()}
    for domain, key in settling.targets:
        item = settling.targets[domain, key]
        if item is None:
            target[domain].pop(key, None)
        else:
            target[domain][key] = item
    tx.ours.tell(settling.choice, target)
    goal = Goal(
        captured=target,
        roots=tx.record.roots,
        validations=settling.validations,
        activations=settling.activations,
        named=frozenset(key for domain, key in settling.targets if domain == "files"),
    )
    meanwhile: list[str] = []
    mind = partial(keep_strangers, keeper, tx.record, current, meanwhile, progress)
    notes, after = bring_back(
        keeper, goal, progress, now=current, all_or_nothing=True, mind=mind,
        of_others=theirs.staying,
    )  # fmt: skip
    after = with_items_of(after, theirs.keys | theirs.held, current)
    meanwhile += [others.started_again(theirs.stopped), others.sentence(theirs.keys)]
    progress.doing("proving the result")
    prove()
    tx.write_after(after)
    return tx.finish(" ".join(filter(None, [*notes, *meanwhile])))


def _keep(keeper: Keeper, one: Drifted) -> None:
    """The content of what is accepted, so that a later difference can be shown and put back."""
    if not isinstance(one.now, FileItem) or one.now.state.kind != "file" or is_secret(one):
        return
    if one.now.state.is_too_large:
        return
    sha256 = one.now.state.sha256
    if not keeper.store.is_whole(sha256):
        kept = keeper.store.add(keeper.host.read_bytes(one.key, limit_bytes=LARGEST_READ_BYTES))
        if kept != sha256:
            raise SnapshotError(
                f"{one.key} changed while it was accepted; nothing was accepted. Try again."
            )
