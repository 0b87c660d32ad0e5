"""What programs of packages made, put back where an undo that purged these packages goes back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

from host.base import HostError
from host.names import visible
from snapshots import in_reach, leftovers, put_kept
from snapshots.capture import Keeper
from snapshots.captured import is_metadata_only
from snapshots.inverse import is_present
from snapshots.model import FileItem, Item, TransactionRecord
from snapshots.objects import ObjectStore
from snapshots.records import Records


class DataBack:
    """Nothing of this ever stops a way back. Made before anything is put back."""

    def __init__(self, keeper: Keeper, records: Records, record: TransactionRecord) -> None:
        self._keeper = keeper
        self._records = records
        self._record = record
        self._store = ObjectStore(keeper.state.objects)
        self._listed: dict[str, Item] = {}
        self._failed: dict[str, str] = {}
        self._unread = ""
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
        with contextlib.suppress(HostError, OSError):
            if listed and self._went():
                self._listed = listed

    def _went(self) -> bool:
        """Whether dpkg was at work on any of the packages; if not, all that is gone went by the
        programs' own hands."""
        began_ns = int(datetime.fromisoformat(self._record.started).timestamp() * 1e9)
        for delta in self._records.each_delta(self._record.undoes, {}):
            if delta.domain != "packages" or is_present(delta.before):
                continue
            told = self._keeper.host.state(f"/var/lib/dpkg/info/{delta.key}.list")
            if told is None or told.mtime_ns > began_ns:
                return True
        return False

    def put_back(self) -> None:
        """What their scripts took away is there again."""
        self._failed = put_kept.put_back(self._keeper, self._listed, {})

    def let_go(self) -> None:
        """It went back: what nobody can put back any more stays listed, and all else goes."""
        if self._unread:
            return
        left = {*self._failed, *self._made_anew()}
        if not left:
            put_kept.let_go(self._records, self._record.id, put_kept.DATA)
            return
        with contextlib.suppress(OSError):
            kept = {path: item for path, item in self._listed.items() if path in left}
            put_kept.keep(self._records, self._record.id, kept, put_kept.DATA)

    def losses(self) -> list[str]:
        """Sentences about what is not as it was."""
        gone = [path for path in self._files() if self._keeper.host.state(path) is None]
        lost = [path for path in gone if path not in self._failed]
        told = [self._unread]
        if lost:
            told.append(
                f"{_named(map(visible, lost))} {'was' if len(lost) == 1 else 'were'} removed by "
                "the packages' own scripts, and too large to be kept."
            )
        for words, paths in (
            ("could not be put back", [path for path in gone if path in self._failed]),
            ("made anew when the packages came back, and not as before", self._made_anew()),
        ):
            if paths:
                told.append(f"{words[0].upper()}{words[1:]}: {self._with_places(paths)}.")
        return [*filter(None, told)]

    def _with_places(self, paths: list[str]) -> str:
        """Each with where what it held is kept."""
        named = [
            f"{visible(path)} (what it held: {visible(str(self._store.where(item.state.sha256)))})"
            for path in paths[: leftovers.NAMED]
            if isinstance(item := self._listed[path], FileItem)
        ]
        if len(paths) > leftovers.NAMED:
            where = visible(str(self._records.where(self._record.id) / put_kept.DATA))
            named.append(f"and {len(paths) - leftovers.NAMED} more, listed in {where}")
        return ", ".join(named)

    def _files(self) -> list[str]:
        return [
            path
            for path, item in sorted(self._listed.items())
            if isinstance(item, FileItem) and item.state.kind != "dir"
        ]

    def _made_anew(self) -> list[str]:
        host = self._keeper.host
        with contextlib.suppress(HostError, OSError):
            other = []
            for path in self._files():
                item = self._listed[path]
                if not isinstance(item, FileItem) or is_metadata_only(item):
                    continue
                now = host.state(path, content=True)
                if now is not None and now.sha256 != item.state.sha256 and item.state.sha256:
                    other.append(path)
            began_s = datetime.fromisoformat(self._record.started).timestamp()
            born = in_reach.born_s(host, other)
            return [path for path in other if born.get(path, began_s) >= began_s]
        return []


def _named(paths: Iterable[str]) -> str:
    names = list(paths)
    more = f" and {len(names) - leftovers.NAMED} more" if len(names) > leftovers.NAMED else ""
    return f"{', '.join(names[: leftovers.NAMED])}{more}"
