"""Moving the deadline of a window."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from host.base import HostError
from snapshots.model import Busy
from steps import window_store
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED
from steps.window_close import NO_WINDOW
from steps.window_work import Ended, at_work, install_units, now, save, spoken

if TYPE_CHECKING:
    from steps.engine import Engine


def run(engine: Engine, for_s: int) -> Ended:
    """See `steps.window.extending`."""
    try:
        with at_work(engine, "window extend"):
            window = window_store.read(engine.state)
            if window is None or window.state != "open":
                return REFUSED, NO_WINDOW if window is None else window_store.OTHERS_WORK, []
            deadline = (now() + timedelta(seconds=for_s)).isoformat()
            # First what decides: the units ask it each time.
            window = save(engine, msgspec.structs.replace(window, deadline=deadline, waiting=None))
            try:
                install_units(engine, window)
            except HostError as error:
                return NEEDS_PERSON, f"The deadline was moved, but its timer was not: {error}", []
            problem = engine.record(
                "window-extend", steps=list(window.steps), transaction=window.id, deadline=deadline
            )
    except Busy as error:
        return REFUSED, str(error), []
    said = f"The update window is open until {spoken(deadline)}. {problem}"
    return NEEDS_PERSON if problem else GOOD, said.rstrip(), []
