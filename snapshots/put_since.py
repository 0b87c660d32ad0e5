"""What somebody put into a directory that came with a package stays where that package goes back.

Whichever way back it is, and whichever attempt: nothing of this ever stops one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from host.base import HostError
from host.names import visible
from snapshots import in_reach, leftovers, put_kept, returned
from snapshots.account_books import ids_in
from snapshots.accounts import PASSWD
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.data_back import DataBack
from snapshots.domains.base import Scope
from snapshots.domains.files import Files
from snapshots.inverse import read_hash
from snapshots.journal import BROUGHT, RETURNED
from snapshots.merge import lines_of
from snapshots.model import FileItem, Item, TransactionRecord
from snapshots.objects import ObjectStore
from snapshots.package_owners import owners
from snapshots.points import point_after
from snapshots.put_there import is_a_persons, not_kept, put_meanwhile, put_there, removed, sentence
from snapshots.records import STRANGE, Records

_OF_RECOVER: Final = frozenset({"came", "stayed", "back", BROUGHT, RETURNED, STRANGE})
"""Lines of the journal that may have been written after a transaction was cut off."""


class PutSince:
    """Made before anything is put back; what it finds is kept then, durably where there is room.

    `is_recovered`: the transaction was cut off, or waited, and is taken back at some later time.
    """

    def __init__(
        self,
        keeper: Keeper,
        records: Records,
        record: TransactionRecord,
        before: Captured,
        *,
        is_recovered: bool,
    ) -> None:
        self._keeper = keeper
        self._records = records
        self._record = record
        self._before = before
        self._is_recovered = is_recovered
        self._store = ObjectStore(keeper.state.objects)
        self._contents: dict[str, bytes] = {}
        """What found no room on the disk."""
        self._kept: dict[str, Item] = {}
        self._failed: dict[str, str] = {}
        self._shaped: dict[str, Item] = {}
        self._unshaped: dict[str, str] = {}
        self._unread = ""
        self._unasked = ""
        self._theirs: set[str] = set()
        self._data = DataBack(keeper, records, record)
        self.staying: dict[str, Item] = {}
        """What is not to be taken away, though it lies in what came with packages."""
        self._seen: set[str] | None = None
        try:
            self._kept = put_kept.listed(records, record.id)
        except (HostError, OSError):
            path = visible(str(records.where(record.id) / put_kept.NAME))
            self._unread = (
                f"{path} cannot be read: it lists what somebody put into directories of packages, "
                "which may be gone now."
            )
        with contextlib.suppress(HostError, OSError, ValueError):
            self._find()
        with contextlib.suppress(HostError, OSError):
            self._shaped = self._made_anew()

    def _find(self) -> None:
        host, records, tx_id = self._keeper.host, self._records, self._record.id
        came = leftovers.states(host, records.came(tx_id))
        stayed = leftovers.states(host, records.stayed(tx_id))
        found = self._put_there({p: item for p, item in came.items() if p not in stayed})
        told = tuple(f"{top}/" for top in records.stayed(tx_id))  # in a sentence of its own
        tops = tuple(f"{top}/" for top in records.came(tx_id))  # elsewhere it was there before
        self._theirs = found | {
            path
            for path, item in self._kept.items()
            if _is_file(item) and f"{path}/".startswith(tops) and not f"{path}/".startswith(told)
        }
        here = found | self._kept.keys() & came.keys()
        self.staying = {path: came[path] for path in here} | stayed
        self._seen = {*came}
        with contextlib.suppress(OSError):  # no room: known at this attempt only
            put_kept.note_brought(records, tx_id, came.keys() - self.staying.keys())
        persons = {path for path, item in stayed.items() if _is_a_persons(item)}
        self._keep(found | persons | self._in_reach({*came, *stayed}))

    def _put_there(self, came: Mapping[str, Item]) -> set[str]:
        """Which of what `came` somebody put there."""
        if not came:
            return set()
        known = self._known()
        new = {path: item for path, item in came.items() if path not in (known or ())}
        if known is None:
            new = {path: item for path, item in new.items() if _is_a_persons(item)}
        elif not self._is_complete():
            new = {path: item for path, item in new.items() if self._is_not_ours(path, item)}
        host = self._keeper.host
        try:
            return {*put_there(host, new, owners(host, new), self._going())}
        except HostError:  # dpkg does not answer: all that may be somebody's stays
            return {*put_there(host, new, (), ())}

    def _in_reach(self, known: set[str]) -> set[str]:
        """What did not come with the packages that go, and their scripts may remove."""
        if self._record.kind == "rollback":
            return set()  # kept before anything went
        try:
            going = self._going()
            leaving = self._leaving() if going else ()
            return {*in_reach.lies_there(self._keeper, going, known, self._record, leaving).stays}
        except (HostError, OSError, ValueError) as error:
            why = str(error).rstrip(".")
            self._unasked = (
                f"What lay in directories of the packages before is not kept ({why}): their "
                "scripts may have removed it."
            )
            return set()

    def _leaving(self) -> set[int]:
        """The UIDs of the accounts that came since it began. Raises `HostError`."""
        sha256, host = read_hash(self._before.get("files", {}).get(PASSWD)), self._keeper.host
        if not sha256 or host.state(PASSWD) is None:
            return set()
        now = lines_of(host.read_bytes(PASSWD))
        return ids_in(now) - ids_in(lines_of(self._store.get(sha256)))

    def _known(self) -> set[str] | None:
        """What came with packages for sure; `None` where nobody knows."""
        brought = put_kept.brought(self._records, self._record.id)
        known = set(brought or ())
        if self._record.status == "pending":
            with contextlib.suppress(HostError, OSError):
                known |= {one.key for one in self._records.each_delta(self._record.id, {})}
        return None if brought is None and not known else known

    def _is_complete(self) -> bool:
        """Whether all that it and its packages made until some moment is known: it came to its
        end, or somebody went back before."""
        if self._record.status == "pending":
            return True
        if point_after(self._record.id) in self._keeper.points.ids():
            return True
        lines = self._records.journal_of(self._record.id)
        return any(line.what == "back" for line in lines)

    def _is_not_ours(self, path: str, item: Item) -> bool:
        """Of a change that never came to its end: what root owns may be of its own programs, if
        it is not younger than the last that it did."""
        if _is_a_persons(item):
            return True
        if not self._is_recovered or self._was_cut_off():
            return False
        return self._keeper.host.changed_ns(path) > self._last_ns()

    def _was_cut_off(self) -> bool:
        """Whether a program of its own may have gone on that nobody saw end."""
        for line in reversed(self._records.journal_of(self._record.id)):
            if line.what in ("wrote", "rewrote", "validate", "activate", BROUGHT):
                return False
            if line.what == "change":
                return not line.path
        return False

    def _last_ns(self) -> int:
        times = [
            line.time
            for line in self._records.journal_of(self._record.id)
            if line.what not in _OF_RECOVER
        ]
        return int(datetime.fromisoformat(max(times)).timestamp() * 1e9) if times else 0

    def _going(self) -> set[str]:
        """The packages that go back with it."""
        found = set[str]()
        with contextlib.suppress(HostError, OSError):
            deltas = self._records.each_delta(self._record.id, {})
            found = {one.key for one in deltas if one.domain == "packages" and one.before is None}
        if found:
            return found
        now = self._keeper.packages.capture(self._keeper.host, Scope())
        return now.keys() - self._before.get("packages", {}).keys()

    def _keep(self, paths: Collection[str]) -> None:
        """Keep these with what they lie in, and what earlier attempts kept."""
        host, before = self._keeper.host, {**self._kept}
        small = put_kept.smallest(host, paths)
        files = Files(self._store, self._keeper.secret_paths)
        for path in sorted(paths):
            with contextlib.suppress(HostError):
                self._keep_one(files, path, has_room=path in small)
        self._kept |= put_kept.holding(host, paths)
        if self._kept == before:
            return
        try:
            self._store.sync()
            put_kept.keep(self._records, self._record.id, self._kept)
        except OSError:
            self._store.forget()
            for path in small:
                with contextlib.suppress(HostError):
                    self._remember(path)

    def _keep_one(self, files: Files, path: str, *, has_room: bool) -> None:
        host = self._keeper.host
        state = host.state(path)
        if state is None:
            return
        self._kept[path] = FileItem(state)
        if not has_room:
            return
        try:
            item = files.item(host, path)
        except OSError:
            self._remember(path)
        else:
            self._kept[path] = item or self._kept[path]

    def _remember(self, path: str) -> None:
        """Hold its content in memory: there is no room on the disk."""
        state = self._keeper.host.state(path)
        if state is not None and state.kind == "file":
            limit = put_kept.KEPT_BYTES
            content = self._keeper.host.read_bytes(path, limit_bytes=limit, follow=False)
            self._contents[path] = content

    def look_again(self) -> None:
        """What persons put there while the packages went stays as well. Raises `HostError`."""
        if self._seen is None:
            return
        host = self._keeper.host
        for path in put_meanwhile(host, self._records.came(self._record.id), self._seen):
            state = host.state(path)
            if state is not None:
                self.staying[path] = FileItem(state)
                self._theirs.add(path)

    def put_back(self) -> None:
        """What of it packages' own scripts took away is there again."""
        self._data.put_back(self._kept)
        self._failed = put_kept.put_back(self._keeper, self._kept, self._contents)
        began_s = datetime.fromisoformat(self._record.started).timestamp()
        again = in_reach.made_since(self._keeper.host, self._kept, began_s)
        returned.note(self._records, self._record.id, again)
        self._unshaped = put_kept.shape_back(self._keeper, self._shaped)

    def _made_anew(self) -> dict[str, Item]:
        """What packages make anew when they come back: it belongs to whom it did, with its mode."""
        if self._record.kind != "rollback":
            return {}
        listed = {**self._data.listed, **self._kept}
        kept = {path: item for path, item in listed.items() if _has_mode(item)}
        if not self._is_recovered:
            return kept
        # What is there already, somebody may have made or changed since, unless the packages did
        # at an attempt before this.
        told = put_kept.listed(self._records, self._record.id, put_kept.GONE)
        gone = {p: one for p, one in kept.items() if self._keeper.host.state(p) is None}
        if not gone.keys() <= told.keys():
            with contextlib.suppress(OSError):
                found = {**told, **gone}
                put_kept.keep(self._records, self._record.id, found, put_kept.GONE)
        return {**told, **gone}

    def let_go(self) -> None:
        """It went back: nothing is kept any more but what could not be put back."""
        self._data.let_go()
        put_kept.let_go(self._records, self._record.id, put_kept.GONE)
        if not self._failed and not self._unread:
            put_kept.let_go(self._records, self._record.id)

    def sentences(self) -> list[str]:
        """What stayed, and what did not."""
        return [*filter(None, [sentence(self.stays())]), *self.losses()]

    def stays(self) -> set[str]:
        """What of it is there, where the packages are gone."""
        return set() if self._record.kind == "rollback" else self._theirs - {*self._gone()}

    def losses(self) -> list[str]:
        """What packages' own scripts removed and is not there again."""
        gone = self._gone()
        told = [removed(path, self._what_became_of(path)) for path in gone if path in self._failed]
        why = "too large to be kept, or there was no room for it"
        told += not_kept([path for path in gone if path not in self._failed], why)
        told += [
            f"Owner and mode of {visible(path)} could not be put back ({why})."
            for path, why in sorted(self._unshaped.items())
        ]
        return [*told, *filter(None, [self._unread, self._unasked]), *self._data.losses()]

    def _what_became_of(self, path: str) -> str:
        item, why = self._kept[path], self._failed[path]
        state = item.state if isinstance(item, FileItem) else None
        if path in self._contents or state is None or not state.sha256:
            return f"it could not be put back ({why})"
        where = visible(str(self._store.where(state.sha256)))
        return f"it could not be put back ({why}), but what it held is kept in {where}"

    def _gone(self) -> list[str]:
        files = [path for path, item in sorted(self._kept.items()) if _is_file(item)]
        with contextlib.suppress(HostError, OSError):
            return [path for path in files if self._keeper.host.state(path) is None]
        return []


def _is_file(item: Item) -> bool:
    return isinstance(item, FileItem) and item.state.kind != "dir"


def _has_mode(item: Item) -> bool:
    return isinstance(item, FileItem) and item.state.kind in ("file", "dir")


def _is_a_persons(item: Item) -> bool:
    return isinstance(item, FileItem) and is_a_persons(item.state)
