"""dpkg and its lock before a transaction is taken back: waited for where packages are at stake.

An `apt upgrade` may stand at a question for as long as nobody answers it. What a change of files
alone locked out shall not wait for that.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime

from host.base import Host
from snapshots import leftovers, put_kept
from snapshots.capture import Keeper
from snapshots.captured import Captured, differences
from snapshots.domains.base import Scope
from snapshots.dpkg import LOCK_WAIT_S, OUTLIVED_WAIT_S, packages_held, settle_dpkg
from snapshots.model import Busy, TransactionRecord
from snapshots.progress import Progress
from snapshots.records import Records

FILES_WAIT_S = 10
"""So long another package tool is waited for where none of our packages hangs on it, and where the
deadline of a guarded change has passed: restore.sh puts the files back then."""

_TOOLS = frozenset({"apt-get", "apt", "dpkg", "install"})


def may_touch(records: Records, record: TransactionRecord) -> bool:
    """Whether it may have changed packages: by what it wrote down before each of its changes."""
    if record.kind != "apply" or records.doubt(record):
        return True
    changes = (line for line in records.journal_of(record.id) if line.what == "change")
    words = (line.summary.partition(" ")[0] for line in changes if not line.path)
    return any(word.rpartition("/")[2] in _TOOLS for word in words)


def settle_packages(
    host: Host, records: Records, record: TransactionRecord, progress: Progress, *, fired: bool
) -> None:
    """Let dpkg come to an end where we may have been cut off in it, and note what came with
    packages until then. Raises `Busy` where another package tool does not end."""
    before = records.kept_names(record.id)
    wait_s = FILES_WAIT_S if fired else OUTLIVED_WAIT_S
    if before is None:
        # What is pending was proved: whatever dpkg is at now is not of it.
        if record.status != "pending" and may_touch(records, record):
            settle_dpkg(host, progress, wait_s)
        return
    # All of it before dpkg goes on: that is its next word.
    found = leftovers.survey(host)
    until_ns = leftovers.cut_off_ns(host, datetime.fromisoformat(record.started).timestamp())
    came, younger = leftovers.came_before_the_crash(host, before, found, until_ns)
    for path in younger:
        records.journal(record.id, "stayed", f"{path} came with packages or by hand", path=path)
    settle_dpkg(host, progress, wait_s)
    came += leftovers.came(host, found, leftovers.survey(host))
    for path in came:
        records.journal(record.id, "came", f"{path} came with packages", path=path)
    there = leftovers.states(host, records.came(record.id)).keys()
    put_kept.note_brought(records, record.id, there - leftovers.states(host, younger).keys())
    records.forget_names(record.id)


def hold_packages(
    keeper: Keeper,
    records: Records,
    record: TransactionRecord,
    before: Captured,
    progress: Progress,
    *,
    fired: bool,
) -> ExitStack:
    """dpkg's lock, held until the stack is closed; nothing where another tool has it and our way
    back needs no package: what it changed is noted as a stranger's. Raises `Busy` where it does.
    """
    host, held = keeper.host, ExitStack()
    ours = may_touch(records, record)
    try:
        wait_s = FILES_WAIT_S if fired or not ours else LOCK_WAIT_S
        held.enter_context(packages_held(host, progress, wait_s))
    except Busy:
        now: Captured = {"packages": keeper.packages.capture(host, Scope())}
        moved = differences({"packages": before.get("packages", {})}, now)
        if ours and moved:
            raise
        host.strange_packages.clear()
        host.strange_packages.update(delta.key for delta in moved)
    return held
