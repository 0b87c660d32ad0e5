"""Contents by their SHA-256: plain files that a person can read, written once."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from host import scratch
from snapshots import kept_files, sums
from snapshots.durable import sync_directory, sync_files
from snapshots.model import SnapshotError


class ObjectStore:
    """`objects/ab/abcd…`, each 0600. What `add` wrote is there for good only after `sync`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: dict[str, Path] = {}
        self._held: dict[str, bytes] = {}

    def where(self, sha256: str) -> Path:
        return self.path / sha256[:2] / sha256

    def has(self, sha256: str, size_bytes: int | None = None) -> bool:
        """Whether it is there, with that size where one is given. That it is whole is not read."""
        if sha256 in self._pending:
            return True
        try:
            there = os.lstat(f"{self.path}/{sha256[:2]}/{sha256}")
        except OSError:
            return False
        return stat.S_ISREG(there.st_mode) and size_bytes in (None, there.st_size)

    def is_whole(self, sha256: str) -> bool:
        """Whether it is there and what its name says."""
        if sha256 in self._pending:
            return True
        try:
            return sums.file_hash(self.where(sha256)) == sha256
        except OSError:
            return False

    def add(self, content: bytes) -> str:
        """Store `content` and return its SHA-256 in hex. One that was damaged is written anew."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.is_whole(sha256):
            path = self.where(sha256)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # Under another name until it is on the disk: a power cut must not leave half an
            # object under a hash that later captures would trust.
            temporary = path.with_name(f".{sha256}.{scratch.suffix()}")
            _write(temporary, (content,))
            self._pending[sha256] = temporary
        return sha256

    def add_parts(self, parts: Iterable[bytes]) -> str:
        """The same, of a content that is never in memory as a whole."""
        rest = iter(parts)
        first, second = next(rest, b""), next(rest, None)
        if second is None:
            return self.add(first)
        digest = hashlib.sha256()

        def hashed() -> Iterator[bytes]:
            for part in chain((first, second), rest):
                digest.update(part)
                yield part

        draft = self.path / f".draft.{scratch.suffix()}"
        _write(draft, hashed())
        sha256 = digest.hexdigest()
        if self.is_whole(sha256):
            draft.unlink()
            return sha256
        path = self.where(sha256)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_name(f".{sha256}.{scratch.suffix()}")
            os.rename(draft, temporary)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        self._pending[sha256] = temporary
        return sha256

    def hold(self, contents: Iterable[bytes]) -> None:
        """Give these back, too, as long as this process runs: where a full disk has no room."""
        self._held |= {hashlib.sha256(content).hexdigest(): content for content in contents}

    def sync(self) -> None:
        """Return when everything added is on the disk under its name."""
        if not self._pending:
            return
        sync_files(self._pending.values())
        for sha256, temporary in self._pending.items():
            os.rename(temporary, self.where(sha256))
        for directory in {path.parent for path in self._pending.values()}:
            sync_directory(directory)
        sync_directory(self.path)
        self._pending.clear()

    def forget(self) -> None:
        """Drop what was added since the last `sync`."""
        for temporary in self._pending.values():
            temporary.unlink(missing_ok=True)
        self._pending.clear()

    def get(self, sha256: str) -> bytes:
        """The content. Raises `SnapshotError` where it is missing or is not what its name says."""
        if sha256 in self._held:
            return self._held[sha256]
        if sha256 in self._pending:
            self.sync()
        try:
            content = kept_files.read(self.where(sha256))
        except OSError as error:
            raise SnapshotError(
                f"The saved content {self.where(sha256)} cannot be read ({error.strerror}). "
                "`harden-tui history verify` lists what else is missing."
            ) from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SnapshotError(
                f"The saved content {self.where(sha256)} was altered on the disk; it was not used. "
                "Put it back from a backup of the state directory."
            )
        return content

    def all(self) -> Iterator[str]:
        """The names of everything stored, sorted."""
        for directory in sorted(self.path.iterdir()):
            if directory.is_dir():
                yield from sorted(p.name for p in directory.iterdir() if p.name[0] != ".")

    def sweep(self) -> None:
        """Remove what a crash left half-written. What another session writes meanwhile stays: a
        preview holds no lock."""
        for directory in (self.path, *self.path.glob("[!.]*/")):
            for half in scratch.left_in(directory):
                half.unlink(missing_ok=True)

    def remove(self, sha256: str) -> int:
        """Forget one object; returns the bytes that became free."""
        path = self.where(sha256)
        size = path.stat().st_size
        path.unlink()
        return size


def _write(path: Path, parts: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.writelines(parts)
    except OSError:
        path.unlink(missing_ok=True)
        raise
