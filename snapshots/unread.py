"""Differences of large trees, whose content nobody read: they say nothing of it. Pure."""

from __future__ import annotations

import msgspec

from snapshots.model import Delta, FileItem, Item


def seeing_content(theirs: Delta, content: Item | None) -> Delta:
    """The difference with the content of `content` where it does not know the file's.

    Who did not read it did not change it either, so it passes through. Without that, taking out an
    earlier change of the content would end at whoever only sealed the file.
    """
    return Delta(
        theirs.domain, theirs.key, _filled(theirs.before, content), _filled(theirs.after, content)
    )


def as_told(theirs: Delta, before: Item | None, after: Item | None) -> Delta:
    """A new difference in place of `theirs`, which knows as little of the content as that did."""
    return Delta(
        theirs.domain, theirs.key, _like(before, theirs.before), _like(after, theirs.after)
    )


def is_unread(item: Item | None) -> bool:
    """Whether it is a file whose content nobody read."""
    return isinstance(item, FileItem) and item.state.kind == "file" and not item.state.sha256


def same_content(left: Item | None, right: Item | None) -> bool:
    """Whether both are files of the same content, or of none that anybody read."""
    if not isinstance(left, FileItem) or not isinstance(right, FileItem):
        return False
    return left.state.kind == right.state.kind and left.state.sha256 == right.state.sha256


def _filled(item: Item | None, content: Item | None) -> Item | None:
    if not isinstance(item, FileItem) or not isinstance(content, FileItem):
        return item
    if not is_unread(item) or not content.state.sha256:
        return item
    return FileItem(msgspec.structs.replace(item.state, sha256=content.state.sha256))


def _like(item: Item | None, told: Item | None) -> Item | None:
    if not isinstance(item, FileItem) or not is_unread(told):
        return item
    return FileItem(msgspec.structs.replace(item.state, sha256=""))
