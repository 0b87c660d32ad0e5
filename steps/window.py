"""Update windows: the seals are lifted for a while, and put back whatever happens.

A window is a transaction of kind "window" that takes its first restore point when it is opened and
its second when it is closed. What an administrator changes in between belongs to it.
"""

from __future__ import annotations

from snapshots.state import StateDir
from steps import window_store
from steps.window_model import Window, WindowReport


def current(state: StateDir) -> Window | None:
    """The window there is, in whatever state; one small file is read.

    Raises `SnapshotError` where it cannot be read.
    """
    return window_store.read(state)


def last_report(state: StateDir) -> WindowReport | None:
    """The report of the last window that ended; `None` where there was none."""
    return window_store.last_report(state)
