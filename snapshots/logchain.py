"""The chain of the session log: what an entry is, and whether each still follows the one before.

Pure functions from lines to a verdict; the files belong to `snapshots.sessionlog`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from host.names import visible

FIRST_PREV = "0" * 64
"""What the first entry carries in place of a hash."""


DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not the JSON they should be, or not UTF-8 at all."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was done. `time` is ISO 8601 UTC with microseconds; hashes are SHA-256, hex.

    `login` tells the login sessions of one person apart ("" where the kernel does not know).
    `hash` is over the entry's canonical JSON (sorted keys, no blanks, ASCII) without `hash`.
    """

    seq: int
    time: str
    session: str
    user: str
    host: str
    login: str = ""
    kind: str
    fields: dict[str, Any]
    prev: str
    hash: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the log is as it was written.

    `seq` is the first entry that is not (0 where all are), `problem` a sentence that names it.
    """

    ok: bool
    entries: int
    seq: int = 0
    problem: str = ""


def verify_chain(lines: list[bytes], path: Path) -> Verdict:
    """The chain itself, from the first entry on."""
    prev = FIRST_PREV
    numbers = [_number(line) for line in lines]
    for index, line in enumerate(lines):
        expected = index + 1
        problem = ""
        entry = sound(line)
        if entry is None:
            problem = f"entry {expected} was altered (line {expected} of {path})"
        elif entry.seq < expected:
            problem = f"entry {entry.seq} stands twice (line {expected} of {path})"
            expected = entry.seq
        elif entry.seq > expected and expected in numbers[index + 1 :]:
            problem = f"entry {expected} was moved: line {expected} of {path} holds {entry.seq}"
        elif entry.seq > expected:
            problem = f"entry {expected} is missing (line {expected} of {path} holds {entry.seq})"
        elif entry.prev != prev:
            problem = f"entry {max(1, expected - 1)} was replaced: entry {expected} follows another"
            expected = max(1, expected - 1)
        elif "head_was_missing" in entry.fields:
            problem = f"entries may be missing before entry {expected}: head.json was gone then"
        if problem:
            return Verdict(ok=False, entries=len(lines), seq=expected, problem=problem)
        prev = entry.hash if entry is not None else prev
    return Verdict(ok=True, entries=len(lines))


def sound(line: bytes) -> Entry | None:
    """The entry, if the line is byte for byte what its own hash vouches for."""
    try:
        entry = msgspec.json.decode(line, type=Entry)
    except DAMAGED:
        return None
    body = msgspec.to_builtins(entry)
    if canonical(body) != line:
        return None
    claimed = body.pop("hash")
    return entry if digest(body) == claimed else None


def _number(line: bytes) -> int:
    entry = sound(line)
    return entry.seq if entry is not None else 0


def hash_in(line: bytes) -> str:
    entry = sound(line)
    return entry.hash if entry is not None else ""


def canonical(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")


def digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()


def clean(value: Any) -> Any:
    """`value` with every text writable as UTF-8: a name is logged as it is shown everywhere."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value
