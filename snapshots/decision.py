"""The terms of an undo: what came later, what must stay, and what is decided for each thing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from snapshots.model import (
    Delta,
    Item,
    Key,
    Resolution,
    TransactionRecord,
    UndoHow,
)

DERIVED = re.compile(
    r"/etc/(ld\.so\.cache|mailcap|inetd\.conf\.bak"
    r"|(passwd|group|shadow|gshadow|subuid|subgid)-"
    r"|init\.d/\.depend\.(boot|start|stop)"
    r"|(aliases|postfix/.*)\.db|udev/hwdb\.bin|\.updated|ssl/certs/ca-certificates\.crt)"
)
"""Files that package tools make anew from others whenever packages come or go."""

ACCOUNT_FILES = frozenset(
    f"/etc/{name}{suffix}"
    for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
    for suffix in ("", "-")
)


class Later(msgspec.Struct):
    """A transaction that came after the one to undo and still stands."""

    record: TransactionRecord
    deltas: dict[Key, Delta]


class Kept(msgspec.Struct, frozen=True):
    """What must stay because packages stay.

    `packages`: name -> the package that needs it. `files` and `units`: key -> package they belong
    to. `heirs`: package -> id of the later transaction that inherits it ("" where none does).
    `wanted`: those of `packages` that a person asked apt to keep -> how, as one clause. `beyond`:
    files that nothing of packages is reached by any more -> why, as one clause. `places`: those of
    `files` that no package has -> the package that came in place of theirs. `shared`: files of
    groups of alternatives in which others are, too. `put`: files that somebody put into directories
    of the packages -> why they stay, as one clause.
    """

    packages: dict[str, str] = {}
    files: dict[str, str] = {}
    units: dict[str, str] = {}
    heirs: dict[str, str] = {}
    wanted: dict[str, str] = {}
    beyond: dict[str, str] = {}
    places: dict[str, str] = {}
    shared: frozenset[str] = frozenset()
    put: dict[str, str] = {}

    def owner(self, delta: Delta) -> str:
        """The staying package this belongs to, or ""; what is `beyond` or `put` is its own."""
        match delta.domain:
            case "packages":
                return delta.key if delta.key in self.packages else ""
            case "files":
                if delta.key in self.beyond or delta.key in self.put:
                    return delta.key
                return self.files.get(delta.key, "")
            case "units":
                return self.units.get(delta.key, "")
            case _:
                return ""


class Clash(msgspec.Struct, frozen=True):
    """A change by somebody else that cannot be told from ours: from `left` to `found`.

    It was found by a later transaction (`by`), or stands now (`None`).
    """

    left: Item | None
    found: Item | None
    by: TransactionRecord | None = None


class Decision(msgspec.Struct, gc=False):
    """What happens to one thing. `target` counts only where `how` is restore or merge.

    `heirs` are the later transactions that it is handed over to. `clashes`: why it is or was in
    conflict; `chosen` is what a person wanted then, `cannot` what is not possible and why.
    `damaged`: what of its kept content cannot be had, a clause, where the undo needs that.
    """

    delta: Delta
    how: UndoHow
    target: Item | None = None
    note: str = ""
    heirs: tuple[TransactionRecord, ...] = ()
    clashes: tuple[Clash, ...] = ()
    chosen: Resolution | Literal[""] = ""
    cannot: dict[Resolution, str] = {}
    damaged: str = ""

    @property
    def disputed(self) -> bool:
        return bool(self.clashes)

    @property
    def changes(self) -> bool:
        return self.how in ("restore", "merge")


def by_key(deltas: Iterable[Delta]) -> dict[Key, Delta]:
    return {(delta.domain, delta.key): delta for delta in deltas}


def name_of(record: TransactionRecord) -> str:
    """A transaction as a person knows it: its steps, or its title where it is not theirs."""
    if record.is_of_steps:
        return ", ".join(record.steps)
    return record.title.removeprefix("Undo: ") or record.id


def called(record: TransactionRecord) -> str:
    """The same, told from what it undoes where it is an undo."""
    name = name_of(record)
    return f"undo of {name}" if record.kind == "rollback" else name
