"""What an undo keeps of what purging packages takes: somebody's files, and programs' data.

Somebody's files are there again when it ends. What programs of the packages made goes with them,
and is put back only where the undo goes back.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence

from host.base import Host
from snapshots import in_reach, leftovers, put_kept, returned
from snapshots.capture import Keeper
from snapshots.inversion import Inversion
from snapshots.model import Delta, FileItem, Item
from snapshots.put_there import left_of, not_kept, put_meanwhile, removed, sentence
from snapshots.records import Records


class KeptByUndo:
    """Made before anything is changed, where contents may be kept.

    Raises `HostError`, `OSError`.
    """

    def __init__(self, keeper: Keeper, inversion: Inversion) -> None:
        self._keeper = keeper
        self.paths = left_of(inversion)
        """What somebody put there since, which stays."""
        beside = in_reach.in_reach_of(keeper, inversion)
        self._kept = self._items([*self.paths, *beside.stays])
        self._above = put_kept.holding(keeper.host, self._kept)
        self._data = self._data_of_programs(inversion, beside.made)
        self._since_s = time.time()
        self.holders = [
            one.delta.key
            for one in inversion.decisions
            if one.delta.domain == "files" and one.how == "already" and one.delta.key in self._above
        ]
        """Directories that stay only for it, or for something else."""
        self._failed: dict[str, str] = {}

    def _items(
        self, paths: Sequence[str], room_bytes: int | None = None, most: int | None = None
    ) -> dict[str, Item]:
        host = self._keeper.host
        small = put_kept.smallest(host, paths, room_bytes, most)
        found: dict[str, Item] = {}
        for path in paths:
            item = (
                self._keeper.files.item(host, path)
                if path in small
                else _without_content(host, path)
            )
            if item is not None:
                found[path] = item
        return found

    def _data_of_programs(
        self, inversion: Inversion, beside: Mapping[str, Item]
    ) -> dict[str, Item]:
        if not in_reach.going_with(inversion):
            return {}
        now = inversion.current["files"]
        came = leftovers.outside(now, inversion.record.roots)
        made = [
            path
            for path, item in ({path: now[path] for path in came} | dict(beside)).items()
            if path not in self._kept and _holds_something(item)
        ]
        room_bytes = min(put_kept.KEPT_BYTES, shutil.disk_usage(self._keeper.state.path).free // 4)
        data = self._items(made, room_bytes, put_kept.MANY)
        return {**put_kept.holding(self._keeper.host, data), **data}

    def keep(self, records: Records, undo_id: str) -> None:
        """List it for whoever goes back, also after a crash. Raises `OSError`."""
        if self._kept:
            put_kept.keep(records, undo_id, {**self._above, **self._kept})
        if self._data:
            put_kept.keep(records, undo_id, self._data, put_kept.DATA)

    def put_back(self, records: Records, undo_id: str) -> None:
        """What packages' own scripts took away is there again; nothing is kept of what is there."""
        self._failed = put_kept.put_back(self._keeper, {**self._above, **self._kept}, {})
        returned.note(
            records, undo_id, in_reach.made_since(self._keeper.host, self._kept, self._since_s)
        )
        if not self._gone():
            put_kept.let_go(records, undo_id)

    def taken(self) -> list[Delta]:
        """What packages' own scripts took away and could not be put back."""
        return [Delta("files", path, self._kept[path], None) for path in sorted(self._failed)]

    def look_again(self, outside: Sequence[str]) -> list[str]:
        """What persons put there while the packages went, which stays as well; `outside` is what
        was there before."""
        found = put_meanwhile(self._keeper.host, leftovers.topmost(outside), {*outside})
        self.paths += found
        return found

    def sentences(self, undo_id: str) -> list[str]:
        """What became of it."""
        gone = set(self._gone())
        told = [sentence([path for path in self.paths if path not in gone])]
        told += not_kept(gone - self._failed.keys(), "too large to be kept")
        told += [
            removed(
                path,
                f"it could not be put back ({self._failed[path]}), but what it held is kept, see"
                f" `harden-tui history show {undo_id}`",
            )
            for path in sorted(gone & self._failed.keys())
        ]
        return [words for words in told if words]

    def _gone(self) -> list[str]:
        paths = {*self.paths, *self._kept}
        return [path for path in paths if self._keeper.host.state(path) is None]


def _holds_something(item: Item) -> bool:
    return isinstance(item, FileItem) and item.state.kind != "socket"


def _without_content(host: Host, path: str) -> FileItem | None:
    state = host.state(path)
    return None if state is None else FileItem(state)
