"""Bringing back what a step made of a file while an administrator's other edits stay.

Three sides: the file before the step, as it was left (`expected`), and now. Pure but for contents.
"""

from __future__ import annotations

from typing import Any

import msgspec

from host.base import FileState
from snapshots.captured import same_state
from snapshots.inverse import MERGE_LIMIT_BYTES, Contents
from snapshots.merge_over import merge_over
from snapshots.model import FileItem, Item
from snapshots.secret_paths import PREFIX


def merged(
    before: Item | None, expected: Item | None, now: Item | None, contents: Contents
) -> Item | None:
    """The file with the step's part back; `now` itself where nothing of it is missing.

    `None` where it cannot be merged: not both files of one kind, or no text.
    """
    if not isinstance(expected, FileItem) or not isinstance(now, FileItem):
        return None
    was = before.state if isinstance(before, FileItem) else None
    left, there = expected.state, now.state
    if left.kind != there.kind:
        return None
    changes: dict[str, Any] = {
        name: getattr(left, name)
        for name in ("mode", "uid", "gid", "flags", "xattrs")
        if was is None or getattr(was, name) != getattr(left, name)
    }
    if left.sha256 != there.sha256:
        sha256 = _content(was, left, there, contents)
        if sha256 is None:
            return None
        if sha256 != there.sha256:
            size = len(contents.get(sha256))
            changes |= {"sha256": sha256, "size_bytes": size, "mtime_ns": 0}
    state = msgspec.structs.replace(there, **changes)
    return now if same_state(state, there) else FileItem(state)


def _content(
    was: FileState | None, left: FileState, there: FileState, contents: Contents
) -> str | None:
    hashes = [was.sha256 if was is not None else "", left.sha256, there.sha256]
    if any(sha256.startswith(PREFIX) for sha256 in hashes):
        return None
    before, expected, now = (contents.get(sha256) if sha256 else b"" for sha256 in hashes)
    if any(len(side) > MERGE_LIMIT_BYTES for side in (before, expected, now)):
        return None
    content = merge_over(before, expected, now)
    return None if content is None else contents.make(content)
