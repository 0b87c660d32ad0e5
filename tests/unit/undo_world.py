"""A host in memory with a history, undone as the product undoes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from host.base import FileState
from snapshots.captured import Captured, differences
from snapshots.decision import Decision, Kept, Later, by_key
from snapshots.inverse import Contents
from snapshots.inversion import Inversion
from snapshots.invert import invert
from snapshots.model import (
    UNRESOLVED,
    DomainName,
    FileItem,
    Item,
    Resolution,
    Resolutions,
    TransactionRecord,
)
from snapshots.windows import told
from snapshots.witnesses import outlasts

STORE: dict[str, bytes] = {}


def raw(content: bytes, mode: int = 0o644) -> FileItem:
    sha256 = hashlib.sha256(content).hexdigest()
    STORE[sha256] = content
    return FileItem(FileState(kind="file", mode=mode, sha256=sha256, size_bytes=len(content)))


def text(content: str, mode: int = 0o644) -> FileItem:
    return raw(content.encode(), mode)


def link(target: str) -> FileItem:
    return FileItem(FileState(kind="symlink", mode=0o777, target=target))


def directory(mode: int = 0o755) -> FileItem:
    return FileItem(FileState(kind="dir", mode=mode))


def content_of(item: Item | None) -> str | None:
    return STORE[item.state.sha256].decode() if isinstance(item, FileItem) else None


class World:
    """A host in memory with a history."""

    def __init__(self, files: dict[str, Item], kernel: dict[str, Item] | None = None) -> None:
        self.now: Captured = {"files": dict(files), "kernel": dict(kernel or {}), "firewall": {}}
        self.history: list[Later] = []
        self._moments = 0
        self._found: dict[str, Captured] = {}

    def apply(
        self,
        step: str,
        changes: dict[str, Item | None],
        claims: tuple[tuple[DomainName, str], ...] = (),
        kind: Literal["apply", "drift"] = "apply",
    ) -> str:
        before = self._copy()
        self.edit(changes)
        began = self._moment()
        record = TransactionRecord(
            id=began, kind=kind, steps=(step,), title=step, status="committed", started=began,
            ended=self._moment(), claims=claims,
        )  # fmt: skip
        self.history.append(Later(record, by_key(differences(before, self.now))))
        self._found[record.id] = before
        return record.id

    @contextmanager
    def window(self) -> Iterator[str]:
        """An update window: what is changed meanwhile belongs to it. Yields its id."""
        before, began = self._copy(), self._moment()
        yield began
        record = TransactionRecord(
            id=began, kind="window", steps=(), title="Update window", status="committed",
            started=began, ended=self._moment(),
            until=max([began, *(one.record.id for one in self.history)]),
        )  # fmt: skip
        inside = [one for one in self.history if one.record.id > began]
        changed = [delta for one in inside for delta in one.deltas.values()]
        self.history.append(Later(record, by_key(told(before, self.now, changed))))
        self.history.sort(key=lambda one: one.record.id)

    def _copy(self) -> Captured:
        return {domain: dict(items) for domain, items in self.now.items()}

    def _moment(self) -> str:
        self._moments += 1
        return f"{self._moments:03d}"

    def edit(self, changes: dict[str, Item | None]) -> None:
        for key, item in changes.items():
            domain: DomainName = "files" if key.startswith("/") else "kernel"
            if key.startswith("ip "):
                domain = "firewall"
            elif " [" in key:
                domain = "mariadb"
            if item is None:
                self.now[domain].pop(key, None)
            else:
                self.now.setdefault(domain, {})[key] = item

    def file(self, path: str) -> str | None:
        return content_of(self.now["files"].get(path))

    def invert(self, tx_id: str, resolutions: Resolutions = UNRESOLVED) -> Inversion:
        mine = next(one for one in self.history if one.record.id == tx_id)
        later = [
            one for one in self.history if one is not mine and outlasts(one.record, mine.record)
        ]
        contents = Contents(lambda sha256: STORE[sha256])
        return invert(
            mine.record, mine.deltas.values(), later, self.now, contents,
            kept=Kept(), resolutions=resolutions,
            rows=lambda: self._found[tx_id].get("mariadb", {}),
        )  # fmt: skip

    def undo(self, tx_id: str, choice: Resolution | None = None) -> dict[str, str]:
        """Returns how each thing was undone."""
        return {one.delta.key: one.how for one in self.decided(tx_id, Resolutions(choice))}

    def decided(self, tx_id: str, resolutions: Resolutions) -> list[Decision]:
        """Undo; returns all that was decided. Nothing may stay in conflict."""
        inversion = self.invert(tx_id, resolutions)
        STORE.update(inversion.contents.made)
        assert not inversion.conflicts, inversion.decisions
        self.now = inversion.target()
        for later in (*inversion.later, *inversion.witnesses):
            later.deltas = by_key(inversion.deltas_of(later, self.now))
        self.history = [one for one in self.history if one.record.id != tx_id]
        return inversion.decisions


def undone(world: World, tx_id: str, choice: Resolution) -> list[Decision]:
    """Undo; of what is in conflict the choice is made, where it is possible."""
    single: dict[str, Resolution] = {}
    while conflicts := [
        one for one in world.invert(tx_id, Resolutions(single=single)).decisions
        if one.how == "conflict"
    ]:  # fmt: skip
        for one in conflicts:
            can = choice not in one.cannot and one.delta.key not in single
            assert single.get(one.delta.key) != "keep-current"
            single[one.delta.key] = choice if can else "keep-current"
    return world.decided(tx_id, Resolutions(single=single))


def simplified(captured: Captured) -> dict[str, object]:
    found: dict[str, object] = {}
    for items in captured.values():
        for key, item in items.items():
            if isinstance(item, FileItem):
                content = content_of(item) if item.state.sha256 else item.state.target
                found[key] = (item.state.kind, item.state.mode, content)
            else:
                found[key] = item
    return found
