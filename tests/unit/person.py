"""The person at the second terminal, who confirms what is guarded."""

from __future__ import annotations

import threading
from collections.abc import Callable

from steps import guarding
from steps.engine import Engine
from steps.events import Event, GuardEvent


def confirms(engine: Engine) -> None:
    """Keep what waits, now."""
    exit_status, sentence = guarding.confirm(engine, without_login=True)
    assert exit_status in (0, 5), sentence


class Confirming:
    """An `Emit` that keeps the events and confirms whatever begins to wait, from a thread."""

    def __init__(self, another: Callable[[], Engine]) -> None:
        self.events: list[Event] = []
        self._another = another

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, GuardEvent) and event.phase == "waiting":
            threading.Thread(target=lambda: confirms(self._another())).start()
