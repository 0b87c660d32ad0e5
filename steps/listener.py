"""From the work on the host to events: real commands, their output, progress."""

from __future__ import annotations

import time

from steps.events import CommandEvent, Emit, OutputEvent, ProgressEvent
from steps.redact import Redactor

SHORTEST_INTERVAL_S = 0.1


class Listener:
    """A `snapshots.progress.Progress` that emits; counts are thinned to ten a second."""

    def __init__(self, emit: Emit, redact: Redactor) -> None:
        self._emit = emit
        self._redact = redact
        self._last = ("", 0.0)

    def doing(self, what: str, done: int = 0, total: int = 0) -> None:
        now = time.monotonic()
        what_before, said = self._last
        if what == what_before and now - said < SHORTEST_INTERVAL_S and done != total:
            return
        self._last = (what, now)
        self._emit(ProgressEvent(what=self._redact(what), done=done, total=total))

    def command(self, command: str) -> None:
        self._emit(CommandEvent(command=self._redact(command)))

    def output(self, line: str) -> None:
        self._emit(OutputEvent(line=self._redact(line)))
