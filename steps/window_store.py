"""Where an update window stands, on the disk before anything is done for it.

STATE/window.json         the window there is (`Window`); absent without one
STATE/windows/last.json   the last one that ended, with its report
STATE/windows/<time>/     dumps of databases, of the window there is or the last one
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from snapshots import twins
from snapshots.durable import private_directory
from snapshots.model import SnapshotError
from snapshots.state import StateDir
from steps.window_model import Window, WindowReport

OTHERS_WORK: Final = (
    "The update window is being opened, closed or undone, or that was interrupted; nothing was"
    " changed. `harden-tui window status` says which."
)

T = TypeVar("T")

WHAT: Final = {
    "opening": "The opening of an update window",
    "open": "An update window",
    "closing": "The closing of the update window",
    "undoing": "The undo of an update window",
}


class Ended(msgspec.Struct, frozen=True):
    """A window that is over."""

    window: Window
    report: WindowReport


def read(state: StateDir) -> Window | None:
    """The window there is. Raises `SnapshotError` where that cannot be read."""
    return _load(state.window, Window)


def write(state: StateDir, window: Window) -> Window:
    """Durable on return; returns the window, for whoever goes on with it."""
    _write(state.window, window)
    return window


def forget(state: StateDir) -> None:
    """There is no window any more."""
    twins.remove(state.window)


def was_interrupted(state: StateDir, window: Window | None) -> bool:
    """Whether somebody was opening, closing or undoing it, and is gone. Whoever works on a window
    holds the lock of the state directory."""
    return window is not None and window.state != "open" and state.holder() is None


def end(state: StateDir, window: Window, report: WindowReport) -> None:
    """Remember a window that is over; durable on return."""
    private_directory(_folder(state))
    _write(state.last_window, Ended(window, report))


def last(state: StateDir) -> Ended | None:
    """The last window that ended. Raises `SnapshotError` where that cannot be read."""
    return _load(state.last_window, Ended)


def last_report(state: StateDir) -> WindowReport | None:
    """The report of the last window that ended."""
    ended = last(state)
    return None if ended is None else ended.report


def make_folder(state: StateDir, name: str) -> Path:
    """Where a window's dumps go, for root alone."""
    private_directory(_folder(state))
    private_directory(_folder(state) / name)
    return _folder(state) / name


def drop_others(state: StateDir, name: str) -> None:
    """Take the dumps of earlier windows away: only the window of that folder is undone now."""
    for old in _folder(state).iterdir():
        if old.is_dir() and old.name != name:
            shutil.rmtree(old, ignore_errors=True)


def drop_folder(state: StateDir, name: str) -> None:
    """Take the dumps of a window away that never came to be."""
    if name:
        shutil.rmtree(_folder(state) / name, ignore_errors=True)


def _folder(state: StateDir) -> Path:
    return state.path / "windows"


def _write(path: Path, document: Window | Ended) -> None:
    twins.write(path, msgspec.json.format(msgspec.json.encode(document)) + b"\n")


def _load(path: Path, of: type[T]) -> T | None:
    try:
        return msgspec.json.decode(twins.read(path), type=of)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{path} cannot be read ({twins.why(error)}), nor its copy beside it, so it is not "
            "known how the update window stands; nothing was changed. Put one of the two back "
            "from a backup. Without one: apply the steps that seal (`harden-tui apply app.tree`) "
            "once both are moved away."
        ) from None
