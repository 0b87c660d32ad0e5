"""The lines of a transaction's journal: what was about to happen, each with its sum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from host.names import exact_json, read_exact_json
from snapshots import kept_files
from snapshots.model import FileItem, Item, Key
from snapshots.programs import Reach

BROUGHT = "brought"
"""A line whose `names` came with packages outside of what was captured, tops and all below them."""

RETURNED = "returned"
"""A line whose `names` were there before and are there again since, as `returned` has it."""


class JournalLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was about to happen, written and synced before it did. Never holds content.

    `what`: begin, change, wrote, rewrote, came, brought, stayed, returned, validate, activate,
    rollback, drift, back, strange, persons.
    `path` is a file a change names, or (for "came") what came with packages outside of what was
    captured, or (for "stayed") what came with them or by somebody's hand, or (for "strange") a
    package that others changed. `names` are (for "rollback" and "drift") all that is put back, as
    "files /etc/motd", or (for "wrote") the files that the program of the line before wrote, once it
    ended; `sums` are what of files stands there then, as `left_as` has it.
    """

    time: str
    what: str
    summary: str
    path: str = ""
    secret: bool = False
    kind: str = ""
    """Which kind of change it is, as its tag has it; "" where that is not told."""
    place: str = ""
    """Where a change writes that names no file: a tree and all in it, or one file."""
    sha256: str = ""
    """What is left at `path`, as `left_as` has it; "" where that is not told."""
    reach: tuple[Reach, ...] | None = None
    """What besides files a change may change; `None` where that is not told."""
    names: tuple[str, ...] | None = None
    sums: tuple[str, ...] | None = None
    sum: str = ""
    """The first 16 digits of the SHA-256 of the line without this field."""


def left_as(item: Item | None) -> str:
    """What stands there, in a word: the SHA-256 of a file (keyed, of a secret), "-> TARGET" of a
    link, "nothing", or the kind; "" of a file whose content was not read."""
    if item is None:
        return "nothing"
    if not isinstance(item, FileItem):
        return ""
    state = item.state
    if state.kind == "file":
        return state.sha256
    return f"-> {state.target}" if state.kind == "symlink" else state.kind


def name_of(key: Key) -> str:
    """As it stands among `names`."""
    return " ".join(key)


def key_of(name: str) -> Key:
    """What `name_of` made a name of. Raises `msgspec.ValidationError`."""
    domain, _, key = name.partition(" ")
    found: Key = msgspec.convert((domain, key), Key)
    return found


def encoded(line: JournalLine) -> bytes:
    """As it stands in the journal, without its end."""
    return exact_json(msgspec.structs.replace(line, sum=_sum_of(line)))


def decoded(text: bytes) -> JournalLine | None:
    """What was given to `encoded`; `None` where it is not that any more."""
    try:
        found = read_exact_json(text, JournalLine)
    except ValueError:
        return None
    return found if found.sum == _sum_of(found) and exact_json(found) == text else None


def was_cut_off(text: bytes) -> bool:
    """Whether a crash may have made this of a line; one that only lost its last bit was altered."""
    return not text.endswith(b"}") and decoded(text[:-1] + b"}") is None


def ends_cut_off(path: Path) -> bool:
    """Whether a crash left the last line without its end."""
    try:
        with kept_files.opened(path) as stream:
            size = stream.seek(0, os.SEEK_END)
            if size == 0:
                return False
            stream.seek(size - 1)
            return stream.read(1) != b"\n"
    except FileNotFoundError:
        return False


def _sum_of(line: JournalLine) -> str:
    bare = exact_json(msgspec.structs.replace(line, sum=""))
    return hashlib.sha256(bare).hexdigest()[:16]
