"""A window whose opening, closing or undo was cut off: finished, or taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from steps import window_store
from steps.outcome import GOOD
from steps.window_close import close
from steps.window_model import Window
from steps.window_open import abandon
from steps.window_undo import go_on
from steps.window_work import Ended

if TYPE_CHECKING:
    from steps.engine import Engine


def settle(engine: Engine, window: Window) -> Ended:
    """Bring it to an end: an opening goes back, a closing and an undo go on. As those end.

    Call it with the lock held, when nothing else was interrupted.
    """
    if window.state == "opening":
        return abandon(engine, window, "it was interrupted")
    if window.state == "undoing":
        return go_on(engine, window)
    if window.state == "closing":
        return close(engine, window, "closed")
    return GOOD, "", []


def recover(engine: Engine) -> Ended:
    """The same for whatever window there is; nothing where none was interrupted."""
    window = window_store.read(engine.state)
    if window is None or window.state == "open":
        return GOOD, "", []
    engine.works_on_window = True
    try:
        return settle(engine, window)
    finally:
        engine.works_on_window = False
