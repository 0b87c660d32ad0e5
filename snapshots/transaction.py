"""Transactions: a way back on disk first, then changes, and at the end all of them or none."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import chain

import msgspec

from host.base import FileState, HostError
from snapshots import (
    account_lists,
    dpkg_end,
    leaving,
    leftovers,
    others,
    scraps,
    stale_marks,
    strangers,
    ucf,
)
from snapshots.activation import activate, validate
from snapshots.bringing_back import bring_back
from snapshots.capture import Keeper
from snapshots.captured import VOLATILE_FILES, Captured, each_difference, same
from snapshots.converge import (
    SYSTEM_TREES,
    Goal,
)
from snapshots.daemons import pulled
from snapshots.domains.units import MASK
from snapshots.execute import describe, execute, may_bring_packages, path_of
from snapshots.found import found_since, keep_found, written_over
from snapshots.guard_switch import Switch
from snapshots.journal import name_of
from snapshots.lost_parts import Lost
from snapshots.model import (
    Change,
    Delta,
    FileItem,
    Item,
    Key,
    SnapshotError,
    TransactionRecord,
    TransactionStatus,
    WriteFile,
    secret_path,
)
from snapshots.others import AtWork, Others
from snapshots.programs import may_write, reach_of, units_of
from snapshots.progress import Progress
from snapshots.records import STRANGE, Records, now_text
from snapshots.recover_packages import may_touch
from snapshots.settle import finish_settling, forget_secrets, keyed, register_secrets
from snapshots.strangers import left_to_them

TOO = "Going back failed too:"
"""Stands in a reason before why it could not be taken back."""


def point_before(tx_id: str) -> str:
    """The restore point from before a transaction."""
    return f"{tx_id}.before"


def point_after(tx_id: str) -> str:
    return f"{tx_id}.after"


def _sentence(words: str) -> str:
    return words if words.endswith(".") else f"{words}."


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
        self._own: frozenset[Key] = frozenset()
        self._left: dict[str, FileItem | None] = {}
        """What changes and programs of ours left where it can be told whose a file is, by path."""
        self.at_work = AtWork(record.roots, partial(pulled, keeper.host))
        self.at_work.may_be_all = record.kind != "apply"  # what else an undo changes it decides

    @property
    def id(self) -> str:
        return self.record.id

    def is_only(self, own: Iterable[Key], at_work: AtWork) -> None:
        """Besides the files that its journal names it changes these, and what is `at_work` may."""
        self._own = frozenset(own)
        self.at_work = at_work

    def tell(self, what: str) -> None:
        """Have the journal say what of all that it changes, if it names all of it."""
        mine = sorted(key for key in self._own if key[0] != "files" or self.at_work.holds(key[1]))
        told = not self.at_work.may_be_all
        self._records.journal(
            self.id, self.record.kind, what, names=map(name_of, mine) if told else None,
            reach=self.at_work.reach if told else None,
        )  # fmt: skip

    def perform(self, change: Change) -> None:
        """Make one change; its intent is on the disk before. Raises `HostError`."""
        secret = bool(secret_path(change))
        path = path_of(change)
        if self._switch is not None:
            self._switch.alive()
        if path:
            register_secrets(self._keeper, self._before, (path,) if secret else ())
            self._keep_secret_content(path)
        reach = reach_of(change)
        self._records.journal(
            self.id, "change", describe(change), path=path, secret=secret, reach=reach,
            sha256=_sha256_of(change),
        )  # fmt: skip
        host = self._keeper.host
        there = leftovers.survey(host) if may_bring_packages(change) else None
        if there is not None:
            self._records.keep_names(self.id, there)
        self.at_work.may_be_all |= there is not None
        self.at_work.reach |= reach
        self.at_work.take((), units_of(change))
        try:
            with contextlib.nullcontext() if path else self._noted(may_write(change)):
                execute(host, change, self.id, self._keeper.debs, self._progress)
            if path:
                self._remember((path,))
        finally:
            if there is not None:
                with contextlib.suppress(OSError):  # at the end it is asked for once more
                    host.sync(SYSTEM_TREES)
                self._note_strangers()
                self._note_what_came(there)

    @contextlib.contextmanager
    def _noted(self, may_be_ours: Callable[[str], bool] = lambda _: True) -> Iterator[None]:
        """What is written meanwhile and may be ours is, and is known to whoever goes back, too."""
        with self.at_work.noted(self._keeper.host, may_be_ours) as written:
            yield
        if not self.at_work.may_be_all:
            left = self._remember(sorted(written))
            sums = [item.state.sha256 if item else "" for item in left.values()]
            what = f"that wrote {len(left)} files"
            self._records.journal(self.id, "wrote", what, names=left, sums=sums)

    def _remember(self, written: Iterable[str]) -> dict[str, FileItem | None]:
        """As what we wrote stands now, by path."""
        paths = [path for path in map(self._really, written) if self.at_work.holds(path)]
        left = {path: self._keeper.files.item(self._keeper.host, path) for path in paths}
        self._left |= left
        return left

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
        self._records.forget_names(self.id)

    def validate(self) -> None:
        """Ask whether the merged configuration is sound. Raises `SnapshotError`."""
        self._records.journal(self.id, "validate", f"{len(self.record.validations)} validations")
        validate(self._keeper.host, self.record.validations, self._progress)

    def activate(self) -> None:
        """Make the daemons take it and see that they keep running. Raises `SnapshotError`."""
        self._records.journal(self.id, "activate", f"{len(self.record.activations)} activations")
        self.at_work.take(self.record.activations)
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
        theirs = self._changed_by_others(after)
        after = others.with_items_of(after, theirs, self._before)
        moved = self._moved_since(after)
        after = others.with_items_of(after, moved, {"files": self._left_files()})
        theirs |= moved
        self._progress.doing("writing the restore point")
        came = leftovers.states(self._keeper.host, self._records.came(self.id))
        self.write_after(after, (Delta("files", path, None, came[path]) for path in sorted(came)))
        said = filter(None, [self._of_strangers(), others.sentence(theirs)])
        self._end(self.kept_as, " ".join(said))
        self._held.close()
        return self.record

    def _changed_by_others(self, now: Captured) -> set[Key]:
        asked = self._others()
        if self.at_work.may_be_all:
            return set()
        named = [key for domain, key in asked.named if domain == "files"]
        return asked.among(each_difference(self._before, now, named=named))

    def _moved_since(self, after: Captured) -> set[Key]:
        """What we wrote and somebody else changed after that: it stays, and is none of ours."""
        if self.at_work.may_be_all:
            return set()
        found: set[Key] = set()
        for path, left in self._left.items():
            if path in VOLATILE_FILES or path.startswith(tuple(self.at_work.homes)):
                continue
            if not same(left, after["files"].get(path)):
                found.add(("files", path))
        return found

    def _left_files(self) -> dict[str, Item]:
        return {path: item for path, item in self._left.items() if item is not None}

    def _others(self) -> Others:
        paths = self._records.named_paths(self.id)
        named: set[Key] = {("files", path) for path in (*paths, *map(self._really, paths))}
        return Others(named | self._own, self.at_work)

    def _really(self, path: str) -> str:
        """Where it lies, if a directory above it is a link; as captures have it."""
        above, _, name = path.rpartition("/")
        return f"{self._keeper.host.realpath(above or '/').rstrip('/')}/{name}"

    def _leave_to_others(self) -> set[Key]:
        """Take for what was there before what they have there now."""
        if self.at_work.may_be_all:
            return set()
        self._keeper.files.keeping = False  # it stays where it is
        try:
            now = self._keeper.capture(self.record.roots, self._progress)
        except (HostError, OSError):
            return set()
        finally:
            self._keeper.files.keeping = True
        theirs = self._changed_by_others(now)
        self._before = others.with_items_of(self._before, theirs, now)
        return theirs

    @property
    def kept_as(self) -> TransactionStatus:
        """What it is once it is made and proved."""
        return "committed" if self._switch is None else "pending"

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
        goal = self.goal()
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
        self.at_work.restarts |= not self.is_recovered  # what stopped just now may be of it
        theirs = self._leave_to_others()
        merged = self._with_accounts_of_others()
        theirs |= {("files", path) for path in merged}
        meanwhile = self._others()
        found = keep_found(
            self._keeper, self.record, self._progress, records=self._records,
            before=self._before, of_others=meanwhile.among,
        )  # fmt: skip
        over = self._written_over(found, merged)
        self._keeper.state.release()
        self._keeper.store.forget()
        self._keeper.files.keeping = False
        with self._held:
            with contextlib.suppress(OSError):  # a full disk shall not keep us from going back
                self._records.journal(self.id, "back", "going back to the state before")
            try:
                notes, _ = bring_back(
                    self._keeper, self.goal(), self._progress, own_units=self._own_units,
                    of_others=meanwhile.among,
                )  # fmt: skip
                mounted = self._remove_what_came()
                tables = self._records.kept_tables(self.id)
                ucf.put_back(self._keeper.host, tables)
                stale_marks.put_back(self._keeper.host, tables)
                unsettled = self._bring_dpkg_to_its_end()
                self._clear_scraps()
                self._require_no_doubt()
                status: TransactionStatus = "rolled-back"
                theirs |= meanwhile.keys
                told = (unsettled, self.lost.words, self._of_strangers(), others.sentence(theirs))
                said = filter(None, told)
                words = [*over, *notes, *mounted, *self._what_stayed(), *said]
                reason = " ".join([_sentence(reason) if words else reason, *words]).strip()
            except (HostError, OSError) as error:
                status = "needs-person"
                reason = (
                    f"{' '.join([_sentence(reason), *over])} {TOO} {_sentence(str(error))} "
                    "The state from before lies in "
                    f"{self._keeper.points.path / point_before(self.id)}; `harden-tui recover` "
                    "tries again, its restore.sh does it by hand."
                )
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

    def _with_accounts_of_others(self) -> set[str]:
        """Take for what was there before the lists of accounts with what others changed in them."""
        try:
            left: Mapping[str, Item | None] = self._left
            if self.record.status == "pending":
                left = self._keeper.points.load(point_after(self.id))["files"]
            merged = account_lists.without_ours(self._keeper, self._before["files"], left)
        except (HostError, OSError):
            return set()
        keys: set[Key] = {("files", path) for path in merged}
        self._before = others.with_items_of(self._before, keys, {"files": merged})
        return set(merged)

    def _written_over(self, found: str, merged: Collection[str]) -> list[str]:
        """Sentences about what others wrote since it was made, but for what was `merged`."""
        if not found:
            return []
        if self.record.status != "pending":
            return self._written_over_what_we_left(found, merged)
        goal = self.goal()
        try:
            after = self._keeper.points.load(point_after(self.id))["files"]
            keyed(self._keeper, after, self._keeper.secret_paths.paths)
            before = self._before["files"]
            return written_over(
                self._keeper, found, after, before, goal.named, goal.loose, but=merged
            )
        except (HostError, OSError):  # it is kept all the same, and shall go back
            return []

    def _written_over_what_we_left(self, found: str, merged: Collection[str]) -> list[str]:
        try:
            now = self._keeper.points.load(found)["files"]
            told, before = self._records.left(self.id), self._before["files"]
            left = {path: sha256 for path, sha256 in told.items() if path not in merged}
            said = found_since(self._keeper, found, left, now, before)
        except (HostError, OSError):  # it is kept all the same, and shall go back
            return []
        if self.is_unclear and not said:
            said = [f"As it was found everything is kept in {self._keeper.points.path / found}."]
        return said

    def _own_units(self) -> set[str] | None:
        """The units that it changed, or had take something; `None` where that is not known."""
        try:
            after = self._keeper.points.load(point_after(self.id))["units"]
        except (HostError, OSError):
            return None  # it never came to its end
        before = self._before["units"]
        changed = {unit for unit in before.keys() | after if before.get(unit) != after.get(unit)}
        told = {activation.unit for activation in self.record.activations}
        return {unit.removeprefix(MASK) for unit in changed} | told

    def _remove_what_came(self) -> list[str]:
        host = self._keeper.host
        staying = leftovers.states(host, self._records.stayed(self.id))
        return leftovers.remove(host, self._records.came(self.id), staying)

    def _bring_dpkg_to_its_end(self) -> str:
        host = self._keeper.host
        if host.is_practice or not host.has_packages_locked:
            return ""
        if not may_touch(self._records, self.record):
            return ""
        return dpkg_end.bring_to_its_end(host, self._progress)

    def _clear_scraps(self) -> None:
        host = self._keeper.host
        if host.has_packages_locked or host.is_practice:  # else they may be another tool's
            scraps.clear(host, self.record.started)

    def _require_no_doubt(self) -> None:
        """Raise `SnapshotError` where something may be left that nobody knows of any more."""
        if self.lost.matters:
            raise SnapshotError(f"{self.lost.words} Everything else was put back.")
        doubt = self._records.doubt(self.record)
        if doubt:
            raise SnapshotError(
                f"{doubt}, so what it said was not acted on; everything else was put back. What "
                "came with packages outside of /etc may be left, below /var/lib or /var/log for "
                "example: look, and remove it by hand."
            )

    def _what_stayed(self) -> list[str]:
        """A sentence about what was not taken away; none where there is nothing of it."""
        try:
            left = leftovers.left_there(self._keeper.host, self._records.stayed(self.id))
        except (HostError, OSError):  # it is in the journal, and everything went back
            return []
        return [left] if left else []

    def goal(self) -> Goal:
        """The state from before."""
        return Goal(
            captured=self._before,
            roots=self.record.roots,
            validations=self.record.validations,
            activations=self.record.activations,
            named=frozenset(self._records.named_paths(self.id)),
        )

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


def _sha256_of(change: Change) -> str:
    """Of what it writes; "" of a secret."""
    if not isinstance(change, WriteFile) or change.secret:
        return ""
    return hashlib.sha256(change.content).hexdigest()
