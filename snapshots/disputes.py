"""What a conflict becomes once a person chose. Pure but for contents.

A conflict is a state `x` of one thing that holds a transaction's change and somebody else's in the
same place, so that the one cannot be told from the other. Each resolution names the state that
would stand instead of `x` if the transaction had never been:

- `keep-current`: `x` itself. The transaction lets go of the thing.
- `restore`: what was there before; what was changed since is given up.
- `merge`: `x` without all that can be told to be the transaction's.

`x` need not be what stands now: it may be what a later transaction found. What that one and all
after it left is then rewritten by the difference between `x` and what takes its place.
"""

from __future__ import annotations

import msgspec

from host.base import FileState
from snapshots.captured import same
from snapshots.chains import is_chain, rules_of_others
from snapshots.decision import name_of
from snapshots.directories import is_dir
from snapshots.inverse import (
    EMPTY,
    MERGE_LIMIT_BYTES,
    Contents,
    Inverse,
    is_opaque,
    metadata_undone,
)
from snapshots.mariadb_rows import LARGE
from snapshots.merge_keeping import merge_keeping
from snapshots.model import (
    Delta,
    FileItem,
    Item,
    Resolution,
    SnapshotError,
    TransactionRecord,
    ValueItem,
)
from snapshots.unread import is_unread

KEPT = "stays as it is now, as you chose; the step lets go of it"
GIVEN_UP = "what was changed since is given up, as you chose; it lies in the restore point of "
MERGED = "what is the step's goes, what was changed since in the same place stays, as you chose"
DAMAGED = "what is kept of its content is damaged"
NOTHING_TO_TAKE_OUT = "nothing of the step can be told from what was changed since; all of it stays"


class Settled(msgspec.Struct, frozen=True):
    """The state that takes the place of the one in conflict, and what a person should know."""

    item: Item | None
    note: str


class Unmergeable(Exception):
    """Why merging means nothing here; one clause for a person."""


def settle(
    choice: Resolution,
    delta: Delta,
    x: Item | None,
    contents: Contents,
    by: TransactionRecord | None = None,
) -> Settled:
    """What stands instead of `x`, which the later transaction `by` found, or which stands now.

    Raises `Unmergeable`.
    """
    if choice == "keep-current":
        return Settled(x, KEPT)
    if choice == "restore":
        return Settled(delta.before, GIVEN_UP + (name_of(by) if by else "this undo"))
    item = _merged(delta, x, contents)
    return Settled(item, NOTHING_TO_TAKE_OUT if same(item, x) else MERGED)


def why_no_merge(delta: Delta, x: Item | None, contents: Contents) -> str:
    """Why `x` cannot be merged; empty if it can."""
    try:
        _merged(delta, x, contents)
    except Unmergeable as error:
        return str(error)
    return ""


def why_no_restore(delta: Delta, x: Item | None) -> str:
    """Why what was before cannot take the place of `x`; empty if it can."""
    is_file = isinstance(x, FileItem) and x.state.kind == "file"
    if is_unread(delta.before) and not is_file:
        return "its content was not kept, so it cannot come back"
    if is_dir(delta.before) and is_dir(delta.after) and not is_dir(x):
        return (
            "only its owner and mode were changed, so an empty directory would take its place; put"
            " the directory back first"
        )
    if x == ValueItem(LARGE):
        return "what stands there now is too large to be kept; drop it yourself first"
    return ""


def _merged(delta: Delta, x: Item | None, contents: Contents) -> Item | None:
    before, after = delta.before, delta.after
    if delta.domain == "mariadb":
        raise Unmergeable("a row of a table has no lines to merge")
    if after is None and before is None:
        raise Unmergeable("it came with a later version of its package, which goes")
    if after is None:
        raise Unmergeable("the step removed it and somebody made it anew")
    if isinstance(x, FileItem) and isinstance(after, FileItem):
        item, how = Inverse(delta, contents).of(x)
        if how == "merged":
            return item
        return _file(x.state, after.state, before, contents)
    if isinstance(x, ValueItem) and isinstance(after, ValueItem) and isinstance(before, ValueItem):
        sides = (item.value.encode("utf-8", "surrogateescape") for item in (after, x, before))
        merged = merge_keeping(*(side + b"\n" for side in sides))
        if merged is not None:
            return ValueItem(merged.decode("utf-8", "surrogateescape").rstrip("\n"))
    if is_chain(delta) and isinstance(x, ValueItem):
        rest, _ = rules_of_others(after, x)
        if not same(rest, x):
            return rest
    raise Unmergeable("there is nothing to merge it with")


def _file(now: FileState, after: FileState, before: Item | None, contents: Contents) -> Item | None:
    old = before.state if isinstance(before, FileItem) else None
    states = [state for state in (old, now, after) if state is not None]
    kinds = {_KINDS.get(state.kind, f"a {state.kind}") for state in states}
    if len(kinds) > 1:
        raise Unmergeable(f"{' and '.join(sorted(kinds))} cannot be merged")
    if now.kind != "file":
        raise Unmergeable(f"{kinds.pop()} has no lines to merge")
    hashes = (after.sha256, now.sha256, old.sha256 if old else EMPTY)
    if any(is_opaque(sha256) for sha256 in hashes):
        raise Unmergeable(
            "its content is secret or was not kept, and the step's part of it cannot be told from"
            " what was changed since"
        )
    try:
        sides = [contents.get(sha256) if sha256 != EMPTY else b"" for sha256 in hashes]
    except SnapshotError:
        raise Unmergeable(DAMAGED) from None
    if any(len(side) > MERGE_LIMIT_BYTES for side in sides):
        raise Unmergeable(f"it is larger than {MERGE_LIMIT_BYTES // 1024**2} MiB")
    text = merge_keeping(*sides)
    if text is None:
        raise Unmergeable("it is not text")
    if old is None and not text:
        return None
    state = now if old is None else metadata_undone(now, after, old)
    if text != sides[1]:
        state = msgspec.structs.replace(
            state, sha256=contents.make(text), size_bytes=len(text), mtime_ns=0
        )
    return FileItem(state)


_KINDS = {
    "file": "a file",
    "dir": "a directory",
    "symlink": "a link",
    "block": "a device",
    "char": "a device",
    "fifo": "a pipe",
    "socket": "a socket",
}
