"""Restore points: a captured state on disk, readable by a person and by sh, never overwritten."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import get_args

import msgspec

from host import scratch
from host.base import FileState
from host.names import exact_json, read_exact_json
from snapshots import kept_files, listing, sums, twins
from snapshots.captured import Captured
from snapshots.durable import sync_directory, sync_files
from snapshots.model import DomainName, FileItem, Item, Root, SnapshotError, ValueItem
from snapshots.objects import ObjectStore

SCHEMA = "harden-tui/restore-point/1"
RESTORE_SCRIPT = Path(__file__).with_name("restore.sh")
DOMAINS: tuple[DomainName, ...] = get_args(DomainName)
_ROWS = msgspec.json.Decoder(tuple[str, str])


def point_before(tx_id: str) -> str:
    """The restore point from before a transaction."""
    return f"{tx_id}.before"


def point_after(tx_id: str) -> str:
    return f"{tx_id}.after"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore point holds.

    `chunks` maps the name of a part ("files /etc/ssh", as `listing` writes names; "kernel net")
    to the SHA-256 of its list; equal parts of different restore points are one object. `taken` is
    ISO 8601 UTC.
    """

    schema: str
    id: str
    taken: str
    host: str
    roots: tuple[Root, ...]
    chunks: dict[str, str]


class Points:
    """The restore points of one state directory."""

    def __init__(self, path: Path, store: ObjectStore) -> None:
        self.path = path
        self._store = store

    def write(
        self, point_id: str, host_name: str, roots: Iterable[Root], captured: Captured
    ) -> Manifest:
        """Make `captured` durable under `point_id`. Raises `SnapshotError` where it exists."""
        roots = tuple(roots)
        chunks = {name: self._store.add_parts(parts) for name, parts in _chunks(roots, captured)}
        manifest = Manifest(
            schema=SCHEMA,
            id=point_id,
            taken=datetime.now(UTC).isoformat(),
            host=host_name,
            roots=roots,
            chunks=chunks,
        )
        if (self.path / point_id).exists():
            raise SnapshotError(
                f"The restore point {point_id} exists already; it was not overwritten and nothing "
                "was changed."
            )
        # What is listed is on the disk before the list is.
        self._store.sync()
        text = exact_json(manifest, indent=2) + b"\n"
        # Under another name until it is whole: whatever has this name can be gone back to.
        draft = self.path / f".{point_id}.{scratch.suffix()}"
        draft.mkdir(mode=0o700)
        try:
            written = [
                _write(draft / "restore.list", _restore_list(manifest), 0o600),
                _write(draft / "restore.sh", RESTORE_SCRIPT.read_bytes(), 0o700),
                _write(draft / "manifest.json", text, 0o600),
            ]
            written.append(_write(draft / sums.NAME, sums.listing_of(written), 0o600))
            sync_files(written)
            sync_directory(draft)
            os.rename(draft, self.path / point_id)
        except OSError:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_directory(self.path)
        return manifest

    def ids(self) -> list[str]:
        """Every restore point, oldest first."""
        return sorted(
            path.name for path in self.path.iterdir() if path.name[0] != "." and path.is_dir()
        )

    def manifest(self, point_id: str) -> Manifest:
        """Raises `SnapshotError` where it is missing or damaged, and restore.list too."""
        path = self.path / point_id / "manifest.json"
        try:
            return read_exact_json(_proved(path), Manifest)
        except (OSError, ValueError) as error:
            for read in (_read_restore_list, _read_agreeing):
                with contextlib.suppress(OSError, ValueError):
                    return read(path.parent)
            raise SnapshotError(
                f"The restore point {path} cannot be read ({twins.why(error)}); it was not used. "
                "`harden-tui history verify` shows what else is damaged."
            ) from None

    def load(self, point_id: str) -> Captured:
        """The captured state. Raises `SnapshotError` where a part is missing or was altered."""
        found: Captured = {domain: {} for domain in DOMAINS}
        for name, sha256 in self.manifest(point_id).chunks.items():
            domain = domain_of(name)
            found[domain].update(decode_chunk(domain, self._store.get(sha256)))
        return found

    def mend(self, point_id: str, captured: Captured) -> None:
        """Write those of its lists anew that are damaged, where the host is as they said still.

        Raises `SnapshotError` where nobody knows which it has, and `OSError`.
        """
        manifest = self.manifest(point_id)
        wanted = {n: sha for n, sha in manifest.chunks.items() if not self._store.is_whole(sha)}
        for name, parts in _chunks(manifest.roots, captured) if wanted else ():
            if name in wanted:
                content = b"".join(parts)
                if hashlib.sha256(content).hexdigest() == wanted[name]:
                    self._store.add(content)
        self._store.sync()

    def load_what_is_whole(self, point_id: str) -> tuple[Captured, dict[str, str]]:
        """The same without the parts that are missing or were altered: their names -> why."""
        found: Captured = {domain: {} for domain in DOMAINS}
        lost = {}
        for name, sha256 in self.manifest(point_id).chunks.items():
            domain = domain_of(name)
            try:
                found[domain].update(decode_chunk(domain, self._store.get(sha256)))
            except SnapshotError as error:
                lost[name] = str(error)
        return found, lost


def _read_agreeing(directory: Path) -> Manifest:
    """What nothing proves any more, but two files say. Raises `OSError`, `ValueError`."""
    manifest = read_exact_json(kept_files.read(directory / "manifest.json"), Manifest)
    if kept_files.read(directory / "restore.list") != _restore_list(manifest):
        raise ValueError(sums.ALTERED)
    return manifest


def _read_restore_list(directory: Path) -> Manifest:
    """What manifest.json says of roots and parts. Raises `OSError`, `ValueError`."""
    roots: list[Root] = []
    chunks = {}
    for line in _proved(directory / "restore.list").decode("ascii").splitlines():
        word, value, name = line.split(" ")
        name = listing.unescape(name)
        if word == "root":
            roots.append(Root(name, content=value == "content"))
        elif word == "leave":
            roots[-1] = msgspec.structs.replace(roots[-1], without=(*roots[-1].without, name))
        else:
            chunks[name if word == "part" else f"files {listing.escape(name)}"] = value
    return Manifest(
        schema=SCHEMA, id=directory.name, taken="", host="", roots=tuple(roots), chunks=chunks
    )


def _proved(path: Path) -> bytes:
    """The content of a restore point's file. Raises `OSError`, `ValueError` where it is altered."""
    content = kept_files.read(path)
    listed = sums.read_listing(path.with_name(sums.NAME)).get(path.name)
    if listed != hashlib.sha256(content).hexdigest():
        raise ValueError(sums.ALTERED)
    return content


def decode_chunk(domain: DomainName, content: bytes) -> dict[str, Item]:
    """One part of a restore point, by key. Raises `SnapshotError`."""
    if domain == "files":
        return {path: FileItem(state) for path, state in listing.decode(content)}
    try:
        rows = _ROWS.decode_lines(content)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"A saved list of {domain} cannot be read: {error}") from None
    return {key: ValueItem(value) for key, value in rows}


def place_of(chunk_name: str) -> str:
    """The directory that a list of files is about."""
    return listing.unescape(chunk_name.partition(" ")[2])


def domain_of(chunk_name: str) -> DomainName:
    word = chunk_name.partition(" ")[0]
    for domain in DOMAINS:
        if domain == word:
            return domain
    raise SnapshotError(f"A restore point names an unknown kind of state: {chunk_name!r}")


def tops_of(roots: Iterable[Root]) -> list[str]:
    """The trees, the innermost first."""
    return sorted((root.path.rstrip("/") for root in roots), key=len, reverse=True)


def part_name(domain: DomainName, key: str, item: Item, tops: list[str]) -> str:
    """The part of a restore point in which something is listed. `tops` as `tops_of` has them."""
    if isinstance(item, FileItem):
        return f"files {listing.escape(_part_of(key, item.state, tops))}"
    return f"kernel {key.partition('.')[0]}" if domain == "kernel" else domain


def _chunks(roots: tuple[Root, ...], captured: Captured) -> Iterable[tuple[str, Iterable[bytes]]]:
    for domain, items in captured.items():
        if domain == "files":
            yield from _file_chunks(roots, items)
            continue
        groups: dict[str, list[tuple[str, str]]] = {}
        for key, item in sorted(items.items()):
            if isinstance(item, ValueItem):
                groups.setdefault(part_name(domain, key, item, []), []).append((key, item.value))
        encoder = msgspec.json.Encoder()
        for part, rows in groups.items():
            yield part, (encoder.encode_lines(rows),)


def _file_chunks(
    roots: tuple[Root, ...], items: dict[str, Item]
) -> Iterable[tuple[str, Iterable[bytes]]]:
    """One list for each directory right below a root, and one for the root's own entries."""
    tops = tops_of(roots)
    groups: dict[str, list[str]] = {}
    group: list[str] = []
    below = "\0"
    for path, item in items.items():
        if not isinstance(item, FileItem):
            continue
        if not path.startswith(below):
            part = _part_of(path, item.state, tops)
            # The next entries of a walk lie in the same directory, mostly.
            below = f"{part}/" if part not in tops else "\0"
            group = groups.setdefault(part, [])
        group.append(path)
    for name in sorted(groups):
        states = map(attrgetter("state"), map(items.__getitem__, groups[name]))
        yield (
            f"files {listing.escape(name)}",
            listing.encode_parts(zip(groups[name], states, strict=True)),
        )


def _part_of(path: str, state: FileState, tops: list[str]) -> str:
    top = next((top for top in tops if path == top or path.startswith(f"{top}/")), "")
    if path == top:
        return top
    first, slash, _ = path[len(top) + 1 :].partition("/")
    return f"{top}/{first}" if slash or state.kind == "dir" else top


def _restore_list(manifest: Manifest) -> bytes:
    """For restore.sh: the roots, then the lists, parents before what lies below them.

    And for `_read_restore_list`, which serves where manifest.json is damaged: all other parts.
    """
    lines = []
    for root in manifest.roots:
        kept = "content" if root.content else "metadata"
        lines.append(f"root {kept} {listing.escape(root.path)}")
        lines += [f"leave - {listing.escape(path)}" for path in root.without]
    for name, sha256 in sorted(manifest.chunks.items()):
        if name.startswith("files "):
            lines.append(f"chunk {sha256} {listing.escape(place_of(name))}")
        else:
            lines.append(f"part {sha256} {listing.escape(name)}")
    return ("\n".join(lines) + "\n").encode("ascii")


def _write(path: Path, content: bytes, mode: int) -> Path:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    return path
