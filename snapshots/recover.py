"""After an interruption: back to the state before what was interrupted."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Sequence

import msgspec

from host.base import Host
from snapshots import drafts, lost_parts, set_aside
from snapshots import guard as guards
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.execute import wait_for_outlived
from snapshots.going_back import TOO
from snapshots.guard_switch import disarm, finish_confirmed
from snapshots.lost_parts import Lost
from snapshots.model import FileItem, SnapshotError, TransactionRecord
from snapshots.own_by_journal import Own, own_of
from snapshots.points import point_before
from snapshots.progress import Progress
from snapshots.records import Records, now_text
from snapshots.recover_packages import hold_packages, may_touch, settle_packages
from snapshots.settle import finish_settling, keyed
from snapshots.state import StateDir
from snapshots.sweep import sweep
from snapshots.transaction import Transaction
from snapshots.unfinished import to_recover
from snapshots.unit_links import UNITS, of_systemctl


def recover(host: Host, state: StateDir, progress: Progress) -> list[TransactionRecord]:
    """Roll back every interrupted transaction and undo; returns how each ended.

    What waits for a confirmation is taken back too, and its switch is off then; what was
    confirmed is kept. What could not be taken back `guard.sh` tries at once. Where it has done all
    that it can, the switch is off in any case: the record alone says what is left.

    One that could not be rolled back earlier (`needs-person`) is tried again, as long as nothing
    was applied after it. Raises `Busy` where the one at work is alive, `SnapshotError` without
    root or where a restore point cannot be read.
    """
    ended = []
    with state.lock("recover"):
        finish_settling(state)
        if host.is_root:
            guards.drop_damaged(state)
            finish_confirmed(host, state)
        records = Records(state)
        sweep(state)
        for record in reversed(to_recover(records.all())):
            if not host.is_root:
                raise SnapshotError("Recovering needs root; nothing was changed. Use sudo.")
            wait_for_outlived(host, record.id, progress)
            drafts.remove(host, records.named_paths(record.id) | records.put_back_paths(record.id))
            fired = bool(guards.why_fired(state))
            settle_packages(host, records, record, progress, fired=fired)
            keeper = Keeper(host, state)
            try:
                before, lost = _before(keeper, records, record, progress)
            except SnapshotError as error:
                ended.append(_as_it_is(records, record, f"{_why(state, record)} {TOO} {error}"))
                continue
            secret = {line.path for line in records.journal_of(record.id) if line.secret}
            if secret - keeper.secret_paths.paths:
                keeper.secret_paths.register(secret)
            keyed(keeper, before["files"], keeper.secret_paths.paths)
            held = hold_packages(keeper, records, record, before, progress, fired=fired)
            host.strange_packages.update(records.strange_packages(record.id))
            tx = Transaction(keeper, records, record, before, progress, held)
            tx.lost = lost
            tx.is_recovered = True
            ours = _own(records, record)
            tx.ours.at_work.may_be_all = tx.is_unclear = ours is None
            if ours is not None:
                tx.is_unclear = bool(ours.cut_off)
                tx.ours.at_work.may_have_written = _may_have_written(host, ours, before)
                tx.ours.at_work.reaches(ours.reach)
                tx.ours.at_work.written |= ours.written
                tx.ours.is_only(ours.named, tx.ours.at_work)
                tx.ours.at_work.take(record.activations, ours.units)
                tx.ours.at_work.restarts &= record.status != "pending"
            set_aside.bring_home(host, state, point_before(record.id))
            ended.append(tx.roll_back(_reason(state, record)))
            sweep(state)
        if host.is_root and _is_over(state, ended):
            disarm(host, state)
        elif host.is_root and guards.is_armed(state):
            # Who wants it back shall not wait until the deadline for what needs none of us.
            with contextlib.suppress(OSError):
                guards.set_deadline(state, 0)
    return ended


def _before(
    keeper: Keeper, records: Records, record: TransactionRecord, progress: Progress
) -> tuple[Captured, Lost]:
    """The host as it was, and what of that is not known any more and so stays as it is now.

    Raises `SnapshotError` where too much is lost to go back at all.
    """
    point = point_before(record.id)
    before, whys = keeper.points.load_what_is_whole(point)
    if not whys:
        return before, Lost()
    now = keeper.capture(record.roots, progress)
    with contextlib.suppress(OSError):
        keeper.points.mend(point, now)
        before, whys = keeper.points.load_what_is_whole(point)
    if not whys:
        return before, Lost()
    packages = may_touch(records, record)
    if packages and "packages" in whys:
        raise SnapshotError(
            f"{whys['packages']} It says which packages there were, so nothing was put back. "
            f"`sh {keeper.points.path / point}/restore.sh` puts the files back; /var/log/dpkg.log "
            "says which packages came since"
        )
    roots = keeper.points.manifest(point).roots
    lost_parts.leave_as_it_is(before, now, whys, roots)
    named = records.named_paths(record.id)
    return before, lost_parts.judged(whys, named, roots, packages=packages)


def _own(records: Records, record: TransactionRecord) -> Own | None:
    try:
        return None if records.doubt(record) else own_of(records, record)
    except (SnapshotError, OSError):  # its list is damaged: all that differs may be its own
        return None


def _may_have_written(host: Host, ours: Own, before: Captured) -> Callable[[str], bool]:
    """Which files the program may have written that was cut off."""
    argv: list[str] = []
    with contextlib.suppress(ValueError):  # no command
        argv = shlex.split(ours.cut_off)
    links = (
        (path, item.state.target)
        for path, item in before["files"].items()
        if path.startswith(f"{UNITS}/") and isinstance(item, FileItem)
    )
    return of_systemctl(host, argv, links) or ours.may_have_written


def _as_it_is(records: Records, record: TransactionRecord, reason: str) -> TransactionRecord:
    """Nothing of it can be taken back as long as its restore point is damaged."""
    journaled = 0
    with contextlib.suppress(OSError):  # its journal may be lost, too
        journaled = records.journaled(record.id)
    ended = msgspec.structs.replace(
        record, status="needs-person", ended=now_text(), reason=reason, journaled=journaled
    )
    records.end(ended)
    return ended


def _is_over(state: StateDir, ended: Sequence[TransactionRecord]) -> bool:
    """Whether the switch has nothing more to take back, after `ended` went back or could not."""
    guard = guards.read(state)
    left = [record.id for record in ended if record.status != "rolled-back"]
    if guard is None:
        return not left
    by_script = guards.was_put_back_by_script(state) and not guards.is_armed(state)
    return by_script or not set(left) & set(guard.transactions)


def _reason(state: StateDir, record: TransactionRecord) -> str:
    aside = set_aside.sentence(set_aside.places(state, (point_before(record.id),)))
    return f"{_why(state, record)} {aside}".rstrip()


_BARE = re.compile(
    r"It was interrupted \(process \d+ ended before it did\)\."
    r"|Nobody confirmed it before its deadline\."
    r"|The host was started anew before anybody confirmed it\."
    r"|It was taken back before anybody confirmed it\."
)


def says_more(reason: str) -> bool:
    """Whether the reason of what was taken back says more than why that was done."""
    return _BARE.fullmatch(reason) is None


def _why(state: StateDir, record: TransactionRecord) -> str:
    if record.status == "pending":
        why = {
            "deadline": "Nobody confirmed it before its deadline.",
            "boot": "The host was started anew before anybody confirmed it.",
        }.get(guards.why_fired(state), "It was taken back before anybody confirmed it.")
        return f"{why} While it was made: {record.reason}" if record.reason else why
    if record.status == "needs-person":
        return record.reason.partition(f" {TOO}")[0]
    return f"It was interrupted (process {record.pid} ended before it did)."
