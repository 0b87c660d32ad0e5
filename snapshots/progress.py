"""What a long piece of work says while it goes on. The floor above turns it into events."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Listener for work on the host; every method may be called from the working thread only."""

    def doing(self, what: str, done: int = 0, total: int = 0) -> None:
        """A piece of work begins or goes on ("capturing /etc", 1200, 0)."""

    def command(self, command: str) -> None:
        """A real command is about to run, as an administrator would type it."""

    def output(self, line: str) -> None:
        """A line the running command printed."""


class Silent:
    """A listener that says nothing."""

    def doing(self, what: str, done: int = 0, total: int = 0) -> None:
        return None

    def command(self, command: str) -> None:
        return None

    def output(self, line: str) -> None:
        return None
