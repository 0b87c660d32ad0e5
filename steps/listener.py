"""From the work on the host to events: real commands, their output, progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from steps.events import CommandEvent, Emit, OutputEvent, ProgressEvent
from steps.redact import Redactor

SHORTEST_INTERVAL_S = 0.1
ALIVE_INTERVAL_S = 5.0


class Listener:
    """A `snapshots.progress.Progress` that emits; counts are thinned to ten a second."""

    def __init__(
        self, emit: Emit, redact: Redactor, alive: Callable[[], None] | None = None
    ) -> None:
        """`alive` is called with every sign of life, some seconds apart at least."""
        self._emit = emit
        self._redact = redact
        self._alive = alive
        self._alive_s = time.monotonic()
        self._last = ("", 0.0)

    def doing(self, what: str, done: int = 0, total: int = 0) -> None:
        self._lives()
        now = time.monotonic()
        what_before, said = self._last
        if what == what_before and now - said < SHORTEST_INTERVAL_S and done != total:
            return
        self._last = (what, now)
        self._emit(ProgressEvent(what=self._redact(what), done=done, total=total))

    def command(self, command: str) -> None:
        self._lives()
        self._emit(CommandEvent(command=self._redact(command)))

    def output(self, line: str) -> None:
        self._lives()
        self._emit(OutputEvent(line=self._redact(line)))

    def _lives(self) -> None:
        if self._alive is not None and time.monotonic() - self._alive_s >= ALIVE_INTERVAL_S:
            self._alive_s = time.monotonic()
            self._alive()
