"""Taking back a change that failed, was cut off or was not confirmed: the host as it was before."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from host.base import HostError
from snapshots import (
    dpkg_end,
    gone_with_accounts,
    left_behind,
    leftovers,
    others,
    parts_over,
    scraps,
    stale_marks,
    strangers,
    ucf,
)
from snapshots.bringing_back import bring_back
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.domains.units import MASK
from snapshots.found import AS_FOUND, found_since, keep_found, keep_strangers, written_over
from snapshots.goal import Goal
from snapshots.lost_parts import Lost
from snapshots.model import Item, Key, SnapshotError, TransactionRecord, TransactionStatus
from snapshots.ours import Ours
from snapshots.points import point_after, point_before
from snapshots.progress import Progress
from snapshots.put_since import PutSince
from snapshots.records import Records
from snapshots.recover_packages import may_touch
from snapshots.settle import keyed

TOO = "Going back failed too:"
"""Stands in a reason before why it could not be taken back."""


def goal_before(records: Records, record: TransactionRecord, before: Captured) -> Goal:
    """The state from before a transaction."""
    return Goal(
        captured=before,
        roots=record.roots,
        validations=record.validations,
        activations=record.activations,
        named=frozenset(records.named_paths(record.id)),
    )


class GoingBack:
    """One transaction on its way back, with what others changed meanwhile as they left it.

    Made while the state directory still has room to spare: it keeps the host as it is found.
    `lost`: what of the state before is not known any more. `unclear`: it cannot be told what
    programs of ours changed. `is_recovered`: it was cut off, or waited, before.
    """

    def __init__(
        self,
        keeper: Keeper,
        records: Records,
        record: TransactionRecord,
        before: Captured,
        ours: Ours,
        lost: Lost,
        progress: Progress,
        *,
        unclear: bool,
        is_recovered: bool = False,
    ) -> None:
        self._keeper = keeper
        self._records = records
        self._record = record
        self._lost = lost
        self._progress = progress
        self._put = PutSince(keeper, records, record, before, is_recovered=is_recovered)
        self._unclear = unclear or ours.at_work.may_be_all
        before, merged = ours.before_with_their_accounts(before)
        self._unclear |= ours.lists_unclear
        self._before, theirs = ours.before_with_theirs(before, progress)
        for path in ours.kept_in:
            theirs.add(("files", path))
        self._theirs = theirs
        self._filled = self._leave_what_filled()
        self._meanwhile = ours.others()
        found = keep_found(
            keeper, record, progress, records=records, before=self._before,
            of_others=self._meanwhile.staying,
        )  # fmt: skip
        self._persons = ours.persons
        self._gone = ours.gone
        self._over_meanwhile: list[str] = []
        self._as_found: Captured | None = None
        """The host, as far as that is known."""
        self._over = self._written_over(found, merged | ours.undone)

    def go(self, reason: str) -> tuple[TransactionStatus, str]:
        """Put back what differs; how it ended, with `reason` and what a person should know."""
        host = self._keeper.host
        try:
            goal = goal_before(self._records, self._record, self._before)
            notes, _ = bring_back(
                self._keeper, msgspec.structs.replace(goal, persons=self._persons),
                self._progress, mind=self._mind, own_units=self._own_units,
                of_others=self._meanwhile.staying,
            )  # fmt: skip
            mounted = self._remove_what_came()
            self._put.put_back()
            tables = self._records.kept_tables(self._record.id)
            ucf.put_back(host, tables)
            stale_marks.put_back(host, tables)
            unsettled = self._bring_dpkg_to_its_end()
            self._clear_scraps()
            self._require_reach()
            self._require_no_doubt()
        except (HostError, OSError) as error:
            self._put.put_back()
            reason = " ".join([sentence(reason), *self._over, *self._over_meanwhile])
            left = ""
            with contextlib.suppress(HostError, OSError):
                left = self._left_behind()
            if left and left not in str(error):
                reason = f"{reason} {left}"
            status, why = stuck(self._keeper, self._record, reason, error)
            return status, " ".join([why, *self._put.losses()])
        self._put.let_go()
        told = (
            unsettled,
            self._lost.words,
            strangers.sentence(host.strange_packages),
            others.started_again(self._meanwhile.stopped),
            gone_with_accounts.sentence(self._gone),
            others.sentence(self._all_of_others(), is_drift=self._is_drift()),
        )
        words = [
            *self._over,
            *self._over_meanwhile,
            *notes,
            *self._what_filled(),
            *mounted,
            *self._put.sentences(),
            *self._what_stayed(),
            *filter(None, told),
        ]
        return "rolled-back", " ".join([sentence(reason) if words else reason, *words]).strip()

    def _mind(self, wanted: Mapping[str, Item | None], now: Mapping[str, Item]) -> None:
        """Keep what somebody wrote since the host was found, and is written over."""
        if self._as_found is None:
            return
        self._keeper.files.keeping = True
        try:
            keep_strangers(
                self._keeper, self._record, self._as_found, self._over_meanwhile, self._progress,
                wanted, now,
            )  # fmt: skip
        finally:
            self._keeper.files.keeping = False

    def _all_of_others(self) -> set[Key]:
        persons = self._persons.keys() if self._persons is not None else set()
        return self._theirs | self._meanwhile.keys | persons

    def _leave_what_filled(self) -> list[str]:
        """The trees without content that came with the change and are not empty.

        What lies in them (dumps, reports) is kept nowhere, whoever made it.
        """
        host, stays = self._keeper.host, dict[str, Item]()
        for root in self._record.roots:
            if root.content or root.path in self._before["files"]:
                continue
            item = self._keeper.files.item(host, root.path)
            if item is not None and item.state.kind == "dir" and host.listdir(root.path):
                stays[root.path] = item
        keys: set[Key] = {("files", path) for path in stays}
        self._before = others.with_items_of(self._before, keys, {"files": stays})
        return [*stays]

    def _what_filled(self) -> list[str]:
        """Sentences about those of them in which something lies of which nothing else is said."""
        return [
            f"{top} stays with what came into it: that is kept nowhere else."
            for top in self._filled
            if self._holds_more(top)
        ]

    def _holds_more(self, top: str) -> bool:
        host, told = self._keeper.host, self._put.stays()
        try:
            below = host.walk(top, content=False) if host.state(top) is not None else ()
            return any(state.kind != "dir" and path not in told for path, state in below)
        except (HostError, OSError):
            return True

    def _written_over(self, found: str, merged: Collection[str]) -> list[str]:
        """Sentences about what others wrote since it was made, but for what was `merged`."""
        try:
            now = self._as_found = self._found(found)
            files = now["files"]
            merged = {*merged, *left_behind.hidden(self._keeper.host, self._meanwhile.named, files)}
            if self._record.status == "pending":
                return self._written_over_since_made(found, now, merged)
            return self._written_over_what_we_left(found, now, merged)
        except (HostError, OSError):  # it is kept all the same, and shall go back
            return [f"{AS_FOUND} {self._kept(found)}."] if found else []

    def _found(self, found: str) -> Captured:
        if found:
            return self._keeper.points.load(found)
        self._keeper.files.keeping = False  # there was no room for it
        return self._keeper.capture(self._record.roots, self._progress)

    def _kept(self, found: str) -> Path | None:
        return self._keeper.points.path / found if found else None

    def _written_over_since_made(
        self, found: str, now: Captured, merged: Collection[str]
    ) -> list[str]:
        keeper, goal = self._keeper, goal_before(self._records, self._record, self._before)
        after = keeper.points.load(point_after(self._record.id))
        keyed(keeper, after["files"], keeper.secret_paths.paths)
        sides = now["files"], after["files"], self._before["files"]
        said = written_over(keeper, found, *sides, goal.named, goal.loose, but=merged)
        parts = parts_over.sentence(after, now, self._before, self._kept(found))
        return [*said, *filter(None, [parts])]

    def _written_over_what_we_left(
        self, found: str, now: Captured, merged: Collection[str]
    ) -> list[str]:
        told = self._records.left(self._record.id)
        left = {path: sha256 for path, sha256 in told.items() if path not in merged}
        said = found_since(self._keeper, found, left, now["files"], self._before["files"])
        if self._unclear and found and not said and self._goes_beyond(told, now):
            said = [f"{AS_FOUND} {self._kept(found)}."]
        return said

    def _goes_beyond(self, told: Collection[str], now: Captured) -> bool:
        """Whether more is written over than the change named, and what systemd moved with it."""
        known = {*self._meanwhile.named, *(("files", path) for path in told)}
        return any(
            (one.domain, one.key) not in known
            and (one.domain != "units" or one.key not in self._meanwhile.at_work.units)
            for one in parts_over.differing(self._before, now)
        )

    def _is_drift(self) -> bool:
        """Whether anything stands since which others' changes are looked for."""
        try:
            return any(one.status == "committed" for one in self._records.all())
        except (HostError, OSError):
            return False

    def _own_units(self) -> set[str] | None:
        """The units that it changed, or had take something; `None` where that is not known."""
        try:
            after = self._keeper.points.load(point_after(self._record.id))["units"]
        except (HostError, OSError):
            return None  # it never came to its end
        before = self._before["units"]
        changed = {unit for unit in before.keys() | after if before.get(unit) != after.get(unit)}
        told = {activation.unit for activation in self._record.activations}
        return {unit.removeprefix(MASK) for unit in changed} | told

    def _remove_what_came(self) -> list[str]:
        host, tx_id = self._keeper.host, self._record.id
        self._put.look_again()
        return leftovers.remove(host, self._records.came(tx_id), self._put.staying)

    def _bring_dpkg_to_its_end(self) -> str:
        host = self._keeper.host
        if host.is_practice or not host.has_packages_locked:
            return ""
        if not may_touch(self._records, self._record):
            return ""
        return dpkg_end.bring_to_its_end(host, self._progress)

    def _clear_scraps(self) -> None:
        host = self._keeper.host
        if host.has_packages_locked or host.is_practice:  # else they may be another tool's
            scraps.clear(host, self._record.started)

    def _require_reach(self) -> None:
        """Raise `SnapshotError` where something stays behind a link that came."""
        left = self._left_behind()
        if left:
            raise SnapshotError(f"{left} Everything else was put back.")

    def _left_behind(self) -> str:
        theirs, files = self._theirs | self._meanwhile.keys, self._before["files"]
        return left_behind.sentence(self._keeper.host, self._meanwhile.named, theirs, files)

    def _require_no_doubt(self) -> None:
        """Raise `SnapshotError` where something may be left that nobody knows of any more."""
        if self._lost.matters:
            raise SnapshotError(f"{self._lost.words} Everything else was put back.")
        doubt = self._records.doubt(self._record)
        if doubt:
            raise SnapshotError(
                f"{doubt}, so what it said was not acted on; everything else was put back. What "
                "came with packages outside of /etc may be left, below /var/lib or /var/log for "
                "example: look, and remove it by hand."
            )

    def _what_stayed(self) -> list[str]:
        """A sentence about what was not taken away; none where there is nothing of it."""
        try:
            left = leftovers.left_there(self._keeper.host, self._records.stayed(self._record.id))
        except (HostError, OSError):  # it is in the journal, and everything went back
            return []
        return [left] if left else []


def stuck(
    keeper: Keeper, record: TransactionRecord, reason: str, error: HostError | OSError
) -> tuple[TransactionStatus, str]:
    """How it ended where it could not be taken back."""
    return "needs-person", (
        f"{sentence(reason)} {TOO} {sentence(str(error))} The state from before lies in "
        f"{keeper.points.path / point_before(record.id)}; `harden-tui recover` tries again, its "
        "restore.sh does it by hand."
    )


def sentence(words: str) -> str:
    """With a full stop at its end."""
    return words if words.endswith(".") else f"{words}."
