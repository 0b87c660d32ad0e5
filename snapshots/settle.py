"""What is written beside a transaction's own end, so that a crash in between is finished later.

An undo changes more than its own record: the one it undoes becomes `undone`, and later ones that
stand get new differences, as if it had never been; what they did keeps a name of its own, for a
person who looks. All of that is laid down beside the undo first;
its record turning `committed` is the moment it counts; moving it into place can be repeated.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from snapshots import delta_list
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.durable import sync_directory, sync_files
from snapshots.model import (
    UNFINISHED,
    Delta,
    FileItem,
    Item,
    SnapshotError,
    TransactionRecord,
)
from snapshots.records import LIST, Records
from snapshots.secret_paths import PREFIX, SecretPaths
from snapshots.state import StateDir

FOLDER = "settle"

REVOCABLE = "unsettle"
"""What later transactions said before an undo that still waits for its confirmation."""


def prepare(
    records: Records,
    undo_id: str,
    rebased: Mapping[str, Iterable[Delta]],
    *,
    revocable: bool = False,
) -> None:
    """Lay down the new differences of later transactions; durable on return.

    `revocable`: the undo may be taken back when it counts already.
    """
    for tx_id in rebased:
        records.keep_original(tx_id)
    if revocable:
        back = records.where(undo_id) / REVOCABLE
        back.mkdir(mode=0o700)
        for tx_id in rebased:
            os.link(records.where(tx_id) / LIST, back / f"{tx_id}.jsonl")
        sync_directory(back)
    folder = records.where(undo_id) / FOLDER
    draft = records.where(undo_id) / f".{FOLDER}"
    try:
        _lay_down(draft, rebased)
        os.rename(draft, folder)
        sync_directory(records.where(undo_id))
    except BaseException:  # the undo is taken back, and nobody may be there to sweep after it
        for left in (draft, folder):
            shutil.rmtree(left, ignore_errors=True)
        raise


def _lay_down(draft: Path, rebased: Mapping[str, Iterable[Delta]]) -> None:
    draft.mkdir(mode=0o700)
    written = []
    for tx_id, deltas in rebased.items():
        path = draft / f"{tx_id}.jsonl"
        with path.open("wb") as stream:
            stream.writelines(delta_list.encoded(deltas))
        path.chmod(0o600)
        written.append(path)
    sync_files(written)
    sync_directory(draft)


def finish_settling(state: StateDir) -> None:
    """Complete every undo that counts and drop what belongs to one that does not.

    Call it with the lock held; it may be called at any time. Raises `SnapshotError` where a record
    is damaged or the disk fails; the next call goes on from there.
    """
    records = Records(state)
    for tx_id in records.ids():
        try:
            _settle(state, records, tx_id)
        except OSError as error:
            raise SnapshotError(
                f"An undo could not be brought to its end: {error.filename or records.where(tx_id)}"
                f" ({error.strerror}); nothing else was changed. Mend that: with the next change, "
                "or with `harden-tui recover`, it goes on."
            ) from None


def _settle(state: StateDir, records: Records, tx_id: str) -> None:
    folder = records.where(tx_id) / FOLDER
    if folder.is_dir():
        record = records.read(tx_id)
        if record.status in ("committed", "pending"):
            _finish(records, record, folder)
            forget_secrets(state)
        elif record.status != "open":
            shutil.rmtree(folder)
    back = records.where(tx_id) / REVOCABLE
    if back.is_dir():
        record = records.read(tx_id)
        if record.status == "rolled-back":
            _revoke(records, record, back)
        elif record.status == "committed":
            shutil.rmtree(back)


def _finish(records: Records, record: TransactionRecord, folder: Path) -> None:
    _move_into_place(records, folder)
    if records.where(record.undoes).is_dir():
        undone = records.read(record.undoes)
        records.write(msgspec.structs.replace(undone, status="undone", undone_by=record.id))
    folder.rmdir()
    sync_directory(folder.parent)


def _revoke(records: Records, record: TransactionRecord, back: Path) -> None:
    """As if the undo had never been: the one it undid stands again, later ones are as they were."""
    if records.where(record.undoes).is_dir():
        undone = records.read(record.undoes)
        if undone.undone_by == record.id:
            records.write(msgspec.structs.replace(undone, status="committed", undone_by=""))
    _move_into_place(records, back)
    back.rmdir()
    sync_directory(back.parent)


def _move_into_place(records: Records, folder: Path) -> None:
    """Each list in place of its transaction's; may be repeated after a crash in between.

    A person may have moved the folder of one with a damaged record away, as its message says.
    """
    for path in sorted(folder.glob("*.jsonl")):
        target = records.where(path.stem) / LIST
        # Two names of one file: it went back before it counted. A rename does nothing then.
        if not target.parent.is_dir() or (target.exists() and target.samefile(path)):
            path.unlink()
        else:
            os.replace(path, target)
            sync_directory(target.parent)


def laid_down(records: Records, tx_id: str) -> Iterator[Delta]:
    """All that lies beside an undo for later transactions, as they will be or as they were.

    Raises `OSError`, and `SnapshotError` where it is damaged.
    """
    for name in (FOLDER, REVOCABLE):
        for path in sorted((records.where(tx_id) / name).glob("*.jsonl")):
            yield from records.read_list(path, {})


def may_come_back(records: Records, record: TransactionRecord) -> str:
    """Which transaction stands again if this undo goes back yet; "" where it cannot."""
    can = record.status in UNFINISHED or (records.where(record.id) / REVOCABLE).exists()
    return record.undoes if can else ""


def register_secrets(keeper: Keeper, before: Captured, paths: Iterable[str]) -> None:
    """From now on these files are secret, also in what was captured of them before."""
    new = set(paths) - keeper.secret_paths.paths
    if new:
        keeper.secret_paths.register(new)
        keyed(keeper, before["files"], new)


def keyed(keeper: Keeper, files: dict[str, Item], paths: Iterable[str]) -> None:
    """Compare these by keyed hash: what a capture before their registration holds by SHA-256."""
    for path in paths:
        item = files.get(path)
        if item is not None:
            files[path] = keyed_item(keeper, item)


def keyed_item(keeper: Keeper, item: Item) -> Item:
    """The item with its hash keyed; its content, kept already, is kept under that name too."""
    if not isinstance(item, FileItem) or not item.state.sha256:
        return item
    sha256 = item.state.sha256
    if sha256.startswith(PREFIX):
        return item
    hashed = keeper.secret_paths.hashed(sha256)
    keeper.secret_paths.keep_known(hashed, keeper.store.get(sha256))
    return FileItem(msgspec.structs.replace(item.state, sha256=hashed))


def forget_secrets(state: StateDir) -> None:
    """Only what a standing transaction wrote as secret stays secret."""
    records = Records(state)
    secret_paths = SecretPaths(state)
    if not secret_paths.paths:
        return
    standing: set[str] = set()
    for record in records.all():
        if record.status in ("open", "pending", "needs-person", "under-way"):
            if records.doubt(record):
                return  # an altered line may have named one
            standing |= {line.path for line in records.journal_of(record.id) if line.secret}
            if record.status == "needs-person" or record.kind == "rollback":
                standing |= secret_paths.paths
        elif record.status == "committed" and record.kind in ("apply", "window"):
            try:
                deltas = records.deltas(record.id)
            except SnapshotError:
                return  # it cannot be told which are secret still, so all of them are
            standing |= {
                delta.key
                for delta in deltas
                for side in (delta.before, delta.after)
                if isinstance(side, FileItem) and side.state.sha256.startswith(PREFIX)
            }
    secret_paths.keep_only(standing)
