"""Letting go of old restore points, and of contents that nothing needs any more."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from host import scratch
from snapshots import drift_accepted, drift_baseline, drift_carried, put_kept
from snapshots.debs import sum_of
from snapshots.domains.packages import Package
from snapshots.mariadb_cells import secrets_of
from snapshots.model import (
    UNFINISHED,
    FileItem,
    Item,
    SnapshotError,
    TransactionRecord,
    ValueItem,
)
from snapshots.objects import ObjectStore
from snapshots.points import Points, decode_chunk, domain_of, point_before
from snapshots.records import LIST, ORIGINAL, Records
from snapshots.secret_paths import PREFIX
from snapshots.settle import laid_down, may_come_back
from snapshots.state import StateDir
from snapshots.sweep import sweep


def going(state: StateDir, keep_days: int) -> list[TransactionRecord]:
    """What a prune would take restore points or differences of now, oldest first; asks only.

    Raises `SnapshotError` where a prune would.
    """
    found = _look(state, keep_days)
    records = Records(state)
    points = {point_id.rpartition(".")[0] for point_id in found.gone}
    return [
        record
        for record in found.records
        if record.id in found.finished
        and (record.id in points or (records.where(record.id) / LIST).exists())
    ]


def prune(state: StateDir, keep_days: int) -> list[str]:
    """Remove what ended more than `keep_days` ago; returns the restore points that went.

    A transaction that can still be undone or recovered keeps everything it needs, however old.
    The records stay, so that history tells the whole story. Call it with the lock held. Raises
    `SnapshotError` where something is damaged; nothing is removed then.
    """
    found = _look(state, keep_days)
    records = Records(state)
    store = ObjectStore(state.objects)
    # Everything was read by now: what is damaged raised before anything was let go.
    if found.baseline is not None:
        drift_carried.write(state, found.baseline.last.id, found.baseline.expected)
    for point_id in found.gone:
        # Under a name that is no restore point's first: half of one must never be found.
        draft = state.points / f".{point_id}.{scratch.suffix()}"
        os.rename(state.points / point_id, draft)
        shutil.rmtree(draft)
    for tx_id in found.finished:
        for path in (
            records.where(tx_id) / name for name in (ORIGINAL, LIST, put_kept.NAME, put_kept.DATA)
        ):
            if path.exists():  # of most it went with an earlier pruning
                path.unlink()
    sweep(state)
    for sha256 in list(store.all()):
        if sha256 not in found.needed:
            store.remove(sha256)
    for kept in state.secret_contents.iterdir():
        if kept.name not in found.needed_secrets:
            kept.unlink()
    _prune_debs(state.debs, found.packages)
    return found.gone


class _Found(NamedTuple):
    """What goes (restore points, and transactions that are over), and what is needed by the rest:
    contents by their checksum, secret ones, and packages by name and version."""

    records: list[TransactionRecord]
    finished: set[str]
    gone: list[str]
    needed: set[str]
    needed_secrets: set[str]
    packages: set[tuple[str, str]]
    baseline: drift_baseline.Baseline | None


def _look(state: StateDir, keep_days: int) -> _Found:
    """Read everything that is kept; removes nothing. Raises `SnapshotError` for what is damaged."""
    records = Records(state)
    _require_records(records)
    store = ObjectStore(state.objects)
    points = Points(state.points, store)
    gone: list[str] = []
    kept_packages: set[tuple[str, str]] = set()
    needed_secrets: set[str] = set()
    needed: set[str] = set()
    all_records = records.all()
    finished = _finished(records, all_records, keep_days)
    accepted = drift_accepted.read(state)
    for one in accepted:
        _need(one.item, needed, needed_secrets)
    baseline = drift_baseline.find(
        points,
        store,
        all_records,
        drift_baseline.standing_of(records, all_records),
        accepted,
        drift_carried.read(state),
    )
    for expected in baseline.expected.values() if baseline is not None else ():
        _need(expected, needed, needed_secrets)
    known = {record.id for record in all_records}
    unfinished = {point_before(one.id) for one in all_records if one.status in UNFINISHED}
    for point_id in points.ids():
        tx_id = point_id.rpartition(".")[0]
        if tx_id in finished or tx_id not in known:  # without a record it never began
            gone.append(point_id)
            continue
        for name, sha256 in points.manifest(point_id).chunks.items():
            needed.add(sha256)
            items = decode_chunk(domain_of(name), store.get(sha256))
            for item in items.values():
                _need(item, needed, needed_secrets)
            if point_id in unfinished and domain_of(name) == "packages":
                # Whichever of them went, the way back brings it again; those that went are kept.
                kept_packages |= set(_versions(items))
    for record in all_records:
        own = records.deltas(record.id) if record.id not in finished else ()
        for delta in chain(own, laid_down(records, record.id)):
            for side in (delta.before, delta.after):
                _need(side, needed, needed_secrets)
                if side is not None and delta.domain == "packages":
                    kept_packages |= set(_versions({delta.key: side}))
        kept_there = put_kept.everything(records, record.id) if record.id not in finished else {}
        for item in kept_there.values():
            _need(item, needed, needed_secrets)
        # What it did is shown, never undone: that takes no secrets and no packages.
        for delta in (records.original(record.id) if record.id not in finished else None) or ():
            for side in (delta.before, delta.after):
                _need(side, needed, set())
    return _Found(all_records, finished, gone, needed, needed_secrets, kept_packages, baseline)


def _require_records(records: Records) -> None:
    """Raise `SnapshotError` where nobody knows any more whether a transaction is in force."""
    for tx_id in records.ids():
        if records.has_begun(tx_id) and not records.has_record(tx_id):
            raise SnapshotError(
                f"{records.record_path(tx_id)} and its copy are gone, so it is not known whether"
                " what that change needs may go; nothing was removed. Put one of them back from a"
                f" backup. If there is none, move {records.where(tx_id)} away: then the change"
                " stays as it is and cannot be undone."
            )


def _finished(records: Records, all_records: list[TransactionRecord], keep_days: int) -> set[str]:
    """The transactions that need nothing any more."""
    oldest = datetime.now(UTC) - timedelta(days=keep_days)
    finished = {record.id for record in all_records if _may_go(record, oldest)}
    # Nobody may confirm an undo that waits: then the one it undid is to be undone again.
    finished -= {may_come_back(records, record) for record in all_records}
    # What the last one left is what drift is looked for against.
    return finished - {record.id for record in drift_baseline.counted(all_records)[-1:]}


def _may_go(record: TransactionRecord, oldest: datetime) -> bool:
    if record.in_force or record.status in UNFINISHED:
        return False
    return datetime.fromisoformat(record.ended or record.started) < oldest


def _need(item: object, needed: set[str], needed_secrets: set[str]) -> None:
    if isinstance(item, FileItem) and item.state.sha256:
        sha256 = item.state.sha256
        if sha256.startswith(PREFIX):
            needed_secrets.add(sha256.removeprefix(PREFIX))
        else:
            needed.add(sha256)
    elif isinstance(item, ValueItem):
        needed_secrets.update(one.removeprefix(PREFIX) for one in secrets_of(item.value))


def _versions(items: Mapping[str, Item]) -> Iterator[tuple[str, str]]:
    """Name and version of each that is installed."""
    for key, item in items.items():
        package = Package.of(item)
        if package is not None:
            yield key.partition(":")[0], package.version


def _prune_debs(path: Path, kept: set[tuple[str, str]]) -> None:
    for deb in path.glob("*.deb"):
        name, version, _ = deb.stem.split("_", 2)
        if (name, version.replace("%3a", ":")) not in kept:
            deb.unlink()
            sum_of(deb).unlink(missing_ok=True)
