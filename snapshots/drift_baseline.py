"""What harden-tui left the host as: the last restore point, and what was not settled before it.

A transaction's second restore point holds everything, edits by others included. For what standing
steps changed such an edit must not be forgotten because another step was applied meanwhile. So the
transactions are gone through in order: what differs between the end of one and the beginning of
the next was changed by others, and stays a difference until it is settled, changed by harden-tui,
or as it was again. A transaction of kind `drift` settles what it is about and nothing else, so it
leaves every other difference, of whatever file; its undo makes what it settled a difference again.
Restore points share their lists by hash: mostly nothing is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from snapshots.captured import Captured, same
from snapshots.decision import by_key
from snapshots.drift import FOLLOWED, Standing, content_roots, touched
from snapshots.drift_accepted import Accepted
from snapshots.drift_carried import Carried
from snapshots.model import DomainName, Item, Key, TransactionRecord
from snapshots.objects import ObjectStore
from snapshots.points import (
    Manifest,
    Points,
    decode_chunk,
    domain_of,
    place_of,
    point_after,
    point_before,
)
from snapshots.records import Records


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected.

    `last` is the last transaction, `record` the last that did more than settle. `items` is what
    `last` left (files and what standing transactions touched), `expected` what is expected in
    place of that.
    """

    record: TransactionRecord
    last: TransactionRecord
    items: Captured
    expected: dict[Key, Item | None]
    standing: tuple[Standing, ...]


def counted(records: Iterable[TransactionRecord]) -> list[TransactionRecord]:
    """The transactions after which the host was as they left it, in the order of their ends."""
    found = (record for record in records if record.status in ("committed", "undone"))
    return sorted(found, key=lambda record: record.at_end)


def standing_of(records: Records, all_records: Iterable[TransactionRecord]) -> list[Standing]:
    """The applied and not undone ones with their differences, but for those of trees captured
    without content. Raises `SnapshotError`."""
    return [
        Standing(record, by_key(records.deltas(record.id, without=_without_content(record))))
        for record in all_records
        if record.kind == "apply" and record.status == "committed"
    ]


def _without_content(record: TransactionRecord) -> list[str]:
    """Trees of which only owners and modes were captured, and nothing below them with content."""
    inner = [root.path for root in record.roots if root.content]
    bare = [root.path.rstrip("/") for root in record.roots if not root.content]
    return [top for top in bare if not any(_below(path, [top]) for path in inner)]


def find(
    points: Points,
    store: ObjectStore,
    records: Iterable[TransactionRecord],
    standing: Iterable[Standing],
    accepted: Iterable[Accepted],
    carried: Iterable[Carried] = (),
) -> Baseline | None:
    """`None` where no transaction left a restore point. Raises `SnapshotError`."""
    standing = tuple(standing)
    records = list(records)
    known = set(points.ids())
    line = counted(records)
    with_points = [record for record in line if point_after(record.id) in known]
    if not with_points:
        return None
    last = with_points[-1]
    settling = {one.id for one in line if one.kind == "drift"}
    settling |= {one.id for one in line if one.undoes in settling}
    record = next((one for one in reversed(with_points) if one.id not in settling), last)
    first = min([record.id, *(one.record.id for one in standing)])
    walk = _Walk(points, store, touched(standing), tuple(accepted), tuple(carried))
    for one, is_closing in _moments(records):
        if one.at_end[0] < first or one.status in ("rolled-back", "under-way"):
            continue
        if not (one in line and point_before(one.id) in known and point_after(one.id) in known):
            walk.blind = True
        elif is_closing:
            walk.close(one)
        elif one.kind == "window":
            walk.open(one)
        else:
            walk.go(one, settles=one.id in settling)
    # Accounts come and go with applications; the step that minds them asks at each check.
    domains: set[DomainName] = {"files", *(domain for domain, _ in touched(standing))}
    domains.discard("mariadb")
    tops = ["/etc", *(root.path.rstrip("/") for root in content_roots(standing))]
    return Baseline(
        record=record,
        last=last,
        items={
            domain: walk.items(
                name
                for name in walk.chunks
                if domain_of(name) == domain and (domain != "files" or _below(place_of(name), tops))
            )
            for domain in domains
        },
        # What is not looked at now must not be expected, or it would count as gone.
        expected={
            key: item
            for key, item in walk.expected.items()
            if key[0] != "files" or _below(key[1], tops)
        },
        standing=standing,
    )


def _moments(records: Iterable[TransactionRecord]) -> list[tuple[TransactionRecord, bool]]:
    """In order: each transaction, and once more each window, when it was closed."""
    found = [((one.id, False), one, False) for one in records]
    found += [((one.at_end[0], True), one, True) for one in records if one.kind == "window"]
    return [(one, is_closing) for _, one, is_closing in sorted(found, key=lambda each: each[0])]


class _Walk:
    """From one restore point to the next."""

    def __init__(
        self,
        points: Points,
        store: ObjectStore,
        known: Mapping[Key, object],
        accepted: tuple[Accepted, ...],
        carried: tuple[Carried, ...],
    ) -> None:
        self._points = points
        self._store = store
        self._known = known
        self._accepted = accepted
        self._carried = carried
        self._decoded: dict[str, dict[str, Item]] = {}
        self.expected: dict[Key, Item | None] = {}
        self.chunks: dict[str, str] = {}
        """Name of a part -> the hash of its list, as the transaction last looked at left it."""
        self._seen: set[str] = set()
        self._at_start: dict[str, frozenset[Key]] = {}
        """Window -> what was expected already when it was opened."""
        self.blind = True
        """What happened between the last one looked at and the next is not known."""

    def go(self, record: TransactionRecord, *, settles: bool) -> None:
        """Past one transaction."""
        before = self._points.manifest(point_before(record.id))
        after = self._points.manifest(point_after(record.id))
        self._arrive(before, settles=settles)
        self._left(record, before, after, settles=settles)

    def _arrive(self, before: Manifest, *, settles: bool) -> None:
        """At the beginning of a transaction: what became otherwise until then is others'."""
        if self.blind:
            self.expected.clear()
        else:
            tops = [top for top in _tops(before) if top in self._seen]
            if not settles:  # of what no step touched only what comes after it is told
                self.expected = {k: v for k, v in self.expected.items() if k in self._known}
            for key, old, new in self._differing(self.chunks, before.chunks, tops):
                if key not in self.expected and (settles or key in self._known):
                    self.expected[key] = old
                if key not in self.expected:
                    continue
                if same(self.expected[key], new):
                    del self.expected[key]

    def open(self, record: TransactionRecord) -> None:
        """To the start of an update window."""
        before = self._points.manifest(point_before(record.id))
        self._arrive(before, settles=False)
        self._take(before)
        self.blind = False
        self._at_start[record.id] = frozenset(self.expected)

    def close(self, record: TransactionRecord) -> None:
        """To its end: whatever became otherwise since its start is the window's."""
        started = self._at_start.pop(record.id, frozenset())
        self.expected = {key: item for key, item in self.expected.items() if key in started}
        before = self._points.manifest(point_before(record.id))
        self._left(record, before, self._points.manifest(point_after(record.id)), settles=False)

    def _left(
        self, record: TransactionRecord, before: Manifest, after: Manifest, *, settles: bool
    ) -> None:
        for key, old, _ in self._differing(before.chunks, after.chunks, _tops(before)):
            if settles and record.kind == "rollback":
                self.expected[key] = old
            else:
                self.expected.pop(key, None)
        self._take(after)
        self.blind = False
        for carried in self._carried:  # what restore points told that are pruned
            if carried.transaction == record.id:
                self.expected[carried.domain, carried.key] = carried.item
        for one in self._accepted:
            if one.transaction == record.id:
                self.expected[one.thing] = one.item

    def items(self, names: Iterable[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for name in names:
            found.update(self._list(name, self.chunks[name]))
        return found

    def _list(self, name: str, sha256: str) -> dict[str, Item]:
        if sha256 not in self._decoded:
            self._decoded[sha256] = decode_chunk(domain_of(name), self._store.get(sha256))
        return self._decoded[sha256]

    def _differing(
        self, left: Mapping[str, str], right: Mapping[str, str], tops: list[str]
    ) -> Iterator[tuple[Key, Item | None, Item | None]]:
        """What is not the same in two restore points; of files only those below `tops`."""
        names = [
            name
            for name in {**left, **right}
            if left.get(name) != right.get(name)
            and domain_of(name) in FOLLOWED
            and (domain_of(name) != "files" or _below(place_of(name), tops))
        ]
        # An entry may have gone from one list to another: a directory that came to be.
        old, new = (self._parts(chunks, names) for chunks in (left, right))
        for key in old.keys() | new.keys():
            if not same(old.get(key), new.get(key)):
                yield key, old.get(key), new.get(key)

    def _parts(self, chunks: Mapping[str, str], names: Iterable[str]) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        for name in names:
            if name in chunks:
                domain = domain_of(name)
                items = self._list(name, chunks[name])
                found |= {(domain, key): item for key, item in items.items()}
        return found

    def _take(self, manifest: Manifest) -> None:
        """The parts of this restore point in place of those of the same trees."""
        tops = _tops(manifest)
        for name in list(self.chunks):
            if domain_of(name) != "files" or _below(place_of(name), tops):
                del self.chunks[name]
        for name, sha256 in manifest.chunks.items():
            if domain_of(name) != "files" or _below(place_of(name), tops):
                self.chunks[name] = sha256
        self._seen.update(tops)


def _tops(manifest: Manifest) -> list[str]:
    """The trees whose content was captured; in one that was not, applications write."""
    return [root.path.rstrip("/") for root in manifest.roots if root.content]


def _below(path: str, tops: Iterable[str]) -> bool:
    return any(path == top or path.startswith(f"{top}/") for top in tops)
