"""What programs of packages made, put back where an undo that purged these packages goes back."""

from __future__ import annotations

import contextlib
from collections.abc import Container
from datetime import datetime
from typing import Final

from host.base import HostError
from host.names import visible
from snapshots import in_reach, leftovers, put_kept, returned
from snapshots.capture import Keeper
from snapshots.captured import is_metadata_only
from snapshots.inverse import is_present
from snapshots.model import FileItem, Item, TransactionRecord
from snapshots.objects import ObjectStore
from snapshots.put_there import is_a_persons, not_kept
from snapshots.records import Records

_ALONE: Final = ("/var/log/", "/var/cache/")
"""Each file there stands for itself."""

_WHY: Final = "too large to be kept, or one of too many"


class DataBack:
    """Nothing of this ever stops a way back. Made before anything is put back."""

    def __init__(self, keeper: Keeper, records: Records, record: TransactionRecord) -> None:
        self._keeper = keeper
        self._records = records
        self._record = record
        self._store = ObjectStore(keeper.state.objects)
        self.listed: dict[str, Item] = {}
        """What is kept, by path; nothing where no package went."""
        self._failed: dict[str, str] = {}
        self._unread = ""
        self._anew: list[str] = []
        self._beside: list[str] = []
        """What is not put back, as a package made new data where it lay."""
        if record.kind != "rollback":
            return
        try:
            listed = put_kept.listed(records, record.id, put_kept.DATA)
        except (HostError, OSError):
            path = visible(str(records.where(record.id) / put_kept.DATA))
            self._unread = (
                f"{path} cannot be read: it lists the data of packages, which may be gone now."
            )
            return
        if listed and self._went():
            self.listed = listed

    def _went(self) -> bool:
        """Whether dpkg was at work on any of the packages, as far as anybody knows; if not, all
        that is gone went by the programs' own hands."""
        began_ns = int(self._began_s() * 1e9)
        try:
            for delta in self._records.each_delta(self._record.undoes, {}):
                if delta.domain != "packages" or is_present(delta.before):
                    continue
                told = self._keeper.host.state(f"/var/lib/dpkg/info/{delta.key}.list")
                if told is None or told.mtime_ns > began_ns:
                    return True
        except (HostError, OSError):
            return True
        return False

    def _began_s(self) -> float:
        return datetime.fromisoformat(self._record.started).timestamp()

    def put_back(self, others: Container[str]) -> None:
        """What their scripts took away is there again; nothing beside data that a package made
        anew, as the two would not fit together. `others`: what of somebody else is kept."""
        if not self.listed:
            return
        self._anew, new = self._made_anew(others)
        homes = {leftovers.home_of(path) for path in new if not path.startswith(_ALONE)}
        apart = {path for path in self.listed if leftovers.home_of(path) in homes}
        fitting = {path: item for path, item in self.listed.items() if path not in apart}
        self._failed = put_kept.put_back(self._keeper, fitting, {})
        self._beside = [path for path in self._gone() if path in apart and self._has_content(path)]

    def let_go(self) -> None:
        """It went back: what nobody can put back any more stays listed, and all else goes."""
        if self._unread:
            return
        left = {*self._failed, *self._anew, *self._beside}
        if not left:
            put_kept.let_go(self._records, self._record.id, put_kept.DATA)
            return
        with contextlib.suppress(OSError):
            kept = {path: item for path, item in self.listed.items() if path in left}
            put_kept.keep(self._records, self._record.id, kept, put_kept.DATA)

    def losses(self) -> list[str]:
        """Sentences about what is not as it was."""
        gone = self._gone()
        known = {*self._failed, *self._beside}
        told = not_kept([path for path in gone if path not in known], _WHY)
        for words, paths in (
            ("Could not be put back", [path for path in gone if path in self._failed]),
            ("Made anew when the packages came back, and not as before", self._anew),
            ("Not put back, as a package made new data beside it", self._beside),
        ):
            if paths:
                told.append(f"{words}: {self._with_places(paths)}.")
        return [*filter(None, [self._unread]), *told]

    def _with_places(self, paths: list[str]) -> str:
        """Each with where what it held is kept."""
        named = [
            f"{visible(path)} (what it held: {visible(str(self._store.where(item.state.sha256)))})"
            for path in paths[: leftovers.NAMED]
            if isinstance(item := self.listed[path], FileItem)
        ]
        if len(paths) > leftovers.NAMED:
            where = visible(str(self._records.where(self._record.id) / put_kept.DATA))
            named.append(f"and {len(paths) - leftovers.NAMED} more, listed in {where}")
        return ", ".join(named)

    def _files(self) -> list[str]:
        return [
            path
            for path, item in sorted(self.listed.items())
            if isinstance(item, FileItem) and item.state.kind != "dir"
        ]

    def _gone(self) -> list[str]:
        with contextlib.suppress(HostError, OSError):
            return [path for path in self._files() if self._keeper.host.state(path) is None]
        return []

    def _has_content(self, path: str) -> bool:
        item = self.listed[path]
        return isinstance(item, FileItem) and not is_metadata_only(item)

    def _made_anew(self, others: Container[str]) -> tuple[list[str], list[str]]:
        """What was made since it began: of the files that are listed, with another content; all
        files that are not as they were. What nobody tells the age of is taken for new."""
        host, other, strange = self._keeper.host, list[str](), list[str]()
        for path in self._files():
            with contextlib.suppress(HostError, OSError):
                item, now = self.listed[path], host.state(path, content=True)
                if now is None or not isinstance(item, FileItem) or not self._has_content(path):
                    continue
                if (now.kind, now.sha256, now.target) != (
                    item.state.kind, item.state.sha256, item.state.target
                ):  # fmt: skip
                    other.append(path)
        homes = sorted({leftovers.home_of(path) for path in self.listed})
        with contextlib.suppress(HostError, OSError):
            there = leftovers.states(host, homes)
            strange = [
                path
                for path in there
                if path not in self.listed and path not in others and _is_a_programs(there[path])
            ]
        born, began_s = in_reach.born_s(host, [*other, *strange]), self._began_s()
        back = returned.known(self._records) if strange else {}
        new = [
            path
            for path in (*other, *strange)
            if (at := born.get(path, began_s)) >= began_s and at > back.get(path, 0.0)
        ]
        return [path for path in new if path in self.listed], new


def _is_a_programs(item: Item) -> bool:
    """Whether it is a file of a system account: root's may be somebody's, who put it there."""
    if not isinstance(item, FileItem) or item.state.kind != "file":
        return False
    return item.state.uid != 0 and not is_a_persons(item.state)
