"""The terms of update windows: a window that is open, what was found when it closed, as data."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

SCHEMA = "harden-tui/window/1"
"""Of `window status --format json`."""

WindowState = Literal["opening", "open", "closing", "undoing"]
"""What is being done with it. But for "open" somebody is at work, or was interrupted."""

BY_WINDOW: Final = {
    "window.open": "open", "window.application": "status", "window.close": "close",
}  # fmt: skip
"""Steps that no apply brings about, and what is asked of `window` instead."""


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A step that seals, lifted for the window. `values` are those it was applied with, and will
    be applied with again; `transactions` are those that were undone; `roots` its trees."""

    step: str
    values: dict[str, int | str | bool | list[str]]
    transactions: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """A database as it was at the start: an SQL file, for root alone."""

    database: str
    path: str
    bytes_: int = msgspec.field(name="bytes", default=0)
    sha256: str = ""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Why a window is open after its deadline. `since` and `next` (the next attempt) are ISO 8601
    UTC; `writers` are sentences such as "/srv/app/x (rsync, process 812)"."""

    since: str
    next: str = ""
    writers: tuple[str, ...] = ()


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """An update window from its opening to its end. Times are ISO 8601 UTC.

    `id` is the transaction that holds its start, and in the end what changed; "" until its restore
    point was taken. `seals` are the
    steps lifted so far, all of them once it is "open"; `dumps` the databases as they were. `who`
    opened it. `failed` is why the last attempt to close it did not succeed, "" without one.
    """

    id: str
    state: WindowState
    opened: str
    deadline: str
    who: str = ""
    note: str = ""
    seals: tuple[Seal, ...] = ()
    dumps: tuple[Dump, ...] = ()
    hold: str = ""
    """The transaction that holds needrestart back and keeps old packages."""
    passing: tuple[str, ...] = ()
    """Ids of the steps that were as wanted when it was opened."""
    versions: dict[str, str] = {}
    ports: tuple[str, ...] = ()
    waiting: Waiting | None = None
    failed: str = ""
    checklist: str = ""
    folder: str = ""
    """Name of the directory in STATE/windows where its dumps lie."""
    made: tuple[str, ...] = ()
    """Directories that were made for its units."""
    was_open: bool = True
    """While it is undone: whether it had not been closed before."""
    given_up: tuple[Dump, ...] = ()
    """While it is undone: the databases as they were just before."""
    restored: tuple[str, ...] = ()
    """While it is undone: the databases that were put back; what they hold since then stays."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The ids of the steps whose seals are lifted."""
        return tuple(dict.fromkeys(seal.step for seal in self.seals))

    @property
    def trees(self) -> tuple[str, ...]:
        """The trees that are unsealed."""
        return tuple(dict.fromkeys(root for seal in self.seals for root in seal.roots))

    def left_s(self, now: datetime | None = None) -> float:
        """Seconds to the deadline; less than 0 where it has passed."""
        moment = now or datetime.now(UTC)
        return (datetime.fromisoformat(self.deadline) - moment).total_seconds()


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A package, unit, or version that is not what it was; "" for what is not there."""

    name: str
    before: str = ""
    after: str = ""


class FilesChanged(msgspec.Struct, frozen=True, kw_only=True):
    """How many files below `top` changed, and a few of their paths. The diffs are those of the
    window's transaction (`history show ID`)."""

    top: str
    new: int = 0
    gone: int = 0
    edited: int = 0
    attributes: int = 0
    examples: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return self.new + self.gone + self.edited + self.attributes


class CheckChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A step that was as wanted when the window was opened, and is not now."""

    step: str
    status: str
    note: str = ""


class WindowReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a window. `transaction` has all the differences and diffs.

    `how`: "closed" by a person, "deadline" by itself, or "undone". `sealed` are the steps that
    were applied again; `ports` as "tcp 0.0.0.0 443", with "listens" and "" for before and after.
    `worse` are the steps that passed at the start and do not now.
    """

    transaction: str
    how: Literal["closed", "deadline", "undone"]
    opened: str
    closed: str
    who: str = ""
    note: str = ""
    sealed: tuple[str, ...] = ()
    packages: tuple[Changed, ...] = ()
    files: tuple[FilesChanged, ...] = ()
    units: tuple[Changed, ...] = ()
    ports: tuple[Changed, ...] = ()
    versions: tuple[Changed, ...] = ()
    checked: dict[str, int] = {}
    """Status -> how many steps of the checklist had it after the close."""
    worse: tuple[CheckChanged, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all changed during the window."""
        return not (self.packages or self.files or self.units or self.ports or self.versions)


class WindowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`window status --format json`. `left_s` is less than 0 after the deadline; `interrupted`:
    whoever opened, closed or undid it is gone; `last` is the report of the last one that ended."""

    window: Window | None
    left_s: float = 0.0
    interrupted: bool = False
    last: WindowReport | None = None
    schema: str = SCHEMA


class OpenPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What opening would do. With `refusals` it would not."""

    deadline: str
    seals: tuple[Seal, ...] = ()
    dumps: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    """What is held back meanwhile, a sentence each."""
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class ClosePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What closing would do. `writers` are at work in the trees now, which a person may overrule
    and the deadline never does."""

    window: Window
    writers: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


class UndoItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that undoing a window puts back; `domain` is a domain of restore points, or
    "database"."""

    domain: str
    key: str
    how: str
    diff: str = ""
    note: str = ""


class WindowUndoPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What undoing a window would do. `steps` are those applied in it, which are undone first;
    `fingerprint` changes with anything that would be done otherwise."""

    window: str
    opened: str
    items: tuple[UndoItem, ...] = ()
    commands: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    fingerprint: str = ""
