"""What somebody edited after a change that `recover` takes back: it would be written over."""

from __future__ import annotations

from collections.abc import Mapping

from host.base import Host
from snapshots import leftovers
from snapshots.capture import Keeper
from snapshots.captured import VOLATILE_FILES
from snapshots.decision import ACCOUNT_FILES
from snapshots.journal import left_as
from snapshots.model import TransactionRecord
from snapshots.points import point_after, point_before
from snapshots.records import Records
from snapshots.settle import keyed
from snapshots.state import StateDir
from snapshots.unfinished import to_recover


def edited_since(host: Host, state: StateDir) -> list[str]:
    """Files that are neither as an unfinished change left them nor as they were before it, by path.

    Nothing is changed. As far as it is known what it left: a program that was killed may have
    written more. Lists of accounts are merged, so they are none of these. Raises `HostError`,
    `SnapshotError` and `OSError`.
    """
    keeper = Keeper(host, state)
    try:
        return _edited(host, keeper, Records(state))
    finally:
        keeper.store.forget()


def _edited(host: Host, keeper: Keeper, records: Records) -> list[str]:
    found: set[str] = set()
    for record in to_recover(records.all()):
        left = _left(keeper, records, record)
        if not left:
            continue
        before = keeper.points.load(point_before(record.id))["files"]
        keyed(keeper, before, keeper.secret_paths.paths)
        for path, told in left.items():
            if path in VOLATILE_FILES or path in ACCOUNT_FILES:
                continue
            now = left_as(keeper.files.item(host, path, keep=False))
            if now not in (told, left_as(before.get(path))):
                found.add(path)
    return sorted(found)


def _left(keeper: Keeper, records: Records, record: TransactionRecord) -> Mapping[str, str]:
    """What it left, by path, as `journal.left_as` has it."""
    if record.status != "pending":
        return records.left(record.id)
    after = keeper.points.load(point_after(record.id))["files"]
    keyed(keeper, after, keeper.secret_paths.paths)
    paths = [one.key for one in records.each_delta(record.id, {}) if one.domain == "files"]
    left = {path: left_as(after.get(path)) for path in paths}
    beyond = {*leftovers.outside(left, record.roots)}
    return {path: told for path, told in left.items() if told and path not in beyond}
