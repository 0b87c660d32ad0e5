"""What came with packages, outside of what is captured, and goes when their undo counts.

Nothing could bring it back, so nothing of it is removed before: the list is laid down beside the
undo, whose record turning `committed` is the moment it counts. Removing can be repeated.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from host.base import Host, HostError
from host.names import exact_json, read_exact_json
from snapshots import kept_files, leftovers, made_directories, put_kept, sums
from snapshots.durable import sync_directory, write_durably
from snapshots.model import TransactionRecord
from snapshots.records import Records
from snapshots.state import StateDir

NAME: Final = "leaving.json"


class _Leaving(msgspec.Struct, frozen=True):
    """`going` with all that is below, without `staying`."""

    going: list[str]
    staying: list[str]


def prepare(records: Records, undo_id: str, going: Iterable[str], staying: Iterable[str]) -> None:
    """Lay down what will go; durable on return. Raises `OSError`."""
    leaving = _Leaving(sorted(going), sorted(staying))
    if leaving.going:
        text = exact_json(leaving, indent=2) + b"\n"
        write_durably(records.where(undo_id) / NAME, sums.with_sum(text))


def finish(host: Host, state: StateDir) -> list[str]:
    """Remove what left with every undo that counts; a sentence for each thing that did not go.

    What would not is tried again the next time; what is mounted stays. Call it with the lock held;
    it may be called at any time.
    """
    records = Records(state)
    told = []
    for tx_id in records.ids():
        path = records.where(tx_id) / NAME
        data = records.where(tx_id) / put_kept.DATA
        if not path.exists() and not data.exists():
            continue
        record = records.read(tx_id)
        if record.status == "rolled-back":
            _forget(path)
        elif record.status == "committed":
            if path.exists():
                told += _finish(host, record, path)
            put_kept.let_go(records, tx_id, put_kept.DATA)
    made_directories.remove_empty(host, records)
    return told


def _finish(host: Host, record: TransactionRecord, path: Path) -> list[str]:
    try:
        leaving = read_exact_json(sums.without_sum(kept_files.read(path)), _Leaving)
    except (OSError, ValueError):
        return []  # what is left is no more than what a purge by hand leaves; `verify` names it
    # What is younger than the undo is somebody else's.
    until_ns = int(datetime.fromisoformat(record.ended).timestamp() * 1e9)
    try:
        told = leftovers.remove(host, leaving.going, leaving.staying, until_ns=until_ns)
    except HostError as error:
        return [str(error)]
    _forget(path)
    return told


def _forget(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
        sync_directory(path.parent)
