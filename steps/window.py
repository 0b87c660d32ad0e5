"""Update windows: the seals are lifted for a while, and put back whatever happens.

A window is a transaction of kind "window" that takes its first restore point when it is opened and
its second when it is closed. What an administrator changes in between belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from steps import window_store
from steps.window_model import (
    ClosePlan,
    OpenPlan,
    Window,
    WindowReport,
    WindowStatus,
    WindowUndoPlan,
)

if TYPE_CHECKING:
    from snapshots.state import StateDir
    from steps.engine import Engine

Ended = tuple[int, str, list[str]]
"""Exit status, a sentence, and the ids of the transactions that were committed."""


def current(state: StateDir) -> Window | None:
    """The window there is, in whatever state; one small file is read.

    Raises `SnapshotError` where it cannot be read.
    """
    return window_store.read(state)


def last_report(state: StateDir) -> WindowReport | None:
    """The report of the last window that ended; `None` where there was none."""
    return window_store.last_report(state)


def plan_open(engine: Engine, *, for_s: int, dumps: Sequence[str] = ()) -> OpenPlan:
    """What `opening` would do now; asks only."""
    from steps import window_open

    return window_open.plan(engine, for_s=for_s, dumps=dumps)


def opening(engine: Engine, *, for_s: int, dumps: Sequence[str] = (), note: str = "") -> Ended:
    """Open a window for `for_s` seconds. What is done is emitted, as of an apply.

    0: open. 3: refused, nothing was changed. 4: failed, and everything is sealed as before.
    5: failed, and needs a person.
    """
    from steps import window_open

    return window_open.run(engine, for_s=for_s, dumps=dumps, note=note)


def plan_close(engine: Engine) -> ClosePlan | None:
    """What `closing` would do now; `None` where no window is open."""
    from steps import window_close

    return window_close.plan(engine)


def closing(engine: Engine, *, by_deadline: bool = False) -> Ended:
    """Seal again, check everything, write the report, and end the window.

    `by_deadline`: only where the deadline has passed, and not while somebody writes. 0: closed,
    or nothing to do yet. 3: refused. 5: the window stays open, because sealing failed.
    """
    from steps import window_close

    return window_close.run(engine, by_deadline=by_deadline)


def extending(engine: Engine, for_s: int) -> Ended:
    """Move the deadline to `for_s` seconds from now."""
    from steps import window_extend

    return window_extend.run(engine, for_s)


def plan_undo(engine: Engine) -> WindowUndoPlan:
    """What undoing the window that is open, or else the last one, would do; asks only.

    Raises `StepError` where there is none that could be undone.
    """
    from steps import window_undo

    return window_undo.plan(engine)


def undoing(engine: Engine, fingerprint: str | None = None) -> Ended:
    """Back to the start of the window: files, packages, databases; then sealed again."""
    from steps import window_undo

    return window_undo.run(engine, fingerprint)


def status(state: StateDir) -> WindowStatus:
    """How it stands. Raises `SnapshotError` where that cannot be read."""
    window = window_store.read(state)
    return WindowStatus(
        window=window,
        left_s=round(window.left_s(), 1) if window is not None else 0.0,
        interrupted=window_store.was_interrupted(state, window),
        last=window_store.last_report(state),
    )
