"""Whether what harden-tui remembers is whole, and what can still be restored from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from host.names import read_exact_json
from snapshots import guard as guards
from snapshots import kept_files, leaving, sums, twins
from snapshots.answers import Answers
from snapshots.captured import TOO_LARGE, is_metadata_only, loses_content
from snapshots.debs import KeptDebs
from snapshots.domains.packages import Package
from snapshots.guides import Guides
from snapshots.mariadb_cells import secrets_of
from snapshots.model import (
    UNFINISHED,
    Delta,
    FileItem,
    Item,
    SnapshotError,
    TransactionRecord,
    ValueItem,
)
from snapshots.objects import ObjectStore
from snapshots.package_ties import brought
from snapshots.points import Points
from snapshots.records import LIST, NAMES, ORIGINAL, TABLES, Records
from snapshots.secret_paths import PREFIX, SecretPaths
from snapshots.state import StateDir

POINT_FILES = ("manifest.json", "restore.list", "restore.sh")


NEVER_KEPT = "was not kept"

Offered = Callable[[str, str], bool]


class Standing(msgspec.Struct, frozen=True):
    """A transaction in force, and whether it can still be undone; `why` says why not."""

    id: str
    steps: tuple[str, ...]
    can_be_undone: bool
    why: tuple[str, ...] = ()


class Stores:
    """The contents and packages of one state directory, each looked at once."""

    def __init__(
        self,
        state: StateDir,
        *,
        practice: bool = False,
        offered: Offered | None = None,
        objects: ObjectStore | None = None,
    ) -> None:
        """`offered` says whether the host's sources have a package in a version; `objects`: what is
        on its way into the store counts, too."""
        self._offered = offered
        self._objects = objects or ObjectStore(state.objects)
        self._secrets = SecretPaths(state)
        self._debs = None if practice else KeptDebs(state.debs)
        self._known: dict[str, str] = {}

    def lacks(self, delta: Delta) -> str:
        """What the way back of a difference needs and does not have, a sentence; "" if nothing."""
        if delta.domain == "packages":
            return self._package(delta)
        if isinstance(delta.before, ValueItem):
            return next(filter(None, map(self._secret, secrets_of(delta.before.value))), "")
        if loses_content(delta.before, delta.after):
            return f"the content of {delta.key}, {TOO_LARGE}, {NEVER_KEPT}"
        return self.content(delta.key, delta.before)

    def content(self, key: str, item: Item | None) -> str:
        """Why the content of a file cannot be had; "" where it can, or none is needed."""
        if not isinstance(item, FileItem) or not item.state.sha256 or is_metadata_only(item):
            return ""
        sha256 = item.state.sha256
        if sha256 not in self._known:
            self._known[sha256] = self._look(sha256)
        return f"the saved content of {key} {self._known[sha256]}" if self._known[sha256] else ""

    def _secret(self, hashed: str) -> str:
        lacking = self._look(hashed)
        return f"a password in an application's table {lacking}" if lacking else ""

    def _look(self, sha256: str) -> str:
        try:
            if not sha256.startswith(PREFIX):
                self._objects.get(sha256)
            elif self._secrets.content(sha256) is None:
                return "is secret and was not kept"
        except SnapshotError:
            there = not sha256.startswith(PREFIX) and self._objects.where(sha256).exists()
            return f"({sha256[:12]}…) {'was altered on the disk' if there else 'is missing'}"
        return ""

    def _package(self, delta: Delta) -> str:
        before, after = Package.of(delta.before), Package.of(delta.after)
        if self._debs is None or before is None:
            return ""
        if after is not None and after.version == before.version:
            return ""
        path = self._debs.find(delta.key, before.version)
        if path is None and self._offered and self._offered(delta.key, before.version):
            return ""
        if path is None:
            return f"the kept package {delta.key} {before.version} is missing"
        if not self._debs.is_whole(path):
            return f"the kept package {path.name} was altered on the disk"
        return ""


def problems(state: StateDir) -> Iterator[str]:
    """What is damaged beside contents, lists and records, a sentence each."""
    for directory in sorted(state.points.iterdir()):
        if directory.is_dir() and directory.name[0] != ".":
            yield from _point(directory)
    records = Records(state)
    rebased = _rebased(records)
    for tx_id in records.ids():
        yield from _transaction(records, state.points, tx_id, rebased)
    yield from _debs(state)
    yield from _secrets(state)
    for kept in state.kept_twice:
        yield from twins.problems(kept)
    yield from _windows(state)
    yield from _readable(state)
    if guards.is_damaged(state):
        yield f"{guards.directory(state) / 'guard.json'} was altered on the disk."


def standing(state: StateDir, *, practice: bool = False) -> list[Standing]:
    """Every transaction in force, oldest first, and what an undo of it would meet."""
    records = Records(state)
    stores = Stores(state, practice=practice)
    points = Points(state.points, ObjectStore(state.objects))
    unreadable: list[str] = []
    found: list[TransactionRecord] = []
    for tx_id in records.ids():
        try:
            if records.has_record(tx_id):
                found.append(records.read(tx_id))
        except SnapshotError:
            unreadable.append(f"the record of {tx_id} was altered or cannot be read")
    in_force = [one for one in found if one.in_force]
    try:
        _ = SecretPaths(state).paths
    except SnapshotError:
        unreadable.append("which files are secret, or the key to compare them, was lost")
    lists = {one.id: _list_problem(records, one.id) for one in in_force}
    answer = []
    for number, one in enumerate(in_force):
        why = list(unreadable)
        why += [lists[later.id] for later in in_force[number:] if lists[later.id]]
        if not lists[one.id]:
            why += _point_problem(points, records.deltas(one.id), one.id)
            why += [said for delta in records.deltas(one.id) if (said := stores.lacks(delta))]
        answer.append(Standing(one.id, one.steps, not why, tuple(dict.fromkeys(why))))
    return answer


def require_lists(records: Records, tx_id: str) -> None:
    """Raise `SnapshotError` where this or a later one in force has no list of differences.

    An empty answer for a lost file would make an undo that does nothing look complete. One that
    is there and damaged shows when it is read.
    """
    for record in records.all():
        path = records.where(record.id) / LIST
        if record.id >= tx_id and record.in_force and not path.exists():
            raise SnapshotError(cannot(f"the list of differences {path} is missing"))


def lists_lost(records: Records) -> dict[str, str]:
    """Transactions whose undo needs a list of differences that is damaged or missing, by id, and
    which that is, a clause: their own, or that of a later one in force."""
    lost = ""
    found: dict[str, str] = {}
    for one in reversed([record for record in records.all() if record.in_force]):
        lost = _list_problem(records, one.id) or lost
        if lost:
            found[one.id] = lost
    return found


def lacking(stores: Stores, deltas: Iterable[Delta]) -> dict[str, str]:
    """What an undo would come to and is not there any more: key -> what it is, a clause."""
    return {delta.key: said for delta in deltas if (said := stores.lacks(delta))}


def without(gone: Mapping[str, str], what: str = "This") -> str:
    """The sentences of an undo that `lacking` found something of; `what` is undone."""
    more = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
    first = next(iter(gone.values()))
    if first.endswith(NEVER_KEPT):
        return f"{what} cannot be undone: {first}{more}; nothing of it was touched."
    return cannot(f"{first}{more}", what)


def cannot(why: str, what: str = "This") -> str:
    """The sentences of what cannot be undone because of something damaged, a clause."""
    return (
        f"{what} cannot be undone: {why}; nothing of it was touched. Put it back from a backup of "
        "the state directory. `harden-tui history verify` shows what else is damaged."
    )


def _point_problem(points: Points, deltas: Iterable[Delta], tx_id: str) -> list[str]:
    """Where packages came, their undo asks what was there before them."""
    if not brought(deltas):
        return []
    point = f"{tx_id}.before"
    try:
        lost = points.load_what_is_whole(point)[1]
    except SnapshotError:
        return [f"its restore point {points.path / point} is missing or was altered"]
    return [f"the list {name!r} of its restore point was altered or is missing" for name in lost]


def _list_problem(records: Records, tx_id: str) -> str:
    path = records.where(tx_id) / LIST
    if not path.exists():
        return f"the list of differences {path} is missing"
    try:
        records.deltas(tx_id)
    except (SnapshotError, OSError):
        return f"the list of differences {path} was altered or cannot be read"
    return ""


def _point(directory: Path) -> Iterator[str]:
    listing = directory / sums.NAME
    try:
        listed = sums.read_listing(listing)
    except (OSError, ValueError) as error:
        yield f"{listing} cannot be read ({error}); the files beside it could not be proved."
        listed = {}
    for name in POINT_FILES:
        path = directory / name
        try:
            sha256 = sums.file_hash(path)
        except OSError as error:
            yield f"{path} cannot be read ({error.strerror})."
            continue
        if listed and listed.get(name) != sha256:
            yield f"{path} was altered on the disk."


def _rebased(records: Records) -> set[str]:
    """The transactions whose lists an undo replaced; what cannot be read is said elsewhere."""
    found: set[str] = set()
    for tx_id in records.ids():
        with contextlib.suppress(SnapshotError):
            record = records.read(tx_id)
            found.update(record.rebased if record.status in ("pending", "committed") else ())
    return found


def _transaction(
    records: Records, points: Path, tx_id: str, rebased: Container[str]
) -> Iterator[str]:
    directory = records.where(tx_id)
    there = {name for name in (LIST, ORIGINAL, "journal.jsonl") if (directory / name).exists()}
    if not records.has_record(tx_id):
        if there:
            yield f"The transaction {tx_id} has lost its record {records.record_path(tx_id)}."
        return
    yield from twins.problems(records.record_path(tx_id))
    try:
        record = records.read(tx_id)
    except SnapshotError:
        return  # said already
    journal = directory / "journal.jsonl"
    whole = record.status in ("pending", "committed", "undone")
    try:
        for number in records.altered_in_journal(tx_id, was_interrupted=not whole):
            yield f"{journal} was altered on the disk, in line {number}."
        lost = record.journaled - records.journaled(tx_id)
        if lost > 0:
            yield f"{journal} has lost lines of its end ({lost})."
    except FileNotFoundError:
        if whole:
            yield f"{journal} is missing."
    except OSError as error:
        yield f"{journal} cannot be read ({error.strerror})."
    for path in (directory / name for name in (leaving.NAME, NAMES, TABLES)):
        try:
            sums.without_sum(kept_files.read(path))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            yield f"{path} cannot be read ({twins.why(error)})."
    if whole and not is_pruned(points, record):
        for name in (LIST, ORIGINAL) if tx_id in rebased else (LIST,):
            if name not in there:
                yield f"{directory / name} is missing."


def is_pruned(points: Path, record: TransactionRecord) -> bool:
    """Pruning takes the restore points of what is over, and its list of differences with them."""
    is_over = not record.in_force and record.status not in UNFINISHED
    return is_over and not (points / f"{record.id}.before").exists()


def _debs(state: StateDir) -> Iterator[str]:
    debs = KeptDebs(state.debs)
    for path in sorted(state.debs.glob("*.deb")):
        if path.name[0] != "." and not debs.is_whole(path):
            yield f"The kept package {path} was altered on the disk, or its hash was."
    for path in sorted(state.debs.glob("*.deb.sha256")):
        if not path.with_suffix("").exists():
            yield f"The kept package {path.with_suffix('')} is missing."


def _secrets(state: StateDir) -> Iterator[str]:
    secrets = SecretPaths(state)
    try:
        _ = secrets.paths
        for path in sorted(state.secret_contents.iterdir()):
            if path.name[0] != ".":
                secrets.content(PREFIX + path.name)
    except (SnapshotError, OSError) as error:
        yield str(error)


def _readable(state: StateDir) -> Iterator[str]:
    """What people may write by hand carries no sum, and no undo needs it."""
    for read in (lambda: Answers(state), lambda: Guides(state).all()):
        try:
            read()
        except SnapshotError as error:
            yield str(error)


def _windows(state: StateDir) -> Iterator[str]:
    """Where the update window stands, and its dumps; those of the last one until the next opens."""
    for path in (state.window, state.last_window):
        try:
            text = twins.read(path)
            if path == state.window:
                window = read_exact_json(text, _Window)
            else:
                window = read_exact_json(text, _LastWindow).window
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            yield f"{path} cannot be read ({twins.why(error)}), nor its copy beside it."
            continue
        if path == state.window or not twins.exists(state.window):
            yield from _dumps(window)


class _Dump(msgspec.Struct, frozen=True):
    path: str
    sha256: str


class _Window(msgspec.Struct, frozen=True):
    """Of an update window: the databases as they were, and what its undo gave up."""

    dumps: tuple[_Dump, ...] = ()
    given_up: tuple[_Dump, ...] = ()


class _LastWindow(msgspec.Struct, frozen=True):
    window: _Window


def _dumps(window: _Window) -> Iterator[str]:
    for dump in (*window.dumps, *window.given_up):
        try:
            is_whole = sums.file_hash(Path(dump.path)) == dump.sha256
        except OSError as error:
            yield f"The dump {dump.path} cannot be read ({error.strerror})."
            continue
        if not is_whole:
            yield f"The dump {dump.path} was altered on the disk."
