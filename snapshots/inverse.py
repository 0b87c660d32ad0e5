"""Taking one transaction's difference out of one state of one thing. Pure but for contents.

`Inverse.of(x)` asks: what would `x` be if the transaction had never happened?
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal

import msgspec

from host.base import FileState
from snapshots.captured import same, same_state
from snapshots.domains.packages import LEFTOVER, Package
from snapshots.mariadb_cells import is_cells
from snapshots.members import merge_accounts
from snapshots.merge import merge3
from snapshots.model import Delta, FileItem, Item, SnapshotError, ValueItem
from snapshots.secret_merge import Secrets, taken_out
from snapshots.secret_paths import PREFIX

How = Literal["exact", "merged", "gone", "failed"]
"""`exact`: it was just as the transaction left it. `merged`: it held more than that, and keeps it.
`gone`: nothing of the transaction is in it. `failed`: cannot be told apart."""

MERGE_LIMIT_BYTES = 4 * 1024 * 1024
"""Larger files are not text that a person edits."""


class Contents:
    """Contents by hash: the stored ones and those that a merge just made."""

    def __init__(
        self,
        read: Callable[[str], bytes],
        secrets: Secrets | None = None,
        lacks: Callable[[str, Item | None], str] = lambda key, item: "",
    ) -> None:
        """`lacks`: why the kept content of a file cannot be had, a clause; "" where it can."""
        self._read = read
        self._secrets = secrets
        self._lacks = lacks
        self.made: dict[str, bytes] = {}
        self.made_secret: dict[str, bytes] = {}
        """By keyed hash; these go where secrets are kept."""

    def get(self, sha256: str) -> bytes:
        return self.made[sha256] if sha256 in self.made else self._read(sha256)

    def make(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.made[sha256] = content
        return sha256

    def lacks(self, key: str, *items: Item | None) -> str:
        """Why the content of one of these states of a file cannot be had; "" where all can."""
        for item in items:
            sha256 = item.state.sha256 if isinstance(item, FileItem) else ""
            if sha256 in self.made or sha256 in self.made_secret:
                continue
            if lacking := self._lacks(key, item):
                return lacking
        return ""

    def taken_out(self, path: str, now: str, after: str, before: str) -> str | None:
        """The keyed hash of a secret file's content `now`, without what made `after` of `before`;
        `None` where that cannot be told. All are keyed hashes."""
        secrets = self._secrets
        if secrets is None or not all(one.startswith(PREFIX) for one in (now, after, before)):
            return None
        old = self.made_secret.get(before) or secrets.content(before)
        there = self.made_secret.get(now) or secrets.content(now)
        if there is None:
            there = secrets.stands(path)
            if there is None or secrets.hashed(there) != now:
                return None
        if old is None or max(len(old), len(there)) > MERGE_LIMIT_BYTES:
            return None
        merged = taken_out(old, there, lambda content: secrets.hashed(content) == after)
        if merged is None:
            return None
        hashed = secrets.hashed(merged)
        self.made_secret[hashed] = merged
        return hashed


class Inverse:
    """The way back of one difference. `merging` off: only what is exactly as it was left."""

    def __init__(self, delta: Delta, contents: Contents, *, merging: bool = True) -> None:
        self._delta = delta
        self._contents = contents
        self._merging = merging

    def of(self, x: Item | None) -> tuple[Item | None, How]:
        delta = self._delta
        if same(x, delta.after):
            return delta.before, "exact"
        if same(x, delta.before):
            return x, "gone"
        if delta.domain == "packages":
            return self._package(x)
        if isinstance(x, FileItem) and isinstance(delta.after, FileItem):
            return self._file(x, delta.after.state, delta.before)
        if delta.domain == "firewall":
            return self._firewall(x)
        if isinstance(x, ValueItem) and is_cells(x.value):
            return x, "failed"  # the application may have written it anew, with our password in it
        return x, "gone"

    def _package(self, x: Item | None) -> tuple[Item | None, How]:
        before, after = Package.of(self._delta.before), Package.of(self._delta.after)
        now = Package.of(x)
        if after is None:  # it was taken away; whoever brought it back since wants it
            return (self._delta.before, "exact") if now is None else (x, "gone")
        if before is None and x == ValueItem(LEFTOVER):
            # Somebody removed it, and dpkg keeps its configuration. Taken away behind dpkg's back,
            # that would count as deleted by hand and not come with the next installation.
            return self._delta.before, "merged"
        if now is None:
            return x, "gone"
        if before is None:  # it was brought; upgraded or not, it goes
            return self._delta.before, "merged"
        undone = Package(
            before.version if now.version == after.version else now.version,
            before.mark if now.mark == after.mark else now.mark,
            before.flags if now.flags == after.flags else now.flags,
        )
        return undone.item(), "merged" if undone != now else "gone"

    def _firewall(self, x: Item | None) -> tuple[Item | None, How]:
        before, after = self._delta.before, self._delta.after
        if not self._merging:
            return x, "gone"
        if not (
            isinstance(x, ValueItem)
            and isinstance(before, ValueItem)
            and isinstance(after, ValueItem)
        ):
            return x, "failed"
        merged = merge3(*(_lines(item.value) for item in (after, x, before)))
        if merged is None:
            return x, "failed"
        return ValueItem(merged.decode("utf-8", "surrogateescape").rstrip("\n")), "merged"

    def _file(self, x: FileItem, after: FileState, before: Item | None) -> tuple[Item | None, How]:
        state = x.state
        if state.kind != after.kind:
            return x, "gone"
        if state.kind == "dir" and before is None:
            return None, "merged"  # whether something still lies in it is asked elsewhere
        if not self._merging and not same_state(_bare(state), _bare(after)):
            return x, "gone"
        old = before.state if isinstance(before, FileItem) else None
        if old is not None and old.kind != after.kind:
            return x, "failed"
        if state.kind != "file":
            if state.target != after.target or state.rdev != after.rdev:
                return x, "failed"
            return (None if old is None else FileItem(metadata_undone(state, after, old))), "merged"
        sha256 = self._content(state.sha256, after.sha256, old.sha256 if old else None)
        if sha256 is None:
            return x, "failed"
        if old is None:
            if sha256 == EMPTY:
                return None, "merged"
            undone = msgspec.structs.replace(state, sha256=sha256, mtime_ns=0)
        else:
            undone = metadata_undone(state, after, old)
            if sha256 != state.sha256:
                is_old = is_opaque(sha256) or sha256 == old.sha256
                size = old.size_bytes if is_old else len(self._contents.get(sha256))
                undone = msgspec.structs.replace(undone, sha256=sha256, size_bytes=size, mtime_ns=0)
        if same_state(undone, state):
            return x, "gone"
        return FileItem(undone), "merged"

    def _content(self, now: str, after: str, before: str | None) -> str | None:
        """The hash without the transaction; `None` where that cannot be told."""
        if before == after:
            return now
        old = EMPTY if before is None else before
        if now == after:
            return old
        if now == before:
            return now
        if not self._merging:
            return None
        if any(is_opaque(sha256) for sha256 in (now, after, old)):
            return self._contents.taken_out(self._delta.key, now, after, old)
        try:
            sides = [b"" if sha256 == EMPTY else self._contents.get(sha256)
                     for sha256 in (after, now, old)]  # fmt: skip
        except SnapshotError:  # what is kept of one of them is damaged
            return None
        if any(len(side) > MERGE_LIMIT_BYTES for side in sides):
            return None
        merged = merge3(*sides)
        if merged is None:
            merged = merge_accounts(self._delta.key, *sides)
        return None if merged is None else self._contents.make(merged)


EMPTY = hashlib.sha256(b"").hexdigest()


def is_opaque(sha256: str) -> bool:
    """Whether content is not ours to read: secret, or not captured."""
    return not sha256 or sha256.startswith(PREFIX)


def read_hash(item: Item | None) -> str:
    """The hash of a file's content, or "" where that is not ours to read."""
    if not isinstance(item, FileItem) or item.state.kind != "file":
        return ""
    return "" if is_opaque(item.state.sha256) else item.state.sha256


def with_content(contents: Contents, item: FileItem, content: bytes) -> FileItem:
    """The same file holding that."""
    sha256 = contents.make(content)
    state = msgspec.structs.replace(item.state, sha256=sha256, size_bytes=len(content), mtime_ns=0)
    return FileItem(state)


def _bare(state: FileState) -> FileState:
    return msgspec.structs.replace(
        state, mode=0, uid=0, gid=0, flags=0, xattrs={}, size_bytes=0, mtime_ns=0
    )


def metadata_undone(now: FileState, after: FileState, before: FileState) -> FileState:
    """`now` with each property the transaction changed set back, unless it changed again since."""
    changes = {
        name: getattr(before, name)
        for name in ("mode", "uid", "gid", "flags", "xattrs")
        if getattr(now, name) == getattr(after, name)
    }
    if now.target == after.target:
        changes["target"] = before.target
    return msgspec.structs.replace(now, **changes)


def _lines(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape") + b"\n"


def is_present(item: Item | None) -> bool:
    """Whether it stands for something: a package of which only configuration is left does not."""
    return item is not None and item != ValueItem(LEFTOVER)
