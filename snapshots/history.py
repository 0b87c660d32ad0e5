"""What was changed and undone: lists, differences as text, proof that it is all still there."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path

import msgspec

from snapshots import differences_text, drift_accepted, drift_carried, intact, put_kept, sums
from snapshots.captured import is_metadata_only, only_changes
from snapshots.decision import by_key, name_of
from snapshots.model import (
    UNFINISHED,
    Delta,
    DomainName,
    FileItem,
    SnapshotError,
    Told,
    TransactionRecord,
)
from snapshots.objects import ObjectStore
from snapshots.points import Points, decode_chunk, domain_of
from snapshots.prune import going, prune
from snapshots.records import LIST, ORIGINAL, Records
from snapshots.secret_paths import PREFIX
from snapshots.state import StateDir

MANY = 20
"""From here on files whose owner, mode or flags changed alike are shown as one."""


class ShownDelta(msgspec.Struct, frozen=True):
    """One thing that changed; `diff` is a unified diff or "key: before -> after"."""

    domain: DomainName
    key: str
    diff: str


class Since(msgspec.Struct, frozen=True):
    """What a transaction answers for otherwise, since earlier ones were undone.

    `undone` are the steps (or titles) of those. `deltas` is what its own undo takes back now, as
    far as that is not what it did; of `let_go`, which it changed, it takes back nothing.
    """

    undone: tuple[str, ...]
    deltas: tuple[ShownDelta, ...]
    let_go: tuple[ShownDelta, ...]


class TransactionDetail(msgspec.Struct, frozen=True):
    """A transaction with everything it changed and what it set out to do."""

    record: TransactionRecord
    deltas: tuple[ShownDelta, ...]
    journal: tuple[str, ...]
    since: Since | None = None
    told: Told = "all"


def transactions(state: StateDir) -> list[TransactionRecord]:
    """Every transaction, oldest first."""
    return Records(state).all()


def open_for_step(state: StateDir, step_id: str) -> list[TransactionRecord]:
    """The transactions of a step that stand: committed and not undone, oldest first."""
    return [
        record
        for record in transactions(state)
        if record.kind == "apply" and record.status == "committed" and step_id in record.steps
    ]


def show(state: StateDir, tx_id: str) -> TransactionDetail:
    """What really changed.

    Raises `SnapshotError` where there is no such transaction, or what it did is missing.
    """
    records = Records(state)
    record = records.read(tx_id)
    store = ObjectStore(state.objects)
    answers_for = records.deltas(tx_id)
    undos = [
        one
        for one in records.all()
        if tx_id in one.rebased and one.status in ("pending", "committed")
    ]
    did = _original(records, tx_id, is_needed=bool(answers_for and undos))
    return TransactionDetail(
        record=record,
        deltas=tuple(_shown(only_changes(answers_for if did is None else did), store)),
        journal=tuple(f"{line.time} {line.summary}" for line in records.journal_of(tx_id)),
        since=_since(undos, did, answers_for, store)
        if did is not None and record.in_force
        else None,
        told=_told(state, records, record),
    )


def _told(state: StateDir, records: Records, record: TransactionRecord) -> Told:
    path = records.where(record.id) / LIST
    if path.exists():
        return "all"
    if record.status in UNFINISHED and record.status != "pending":
        return "not-yet"
    if intact.is_pruned(state.points, record):
        return "pruned"
    if record.status == "rolled-back":
        return "taken-back"
    raise _missing(record.id, path)


def _missing(tx_id: str, path: Path) -> SnapshotError:
    return SnapshotError(
        f"What {tx_id} did cannot be shown: {path} is missing. Put it back from a backup of the "
        "state directory. `harden-tui history verify` shows what else is damaged."
    )


def _original(records: Records, tx_id: str, *, is_needed: bool) -> list[Delta] | None:
    """As `Records.original`; raises `SnapshotError` where it `is_needed` and missing."""
    path = records.where(tx_id) / ORIGINAL
    if is_needed and not path.exists():
        raise _missing(tx_id, path)
    return records.original(tx_id)


def _since(
    undos: list[TransactionRecord],
    did: list[Delta],
    answers_for: list[Delta],
    store: ObjectStore,
) -> Since | None:
    """`None` where it answers for what it did."""
    before, now = by_key(only_changes(did)), by_key(only_changes(answers_for))
    other = [delta for key, delta in now.items() if before.get(key) != delta]
    let_go = [delta for key, delta in before.items() if key not in now]
    if not other and not let_go:
        return None
    names = (name_of(undo) for undo in undos)
    return Since(
        undone=tuple(dict.fromkeys(names)),
        deltas=tuple(_shown(other, store)),
        let_go=tuple(ShownDelta(delta.domain, delta.key, "") for delta in let_go),
    )


def _shown(shown: Iterable[Delta], store: ObjectStore) -> Iterator[ShownDelta]:
    deltas = list(shown)
    alike: dict[str, list[Delta]] = {}
    for delta in deltas:
        if delta.domain == "files" and is_metadata_only(delta.after):
            change = differences_text.metadata_change(delta.before, delta.after)
            alike.setdefault(change, []).append(delta)
    grouped = {change: group for change, group in alike.items() if len(group) >= MANY}
    for change, group in grouped.items():
        above = os.path.commonpath([delta.key for delta in group])
        yield ShownDelta("files", above, f"{len(group)} files below {above}: {change}")
    read = partial(_read, store)
    for delta in deltas:
        if delta.domain == "files" and is_metadata_only(delta.after):
            change = differences_text.metadata_change(delta.before, delta.after)
            if change in grouped:
                continue
        yield ShownDelta(delta.domain, delta.key, differences_text.of_delta(delta, read))


def _read(store: ObjectStore, sha256: str) -> bytes:
    try:
        return store.get(sha256)
    except SnapshotError:
        return b"(the content is missing or was altered)\n"


def verify(state: StateDir) -> list[str]:
    """What is damaged, a sentence each; empty where all is whole."""
    problems: list[str] = []
    store = ObjectStore(state.objects)
    sound = set()
    for sha256 in store.all():
        path = store.where(sha256)
        try:
            if sums.file_hash(path) == sha256:
                sound.add(sha256)
            else:
                problems.append(f"{path} was altered on the disk.")
        except OSError as error:
            problems.append(f"{path} cannot be read ({error.strerror}).")
    points = Points(state.points, store)
    checked: dict[str, set[str]] = {}
    for point_id in points.ids():
        problems += _verify_point(points, store, point_id, sound, checked)
    problems += _verify_transactions(Records(state), points, sound)
    problems += _verify_accepted(state, sound)
    problems += intact.problems(state)
    return list(dict.fromkeys(problems))


def _verify_accepted(state: StateDir, sound: set[str]) -> Iterator[str]:
    for path, read in (
        (state.accepted, drift_accepted.read),
        (state.carried, drift_carried.read),
    ):
        try:
            things = read(state)
        except (SnapshotError, OSError) as error:
            yield str(error)
            continue
        for one in things:
            for sha256 in contents_of(one.item):
                if sha256 not in sound:
                    yield f"{path} names the content {sha256} of {one.key}, which is missing."


def _verify_point(
    points: Points,
    store: ObjectStore,
    point_id: str,
    sound: set[str],
    checked: dict[str, set[str]],
) -> Iterator[str]:
    """`checked` remembers what each list names: most are shared between restore points."""
    try:
        manifest = points.manifest(point_id)
    except SnapshotError as error:
        yield str(error)
        return
    for name, sha256 in manifest.chunks.items():
        if sha256 not in sound:
            yield f"The restore point {point_id} lacks its list {name!r} ({sha256})."
            continue
        if sha256 not in checked:
            try:
                items = decode_chunk(domain_of(name), store.get(sha256)).values()
            except SnapshotError as error:  # a disk that failed just now
                yield str(error)
                continue
            checked[sha256] = {sha for item in items for sha in contents_of(item)} - sound
        for missing in sorted(checked[sha256]):
            yield f"The restore point {point_id} lacks the content {missing} ({name})."


def _verify_transactions(records: Records, points: Points, sound: set[str]) -> Iterator[str]:
    known = set(points.ids())
    for tx_id in records.ids():
        if not records.has_record(tx_id):
            continue  # it never began
        try:
            record = records.read(tx_id)
            deltas = [*records.deltas(tx_id), *(records.original(tx_id) or ())]
            put_there = put_kept.everything(records, tx_id)
        except (SnapshotError, OSError) as error:
            yield str(error)
            continue
        standing = record.status in ("open", "pending", "under-way") or record.in_force
        if standing and f"{tx_id}.before" not in known:
            yield f"The transaction {tx_id} has lost its restore point {tx_id}.before."
        if (
            standing
            and record.status not in ("open", "under-way")
            and f"{tx_id}.after" not in known
        ):
            yield f"The transaction {tx_id} has lost its restore point {tx_id}.after."
        sides = ((one.key, side) for one in deltas for side in (one.before, one.after))
        for key, side in chain(sides, put_there.items()):
            for sha256 in contents_of(side):
                if sha256 not in sound:
                    yield f"The transaction {tx_id} lacks the content {sha256} of {key}."


def contents_of(item: object) -> tuple[str, ...]:
    """The objects an item needs: none or one."""
    if not isinstance(item, FileItem):
        return ()
    sha256 = item.state.sha256
    return () if not sha256 or sha256.startswith(PREFIX) else (sha256,)


__all__ = [
    "ShownDelta",
    "TransactionDetail",
    "contents_of",
    "going",
    "open_for_step",
    "prune",
    "show",
    "transactions",
    "verify",
]
