"""What goes with a file that an undo takes away although somebody changed it since. Pure."""

from __future__ import annotations

from typing import Final

from host.base import FLAG_APPEND, FLAG_IMMUTABLE
from snapshots.model import FileItem, Item

LOCKED: Final = "somebody locked it since (chattr +i or +a)"

_WORDS = {"mode": "mode", "uid": "owner", "gid": "group", "flags": "flags",
          "xattrs": "attributes"}  # fmt: skip


def was_locked(after: Item | None, now: Item | None) -> bool:
    """Whether somebody made it immutable since, or append-only: who does means that it stays."""
    if not isinstance(after, FileItem) or not isinstance(now, FileItem):
        return False
    return bool(now.state.flags & ~after.state.flags & (FLAG_IMMUTABLE | FLAG_APPEND))


def what_goes_with(after: Item | None, now: Item | None) -> str:
    """What a person should know: a clause, or nothing."""
    if not isinstance(after, FileItem) or not isinstance(now, FileItem):
        return ""
    if now.state.sha256 != after.state.sha256:
        return "nothing but the step's is left in it"
    changed = [
        word
        for name, word in _WORDS.items()
        if getattr(now.state, name) != getattr(after.state, name)
    ]
    return f"its {' and '.join(changed)} changed since; that goes with it" if changed else ""
