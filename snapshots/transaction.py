"""Transactions: a way back on disk first, then changes, and at the end all of them or none."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import chain

import msgspec

from host.base import FileState, Host, HostError
from snapshots import leaving, leftovers, made_directories, others, put_kept, strangers
from snapshots.activation import activate, validate
from snapshots.capture import Keeper
from snapshots.captured import Captured, each_difference
from snapshots.converge import SYSTEM_TREES
from snapshots.execute import describe, execute, may_bring_packages, path_of
from snapshots.going_back import GoingBack, goal_before, stuck
from snapshots.guard_switch import Switch
from snapshots.journal import left_as
from snapshots.lost_parts import Lost
from snapshots.model import (
    Change,
    Delta,
    Item,
    MakeLink,
    RemoveFile,
    RunCommand,
    SnapshotError,
    TransactionRecord,
    TransactionStatus,
    WriteFile,
    secret_path,
)
from snapshots.ours import Ours
from snapshots.points import point_after
from snapshots.programs import may_write, place_of, reach_of, units_of
from snapshots.progress import Progress
from snapshots.reached import of_change
from snapshots.records import STRANGE, Records, now_text
from snapshots.settle import finish_settling, forget_secrets, register_secrets
from snapshots.strangers import left_to_them
from snapshots.unit_links import UNITS, of_systemctl


class Transaction:
    """An open transaction. End it with `commit` or `roll_back`; both let go of the lock."""

    def __init__(
        self,
        keeper: Keeper,
        records: Records,
        record: TransactionRecord,
        before: Captured,
        progress: Progress,
        held: ExitStack,
        switch: Switch | None = None,
    ) -> None:
        self.record = record
        self.lost = Lost()
        """What of the state before is not known any more, and is left as it is."""
        self.is_recovered = False
        """It was cut off, or waited, and is taken back at some later time."""
        self.is_unclear = False
        """It was cut off while a program of ours may have changed anything."""
        self._held = held
        self._switch = switch
        self._keeper = keeper
        self._records = records
        self._before = before
        self._progress = progress
        self.ours = Ours(keeper, records, record)

    @property
    def id(self) -> str:
        return self.record.id

    def perform(self, change: Change) -> None:
        """Make one change; its intent is on the disk before. Raises `HostError`."""
        secret = bool(secret_path(change))
        path = path_of(change)
        if self._switch is not None:
            self._switch.alive()
        if path:
            register_secrets(self._keeper, self._before, (path,) if secret else ())
            self._keep_secret_content(path)
            made = made_directories.missing(self._keeper.host, path, self.record.roots)
            if made:
                made_directories.note(self._records, self.id, made)
        reach = reach_of(change)
        self._records.journal(
            self.id, "change", describe(change), path=path, secret=secret, reach=reach,
            sha256=self._left_by(change), kind=_kind_of(change), place=place_of(change),
        )  # fmt: skip
        host = self._keeper.host
        there = leftovers.survey(host) if may_bring_packages(change) else None
        if there is not None:
            self._records.keep_names(self.id, there)
        at_work = self.ours.at_work
        at_work.may_be_all |= there is not None
        at_work.reaches(of_change(reach, describe(change)))
        at_work.take((), units_of(change))
        may = _may_write(host, change)
        try:
            with contextlib.nullcontext() if path else self.ours.noted(may):
                execute(host, change, self.id, self._keeper.debs, self._progress)
            if path:
                self.ours.remember((path,))
        finally:
            if there is not None:
                with contextlib.suppress(OSError):  # at the end it is asked for once more
                    host.sync(SYSTEM_TREES)
                self._note_strangers()
                self._note_what_came(there)

    def _note_strangers(self) -> None:
        """Packages that other tools changed meanwhile are known to whoever goes back, too."""
        new = self._keeper.host.strange_packages - self._records.strange_packages(self.id)
        for name in sorted(new):
            what = f"{name} was changed by another package tool"
            self._records.journal(self.id, STRANGE, what, path=name)
        if new:
            self._progress.output(strangers.sentence(new))

    def _note_what_came(self, there: dict[str, FileState]) -> None:
        host = self._keeper.host
        came = leftovers.came(host, there, leftovers.survey(host))
        for path in strangers.without_theirs(host, came, host.strange_packages):
            self._records.journal(self.id, "came", f"{path} came with packages", path=path)
        put_kept.note_brought(
            self._records, self.id, leftovers.states(host, self._records.came(self.id))
        )
        self._records.forget_names(self.id)

    def validate(self) -> None:
        """Ask whether the merged configuration is sound. Raises `SnapshotError`."""
        self._records.journal(self.id, "validate", f"{len(self.record.validations)} validations")
        validate(self._keeper.host, self.record.validations, self._progress)

    def activate(self) -> None:
        """Make the daemons take it and see that they keep running. Raises `SnapshotError`."""
        self._records.journal(self.id, "activate", f"{len(self.record.activations)} activations")
        self.ours.at_work.take(self.record.activations)
        activate(self._keeper.host, self.record.activations, self._progress)
        if self._switch is not None:
            self._switch.took(time.monotonic())

    def commit(self, proved_since_s: float | None = None) -> TransactionRecord:
        """Keep the changes. Raises `HostError`; the transaction is open still, then roll back.

        What the proof saw of a tree, if it began after `proved_since_s` (`time.monotonic`), is
        what the transaction made of it; whatever others changed since is theirs.
        """
        after = self._keeper.capture_settled(
            self.record.roots, self._before, self._progress, proved_since_s
        )
        after, theirs = self.ours.with_what_others_changed(self._before, after)
        self._progress.doing("writing the restore point")
        came = leftovers.states(self._keeper.host, self._records.came(self.id))
        with contextlib.suppress(OSError):  # the list of differences has it too
            put_kept.note_brought(self._records, self.id, came)
        self.write_after(after, self._came_uncompared(came))
        said = filter(None, [self._of_strangers(), others.sentence(theirs)])
        self._end(self.kept_as, " ".join(said))
        self._held.close()
        return self.record

    @property
    def kept_as(self) -> TransactionStatus:
        """What it is once it is made and proved."""
        return "committed" if self._switch is None else "pending"

    def _came_uncompared(self, came: Mapping[str, Item]) -> Iterator[Delta]:
        """What came with packages where no difference tells that it did."""
        loose = {root.path.rstrip("/") for root in self.record.roots if not root.content}
        compared = [root for root in self.record.roots if root.content]
        for path in leftovers.outside(sorted(came), compared):
            if path not in loose:  # that one itself is compared
                yield Delta("files", path, None, came[path])

    def write_after(self, after: Captured, outside: Iterable[Delta] = ()) -> None:
        """Make what became of the host durable. Raises `SnapshotError` where there is no room.

        `outside`: what came or went with packages outside of what was captured.
        """
        try:
            self._keeper.write(point_after(self.id), self.record.roots, after)
            self._records.write_deltas(self.id, chain(self._differences(after), outside))
        except OSError as error:
            shutil.rmtree(self._keeper.points.path / point_after(self.id), ignore_errors=True)
            raise SnapshotError(
                f"What was changed could not be written to {self._keeper.state.path}: "
                f"{error.strerror}."
            ) from None

    def _differences(self, after: Captured) -> Iterator[Delta]:
        """What the transaction changed, if the host is `after` now."""
        goal = goal_before(self._records, self.record, self._before)
        before = left_to_them(self._keeper.host, goal.captured, after, goal.named)
        return each_difference(before, after, named=goal.named, loose=goal.loose)

    def _of_strangers(self) -> str:
        return strangers.sentence(self._keeper.host.strange_packages)

    def complete(self, work: Callable[[], TransactionRecord]) -> TransactionRecord:
        """What `work` ends with; where it fails, the end of going back.

        What is no failure of the host is raised, after going back.
        """
        try:
            return work()
        except (HostError, OSError) as error:
            return self.roll_back(str(error))
        except BaseException:
            self.roll_back("the program itself failed")
            raise

    def roll_back(self, reason: str) -> TransactionRecord:
        """Put back everything that differs from before the transaction.

        Does not raise for what goes wrong on the host: the record says `needs-person` then, with
        a sentence in `reason`. What somebody else changed meanwhile stays.
        """
        self.ours.at_work.restarts |= not self.is_recovered  # what stopped may be of it
        back: GoingBack | None = None
        status: TransactionStatus
        try:
            back = GoingBack(
                self._keeper, self._records, self.record, self._before, self.ours, self.lost,
                self._progress, unclear=self.is_unclear, is_recovered=self.is_recovered,
            )  # fmt: skip
        except (HostError, OSError) as error:  # its own journal cannot be read, for example
            status, why = stuck(self._keeper, self.record, reason, error)
        self._keeper.state.release()
        self._keeper.store.forget()
        self._keeper.files.keeping = False
        with self._held:
            with contextlib.suppress(OSError):  # a full disk shall not keep us from going back
                self._records.journal(self.id, "back", "going back to the state before")
            status, reason = back.go(reason) if back is not None else (status, why)
            try:
                self._end(status, reason)
            except OSError as error:
                return msgspec.structs.replace(
                    self.record,
                    status="needs-person",
                    reason=f"{reason} How it ended could not be written to "
                    f"{self._keeper.state.path}: {error.strerror}. Make room there, then run "
                    "`harden-tui recover`.",
                )
        if self._switch is not None and self.record.status == "rolled-back":
            self._switch.leave(self.id)
        return self.record

    def finish(self, reason: str = "", rebased: tuple[str, ...] = ()) -> TransactionRecord:
        """Say that an undo counts, and complete it; `rebased` have new lists of differences."""
        self.record = msgspec.structs.replace(self.record, rebased=rebased)
        if self._switch is not None:
            self._switch.took(time.monotonic())
        self._end(self.kept_as, " ".join(filter(None, [reason, self._of_strangers()])))
        self._held.close()
        return self.record

    def _journaled(self) -> int:
        """What cannot be read back now is no reason to end otherwise."""
        try:
            return self._records.journaled(self.id)
        except OSError:
            return 0

    def _end(self, status: TransactionStatus, reason: str = "") -> None:
        if status != "needs-person":
            self._sync()
        ended = msgspec.structs.replace(
            self.record, status=status, ended=now_text(), reason=reason, journaled=self._journaled()
        )
        self._keeper.state.release()
        self._records.end(ended)
        self.record = ended
        if status in ("committed", "rolled-back"):
            with contextlib.suppress(OSError):
                self._records.forget_tables(self.id)
        if status == "committed":
            put_kept.let_go(self._records, self.id)
        if status == "rolled-back" or ended.kind == "rollback":
            # It counts from here on. A disk that failed once is asked once more; what cannot be
            # completed even so is at the next start.
            for _ in range(2):
                with contextlib.suppress(OSError, SnapshotError):
                    finish_settling(self._keeper.state)
                    for sentence in leaving.finish(self._keeper.host, self._keeper.state):
                        self._progress.output(sentence)
                    forget_secrets(self._keeper.state)
                    break

    def _sync(self) -> None:
        """What programs wrote (apt its marks, ucf its table, chattr its flags) is on the disk
        before the record says that it is so. Files that we write ourselves are already.

        Raises `OSError`.
        """
        lines = [
            line
            for tx_id in (self.id, self.record.undoes)
            if tx_id
            for line in self._records.journal_of(tx_id)
        ]
        if any(line.what == "change" and not line.path for line in lines):
            roots = (root.path for root in self.record.roots)
            self._keeper.host.sync((*SYSTEM_TREES, *roots))

    def _keep_secret_content(self, path: str) -> None:
        if path not in self._keeper.secret_paths.paths:
            return
        there = self._keeper.host.state(path)
        if there is not None and there.kind == "file":
            self._keeper.secret_paths.keep_content(self._keeper.host, path)

    def _left_by(self, change: Change) -> str:
        """What stands then at the path that it names, as `left_as` has it; "" where it decides."""
        match change:
            case WriteFile():
                sha256 = hashlib.sha256(change.content).hexdigest()
                secret = change.path in self._keeper.secret_paths.paths
                return self._keeper.secret_paths.hashed(sha256) if secret else sha256
            case MakeLink():
                return f"-> {change.target}"
            case RemoveFile():
                return left_as(None)
        return ""


def _kind_of(change: Change) -> str:
    return str(type(change).__struct_config__.tag)


def _may_write(host: Host, change: Change) -> Callable[[str], bool]:
    """Which files its program may write, as far as `host` knows of its units."""
    if isinstance(change, RunCommand) and change.argv[0].rpartition("/")[2] == "systemctl":
        links = ((path, state.target) for path, state in host.walk(UNITS, content=False))
        return of_systemctl(host, change.argv, links) or may_write(change)
    return may_write(change)
