"""What is about to be written over, kept: somebody may have worked on it meanwhile."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping

from host.base import HostError
from host.names import visible
from snapshots.capture import Keeper
from snapshots.captured import Captured, differences, is_metadata_only, same
from snapshots.decision import ACCOUNT_FILES
from snapshots.journal import left_as
from snapshots.model import FileItem, Item, TransactionRecord
from snapshots.others import OfOthers, nobodys
from snapshots.own_dpkg import by_own_dpkg
from snapshots.progress import Progress
from snapshots.records import Records
from snapshots.secret_paths import PREFIX
from snapshots.strange_accounts import strange_lists

MEANWHILE = "by something else meanwhile"
"""Stands in the reason of a transaction for which others' work was written over."""

AS_FOUND = "As it was found everything is kept in"
"""Stands there where others' work may have been written over, and nobody can tell what of it."""


def keep_found(
    keeper: Keeper,
    record: TransactionRecord,
    progress: Progress,
    *,
    records: Records | None = None,
    before: Captured | None = None,
    of_others: OfOthers = nobodys,
) -> str:
    """Make the host as it is now a restore point; its name, or empty where that failed.

    With `records` and `before` how it differs, but for what is `of_others`, is what `history show`
    tells of the transaction. On a full disk it is not kept: the way back does not wait for that.
    """
    number = sum(point.startswith(f"{record.id}.found") for point in keeper.points.ids())
    point_id = f"{record.id}.found{number}"
    try:
        found = keeper.capture(record.roots, progress)
        keeper.write(point_id, record.roots, found)
        if records is not None and before is not None:
            loose = [root.path for root in record.roots if not root.content]
            named = records.named_paths(record.id)
            differing = differences(before, found, named=named, loose=loose)
            theirs = of_others(differing)
            mine = (one for one in differing if (one.domain, one.key) not in theirs)
            records.write_deltas(record.id, mine)
    except (HostError, OSError, ValueError) as error:
        keeper.store.forget()
        shutil.rmtree(keeper.points.path / point_id, ignore_errors=True)
        reason = error.strerror if isinstance(error, OSError) else str(error)
        progress.output(f"The state that was found could not be kept: {reason}")
        return ""
    return point_id


def moved_on(keeper: Keeper, seen: Mapping[str, Item], paths: Iterable[str]) -> bool:
    """Whether one of these files is not what was seen of it a moment ago."""
    for path in paths:
        item = seen.get(path)
        if is_metadata_only(item):
            continue
        now = keeper.host.state(path, content=True)
        known = item.state if isinstance(item, FileItem) else None
        if now is None or known is None:
            if now is not known:
                return True
            continue
        hashed = known.sha256.startswith(PREFIX)
        there = keeper.secret_paths.hashed(now.sha256) if hashed else now.sha256
        if (now.kind, now.target, there) != (known.kind, known.target, known.sha256):
            return True
    return False


def keep_strangers(
    keeper: Keeper,
    record: TransactionRecord,
    first: Captured,
    told: list[str],
    progress: Progress,
    wanted: Mapping[str, Item | None],
    now: Mapping[str, Item],
    *,
    over: set[str] | None = None,
) -> None:
    """Keep what is written over and was in no preview: somebody wrote it while this was undone.

    `first` is the host as the preview saw it; a sentence about it goes to `told`, and its path to
    `over`. What our own dpkg wrote is nobody else's, and lists of accounts go back with what was
    changed in them: only system accounts go where packages come or go.
    """
    strange = [
        path for path in _strangers(wanted, now, first["files"]) if path not in ACCOUNT_FILES
    ]
    if strange:
        ours = by_own_dpkg(keeper, record.started, first, now, wanted)
        strange = [path for path in strange if path not in ours]
    strange += strange_lists(keeper, first["files"], now, wanted)
    if over is not None:
        over.update(strange)
    is_there = any(path in now for path in strange)
    point_id = keep_found(keeper, record, progress) if is_there else ""
    told += _sentences(keeper, strange, now, point_id)


def written_over(
    keeper: Keeper,
    point_id: str,
    now: Mapping[str, Item],
    after: Mapping[str, Item],
    before: Mapping[str, Item],
    named: Iterable[str],
    loose: Iterable[str],
    *,
    but: Collection[str] = (),
) -> list[str]:
    """Sentences about the files that are neither as a change left them nor as they were before it.

    Not about those of `but`. `now` is the host as it was found, before it is brought back to
    `before`; `point_id` holds that, if it could be kept.
    """
    moved = differences({"files": dict(after)}, {"files": dict(now)}, named=named, loose=loose)
    strange = [
        delta.key
        for delta in moved
        if delta.key not in but
        and not _is_copy(delta.key)
        and not same(delta.after, before.get(delta.key))
    ]
    return _sentences(keeper, strange, now, point_id)


def found_since(
    keeper: Keeper,
    point_id: str,
    left: Mapping[str, str],
    now: Mapping[str, Item],
    before: Mapping[str, Item],
) -> list[str]:
    """Sentences about the files that are neither as a change `left` them, by path as
    `journal.left_as` has it, nor as they were before it; `now` is what was found, and `point_id`
    holds that, if it could be kept."""
    strange = []
    for path, told in left.items():
        item = now.get(path)
        if _is_copy(path):
            continue
        if left_as(item) != told and not same(item, before.get(path)):
            strange.append(path)
    return _sentences(keeper, strange, now, point_id)


def _sentences(
    keeper: Keeper, strange: list[str], now: Mapping[str, Item], point_id: str
) -> list[str]:
    """What became of these, which are written over; `point_id` holds them, if it could be kept."""
    told = []
    there = [path for path in strange if path in now]
    if there:
        told.append(
            f"{_named(there, now)} changed {MEANWHILE}; "
            + (
                f"as it was found it is kept in {keeper.points.path / point_id}."
                if point_id
                else "it could not be kept."
            )
        )
    gone = [path for path in strange if path not in now]
    if gone:
        told.append(f"{_named(gone, now)} removed {MEANWHILE}, and put back.")
    return told


def _is_copy(path: str) -> bool:
    """Whether it is what a list of accounts was before its last change."""
    return path in ACCOUNT_FILES and path.endswith("-")


def _strangers(
    wanted: Iterable[str], now: Mapping[str, Item], first: Mapping[str, Item]
) -> list[str]:
    """Those of `wanted` that became otherwise since `first`: no preview saw them like this."""
    return [path for path in wanted if not same(now.get(path), first.get(path))]


def _named(paths: list[str], now: Mapping[str, Item]) -> str:
    """ "/etc/a (a symbolic link to /srv/a) and 2 more were"."""
    item = now.get(paths[0])
    link = isinstance(item, FileItem) and item.state.kind == "symlink" and item.state.target
    what = f" (a symbolic link to {visible(link)})" if link else ""
    more = f" and {len(paths) - 1} more were" if len(paths) > 1 else " was"
    return f"{visible(paths[0])}{what}{more}"
