"""Taking away what a harden-tui that was killed left in its own directories."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from host import scratch
from snapshots import twins
from snapshots.objects import ObjectStore
from snapshots.points import Points
from snapshots.records import Records
from snapshots.state import StateDir


def sweep(state: StateDir) -> None:
    """Remove what is half-written or never began; call it with the lock held.

    What an open transaction needs stays. What is kept twice and was damaged once is mended, where
    there is room for it. Raises `SnapshotError` where a record is damaged, and
    `OSError`.
    """
    records = Records(state)
    store = ObjectStore(state.objects)
    store.sweep()
    begun = {record.id: record for record in records.all()}
    for tx_id in records.ids():
        if tx_id not in begun and not records.has_begun(tx_id):
            shutil.rmtree(records.where(tx_id))
    known = set(records.ids())  # of those whose record was lost, too
    for point_id in Points(state.points, store).ids():
        if point_id.rpartition(".")[0] not in known:
            shutil.rmtree(state.points / point_id)
    for directory in (
        state.path, state.log_dir, state.points, state.secret_contents,
        *(records.where(tx_id) for tx_id in begun),
    ):  # fmt: skip
        for left in scratch.left_in(directory):
            _remove(left)
    if not any(record.status == "open" for record in begun.values()):
        state.release()
        for tx_id in begun:
            shutil.rmtree(records.where(tx_id) / ".settle", ignore_errors=True)
    for kept in (*state.kept_twice, *map(records.record_path, begun)):
        with contextlib.suppress(OSError):
            twins.mend(kept)
    for name in (".half.deb", ".repack", ".repack.tar", ".repack.tar.deb"):
        _remove(state.debs / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
