"""The practice host's files: real content in a directory, pretend owners, modes and flags.

Whoever runs it may not be root, so owners, modes, flags and attributes are kept in a table
beside the tree (`metadata.json`) and never given to the real files.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

import host.base
from host.base import FLAG_IMMUTABLE, FileKind, FileState, HostError, TreeRule
from host.names import exact_json, read_exact_json

DEFAULT_FILE = FileState(kind="file", mode=0o644)
DEFAULT_DIRECTORY = FileState(kind="dir", mode=0o755)


class PracticeFiles:
    """Files of a host whose root directory is `root`."""

    def __init__(self, root: Path, table: Path) -> None:
        self.root = root
        self._table = table
        self._metadata: dict[str, FileState] = {}
        if table.exists():
            self._metadata = read_exact_json(table.read_bytes(), dict[str, FileState])

    def real(self, path: str) -> Path:
        """Where `path` of the practice host lies; never outside its root."""
        clean = os.path.normpath("/" + path.lstrip("/"))
        return self.root / clean.lstrip("/")

    def save(self) -> None:
        """Keep the pretend metadata (called after every change)."""
        temporary = self._table.with_suffix(".new")
        temporary.write_bytes(exact_json(self._metadata))
        temporary.replace(self._table)

    def state(self, path: str, *, content: bool = False) -> FileState | None:
        real = self.real(path)
        try:
            there = real.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        kept = self._metadata.get(os.path.normpath(path))
        if stat.S_ISLNK(there.st_mode):
            return FileState(kind="symlink", mode=0o777, target=os.readlink(real))
        kind: FileKind = "dir" if stat.S_ISDIR(there.st_mode) else "file"
        base = kept or (DEFAULT_DIRECTORY if kind == "dir" else DEFAULT_FILE)
        return msgspec.structs.replace(
            base,
            kind=kind,
            size_bytes=there.st_size if kind == "file" else 0,
            mtime_ns=there.st_mtime_ns,
            sha256=hashlib.sha256(real.read_bytes()).hexdigest()
            if content and kind == "file" and there.st_size <= host.base.LARGEST_READ_BYTES
            else "",
        )

    def read_bytes(self, path: str, limit_bytes: int) -> bytes:
        real = self.real(self.realpath(path))
        if not real.is_file():
            raise HostError(f"{path} could not be read: it is not there on the practice host")
        if real.stat().st_size > limit_bytes:
            raise HostError(f"{path} is larger than {limit_bytes} bytes and was not read")
        return real.read_bytes()

    def realpath(self, path: str) -> str:
        """Links resolved inside the practice host's own root."""
        for _ in range(40):
            parts = os.path.normpath(path).split("/")
            for depth in range(2, len(parts) + 1):
                place = "/".join(parts[:depth])
                real = self.real(place)
                if real.is_symlink():
                    target = os.readlink(real)
                    joined = os.path.join(os.path.dirname(place), target)
                    path = os.path.normpath(os.path.join(joined, *parts[depth:]))
                    break
            else:
                return os.path.normpath(path)
        return path

    def listdir(self, path: str) -> list[str]:
        real = self.real(self.realpath(path))
        return sorted(entry.name for entry in real.iterdir()) if real.is_dir() else []

    def glob(self, pattern: str) -> list[str]:
        """Matches by name, level by level; a link to nothing is found as well."""
        found = [""]
        for part in pattern.strip("/").split("/"):
            if _has_magic(part):
                found = [f"{above}/{name}" for above in found for name in self.listdir(above or "/")
                         if fnmatch.fnmatchcase(name, part)
                         and name.startswith(".") == part.startswith(".")]  # fmt: skip
            else:
                found = [f"{above}/{part}" for above in found
                         if self.state(f"{above}/{part}") is not None]  # fmt: skip
        return sorted(found)

    def put(self, path: str, state: FileState | None, content: bytes | None = None) -> None:
        real = self.real(path)
        clean = os.path.normpath(path)
        there = self.state(path)
        if state is None:
            if there is None:
                return
            if there.kind == "dir":
                if any(real.iterdir()):
                    raise HostError(f"{path} was not removed: the directory is not empty")
                real.rmdir()
            else:
                real.unlink()
            self._metadata.pop(clean, None)
        else:
            if there is not None and there.kind != state.kind:
                shutil.rmtree(real) if there.kind == "dir" else real.unlink()
                there = None
            if state.kind == "symlink":
                if there is not None:
                    real.unlink()
                os.symlink(state.target, real)
            elif state.kind == "dir":
                real.mkdir(exist_ok=True)
            elif content is not None or there is None:
                temporary = real.with_name(f".harden-tui.{real.name}")
                temporary.write_bytes(content or b"")
                temporary.replace(real)
            if state.kind in ("file", "dir"):
                self._remember(clean, state)
        self.save()

    def link_above(self, path: str, within: str) -> str:
        """The first link on the way from `within` to `path`, or ""."""
        above = os.path.dirname(path) if within and path.startswith(f"{within}/") else ""
        found = ""
        while above.startswith(within) and len(above) > 1:
            found = above if self.real(above).is_symlink() else found
            above = os.path.dirname(above)
        return found

    def write_file(self, path: str, content: bytes, state: FileState | None) -> None:
        there = self.state(path)
        if there is not None and there.kind != "file":
            raise HostError(f"{path} was not written: a {there.kind} stands there")
        if not self.real(os.path.dirname(path)).is_dir():
            raise HostError(f"{path} was not written: its directory does not exist")
        self.put(path, state or there or DEFAULT_FILE, content)

    def walk(
        self, root: str, *, content: bool, without: Container[str] = ()
    ) -> Iterator[tuple[str, FileState]]:
        top = self.state(root, content=content)
        if top is None:
            return
        yield root, top
        if top.kind == "dir" and root not in without:
            for name in self.listdir(root):
                path = f"{root.rstrip('/')}/{name}"
                yield from self.walk(path, content=content, without=without)

    def apply_rules(
        self, root: str, rules: Sequence[TreeRule], on_progress: Callable[[int], None] | None
    ) -> int:
        changed = 0
        for number, (path, there) in enumerate(list(self.walk(root, content=False)), 1):
            if there.kind in ("file", "dir"):
                wanted = _ruled(path, there, rules)
                if not wanted.same_as(there):
                    self._remember(path, wanted)
                    changed += 1
            if on_progress is not None and number % 1000 == 0:
                on_progress(number)
        self.save()
        return changed

    def apply_states(self, wanted: Iterable[tuple[str, FileState]]) -> int:
        changed = 0
        for path, state in wanted:
            there = self.state(path)
            if there is not None and there.kind in ("file", "dir") and not there.same_as(state):
                self._remember(os.path.normpath(path), state)
                changed += 1
        self.save()
        return changed

    def sealed(self, path: str) -> bool:
        """Whether the pretend flags forbid a write to `path`."""
        there = self.state(path)
        return there is not None and bool(there.flags & FLAG_IMMUTABLE)

    def _remember(self, path: str, state: FileState) -> None:
        self._metadata[path] = msgspec.structs.replace(
            state, sha256="", size_bytes=0, mtime_ns=0, target=""
        )


def _has_magic(part: str) -> bool:
    return any(sign in part for sign in "*?[")


def _ruled(path: str, there: FileState, rules: Sequence[TreeRule]) -> FileState:
    best: TreeRule | None = None
    for rule in rules:
        below = path == rule.path or path.startswith(rule.path.rstrip("/") + "/")
        if not below or (rule.name_suffixes and not path.endswith(rule.name_suffixes)):
            continue
        if best is None or (len(rule.path), bool(rule.name_suffixes)) >= (
            len(best.path), bool(best.name_suffixes)
        ):  # fmt: skip
            best = rule
    if best is None:
        return there
    mode = best.dir_mode if there.kind == "dir" else best.file_mode
    return msgspec.structs.replace(
        there,
        uid=there.uid if best.uid is None else best.uid,
        gid=there.gid if best.gid is None else best.gid,
        mode=there.mode if mode is None else mode,
        flags=(there.flags | best.flags_set) & ~best.flags_clear,
    )
