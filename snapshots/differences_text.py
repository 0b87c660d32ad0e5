"""Two states of one thing as text for a person: unified diffs, modes as chmod writes them."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable

from host.base import FLAG_APPEND, FLAG_IMMUTABLE, FileState
from host.hashes import without_hashes
from host.names import clean
from snapshots import mariadb_cells
from snapshots.listing import acl_text
from snapshots.mariadb_rows import is_row, shown
from snapshots.model import Delta, FileItem, Item, ValueItem
from snapshots.private_keys import NOT_SHOWN, holds_private_key
from snapshots.secret_paths import PREFIX

DIFF_LIMIT_BYTES = 1024 * 1024
"""Above this nobody reads a diff; the sizes are said instead."""

_FLAG_NAMES = ((FLAG_IMMUTABLE, "i"), (FLAG_APPEND, "a"), (0x40, "d"), (0x80, "A"))


def of_delta(delta: Delta, read: Callable[[str], bytes]) -> str:
    """What changed from `before` to `after`; `read` gives a content by its SHA-256."""
    return between(delta.key, delta.before, delta.after, read)


def between(key: str, before: Item | None, after: Item | None, read: Callable[[str], bytes]) -> str:
    """What is different, without the hashes of passwords: of /etc/shadow one sees whose changed."""
    return without_hashes(_between(key, before, after, read))


def _between(
    key: str, before: Item | None, after: Item | None, read: Callable[[str], bytes]
) -> str:
    if isinstance(before, FileItem) or isinstance(after, FileItem):
        old = before.state if isinstance(before, FileItem) else None
        new = after.state if isinstance(after, FileItem) else None
        return _files(key, old, new, read)
    sides = [as_text(item) if item is not None else "" for item in (before, after)]
    if any("\n" in side for side in sides):  # rules of a chain
        names = [key if item is not None else "absent" for item in (before, after)]
        left, right = (side.splitlines() for side in sides)
        return "\n".join(difflib.unified_diff(left, right, names[0], names[1], lineterm=""))
    return f"{key}: {as_text(before)} -> {as_text(after)}"


def as_text(item: Item | None) -> str:
    """One state in a few words."""
    if item is None:
        return "absent"
    if isinstance(item, ValueItem):
        if mariadb_cells.is_cells(item.value):
            return mariadb_cells.shown(item.value)
        return shown(item.value) if is_row(item.value) else item.value
    return _metadata(item.state)


def side_text(item: Item | None, read: Callable[[str], bytes]) -> str:
    """One side of a conflict: the text of a file, else the state in a few words."""
    if isinstance(item, FileItem) and item.state.kind == "file":
        text = _text(item.state, read)
        if text is not None:
            return without_hashes(text)
    return as_text(item)


def metadata_change(before: Item | None, after: Item | None) -> str:
    """What changed apart from content ("mode 0644 -> 0444, flags - -> i")."""
    old = before.state if isinstance(before, FileItem) else None
    new = after.state if isinstance(after, FileItem) else None
    if old is None or new is None:
        return f"{as_text(before)} -> {as_text(after)}"
    if old.kind == new.kind == "file" and not old.xattrs and not new.xattrs:
        return _plain_change(_plain(old), _plain(new))
    return _change(old, new)


def _plain(state: FileState) -> tuple[int, int, int, int]:
    return state.mode, state.uid, state.gid, state.flags


@functools.lru_cache(maxsize=256)
def _plain_change(old: tuple[int, int, int, int], new: tuple[int, int, int, int]) -> str:
    """Remembered: of a sealed tree's 50,000 files nearly all change alike."""
    left, right = (
        FileState(kind="file", mode=mode, uid=uid, gid=gid, flags=flags)
        for mode, uid, gid, flags in (old, new)
    )
    return _change(left, right)


def _change(old: FileState, new: FileState) -> str:
    parts = [
        f"{name} {clean(left)} -> {clean(right)}"
        for name, left, right in zip(_NAMES, _parts(old), _parts(new), strict=True)
        if left != right
    ]
    return ", ".join(parts)


_NAMES = ("kind", "mode", "owner", "flags", "target", "ACL", "attributes", "device")


def _parts(state: FileState) -> tuple[str, ...]:
    acl = acl_text(state.xattrs)
    others = sorted(name for name in state.xattrs if not name.startswith("system.posix_acl"))
    return (
        state.kind,
        f"{state.mode:04o}",
        f"{state.uid}:{state.gid}",
        "".join(sign for bit, sign in _FLAG_NAMES if state.flags & bit) or "-",
        state.target or "-",
        acl,
        ",".join(f"{name}={state.xattrs[name].hex()}" for name in others) or "-",
        str(state.rdev),
    )


def _metadata(state: FileState) -> str:
    if state.kind == "symlink":
        return f"link to {clean(state.target)}"
    return f"{state.kind}, mode {state.mode:04o}, owner {state.uid}:{state.gid}"


def _files(
    path: str, old: FileState | None, new: FileState | None, read: Callable[[str], bytes]
) -> str:
    path = clean(path)
    lines = []
    if old is None or new is None or old.kind != new.kind:
        before = FileItem(old) if old else None
        after = FileItem(new) if new else None
        lines.append(f"{path}: {as_text(before)} -> {as_text(after)}")
    else:
        change = metadata_change(FileItem(old), FileItem(new))
        if change:
            lines.append(f"{path}: {change}")
    old_sha, new_sha = (state.sha256 if state else "" for state in (old, new))
    if old_sha == new_sha:
        return "\n".join(lines)
    if old_sha.startswith(PREFIX) or new_sha.startswith(PREFIX):
        return "\n".join([*lines, f"{path}: content is secret and not shown"])
    left, right = (_text(state, read) if state else "" for state in (old, new))
    if NOT_SHOWN in (left, right):
        return "\n".join([*lines, f"{path}: {NOT_SHOWN}"])
    if left is None or right is None:
        sizes = [state.size_bytes if state else 0 for state in (old, new)]
        return "\n".join([*lines, f"{path}: not text, {sizes[0]} -> {sizes[1]} bytes"])
    diff = difflib.unified_diff(
        left.splitlines(),
        right.splitlines(),
        path if old else "/dev/null",
        path if new else "/dev/null",
        lineterm="",
    )
    return "\n".join([*lines, *diff])


def _text(state: FileState, read: Callable[[str], bytes]) -> str | None:
    """The content of a text file, or `NOT_SHOWN`; "" of anything without content, `None` where it
    is no text."""
    if state.kind != "file" or not state.sha256:
        return ""
    if state.sha256.startswith(PREFIX):
        return "(secret, not shown)"
    if state.size_bytes > DIFF_LIMIT_BYTES:
        return None
    content = read(state.sha256)
    if b"\0" in content or len(content) > DIFF_LIMIT_BYTES:
        return None
    if holds_private_key(content):
        return NOT_SHOWN
    return content.decode("utf-8", "replace")
