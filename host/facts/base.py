"""Facts are read once, shared by every step, and read side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from host.base import Host, HostError

T = TypeVar("T")


class FactUnavailable(HostError):
    """The fact could not be read; the message says why (missing program, needs root, …)."""


class Fact(Generic[T]):
    """Something a host can be asked: a name and the function that asks it.

    `read` gets the host and the other facts (for those it builds on) and returns plain data.
    """

    def __init__(self, name: str, read: Callable[[Host, Facts], T]) -> None:
        self.name = name
        self._read = read

    def read(self, host: Host, facts: Facts) -> T:
        return self._read(host, facts)

    def __repr__(self) -> str:
        return f"Fact({self.name!r})"


class Facts:
    """The answers of one host, each asked at most once. Safe to use from several threads."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.seen_since_s: float | None = None
        self._answers: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, fact: Fact[T]) -> T:
        """The fact's answer. Raises `FactUnavailable`, the same each time, if it has none."""
        with self._guard:
            lock = self._locks.setdefault(fact.name, threading.Lock())
        with lock:
            if fact.name not in self._answers:
                try:
                    self._answers[fact.name] = fact.read(self.host, self)
                except FactUnavailable as error:
                    self._answers[fact.name] = error
                except (HostError, OSError) as error:
                    self._answers[fact.name] = FactUnavailable(str(error))
            answer = self._answers[fact.name]
        if isinstance(answer, FactUnavailable):
            raise answer
        return answer  # type: ignore[no-any-return]  # stored under the name of this very fact

    def prefetch(self, facts: Iterable[Fact[Any]], *, workers: int = 8) -> None:
        """Read many facts side by side; failures are kept for whoever asks."""
        wanted = {fact.name: fact for fact in facts if fact.name not in self._answers}
        if not wanted:
            return

        def read(fact: Fact[Any]) -> None:
            try:
                self.get(fact)
            except FactUnavailable:
                return  # kept; the step that needs it will say so

        with ThreadPoolExecutor(min(workers, len(wanted))) as pool:
            list(pool.map(read, wanted.values()))

    def forget(self, *, seen_since_s: float | None = None) -> None:
        """Drop every answer: the host was changed.

        `seen_since_s`: after this moment (`time.monotonic`) whatever was walked may be taken for
        what is there now, as far as `Host.walked` knows it.
        """
        with self._guard:
            self.seen_since_s = seen_since_s
            self._answers.clear()
            self._locks.clear()
