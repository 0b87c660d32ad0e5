"""Whether a change harmed the rest of the host, over a whole run, and the words for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from host.base import HostError
from host.facts.apache import UNIT
from host.journal import grave_since, in_short, last_lines
from snapshots.model import Answered, Worked
from steps import health, sites
from steps.events import OutputEvent
from steps.health import Health, Loss, Meant
from steps.sites import Page

if TYPE_CHECKING:
    from steps.engine import Engine

FRESH_S = 10.0
"""How long what was seen after one step is what was there before the next: a person may have been
asked in between, and units come and go."""

MOST_TOLD = 3
"""Of what was lost; all of it is in the session log."""

MOST_UNITS = 8
"""Whose journals are read: where everything is down, the first say why."""


class Unhealthy(HostError):
    """Something that worked does not after a change.

    `short` is what is said on the way, the message what it ends with, last words included;
    `losses` are all of them, one sentence each; `said` the last words of the units behind them.
    """

    def __init__(self, short: str, losses: Sequence[str], said: dict[str, tuple[str, ...]]) -> None:
        super().__init__(". ".join([short, *(in_short(*one) for one in said.items())]))
        self.short = short
        self.losses = tuple(losses)
        self.said = said

    @property
    def fields(self) -> dict[str, Any]:
        """All of it, for the session log."""
        return {
            "lost": list(self.losses),
            "said": {name: list(lines) for name, lines in self.said.items()},
        }


class Watch:
    """What works on the host, looked at before and after each change of a run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._before: Health | None = None
        self._known: Health | None = None
        self._known_at_s = 0.0
        self._since_s = 0.0

    @contextmanager
    def looking(self) -> Iterator[Callable[[], Worked]]:
        """`look`, beside whatever else is asked of the host; what is yielded waits for it."""
        with ThreadPoolExecutor(1) as pool:
            looked = pool.submit(self.look)
            # Its thread ends with the look: beside another thread nothing is divided by a fork.
            pool.shutdown(wait=False)
            yield looked.result

    def look(self) -> Worked:
        """See what works now, before a change. Raises `HostError`."""
        known, age_s = self._known, time.monotonic() - self._known_at_s
        self._known = None
        if known is None or age_s > FRESH_S:
            known = health.measure(self._engine.host, self._engine.facts)
        self._before = known
        self._since_s = time.time()
        return health.worked(known)

    @contextmanager
    def looking_again(self) -> Iterator[Callable[[Meant], None]]:
        """`require`, beside whatever else is asked of the host after a change."""
        engine, before = self._engine, self._looked()
        with ThreadPoolExecutor(1) as pool:
            after = pool.submit(health.measure, engine.host, engine.facts, before)
            yield lambda meant: self.require(meant, after.result())

    def require(self, meant: Meant, seen: Health | None = None) -> None:
        """See that it still works. Raises `Unhealthy`, `HostError`.

        `seen`: what was seen after the change already; the facts of the engine must be of then.
        """
        before = self._looked()
        after, losses = self._lost(before, meant, seen)
        if losses:
            raise self._unhealthy("after the change ", losses)
        self._keep(after)

    def still_lost(self) -> str:
        """Once it was taken back: what does not work all the same, as a sentence; else empty."""
        try:
            _, losses = self._lost(self._looked(), Meant())
        except HostError as error:
            return f"Whether everything works again could not be measured: {error}"
        if not losses:
            return ""
        return f"It was taken back, but still {_told([loss.what for loss in losses])}."

    def require_after_undo(self, then: Worked | None) -> str:
        """See that an undo lost nothing that it should not, and say what it did lose.

        `then`: what worked before what is undone (`None`: not known): an undo may bring back a site
        that did not answer. Where it is not known, everything is only said. Raises `Unhealthy`.
        """
        before = self._looked()
        facts = self._engine.facts
        after = health.measure(self._engine.host, facts, before)
        wrong, as_then = health_after_undo(before, after, then)
        if any(loss.is_site for loss in wrong):
            self._wait()
            after = health.ask_again(self._engine.host, facts, before, after)
            wrong, as_then = health_after_undo(before, after, then)
        if wrong:
            raise self._unhealthy("after it ", wrong)
        self._keep(after)
        return _told(as_then)

    def _looked(self) -> Health:
        if self._before is None:
            raise HostError("nobody looked at the host before the change")
        return self._before

    def _keep(self, after: Health) -> None:
        self._known, self._known_at_s = after, time.monotonic()

    def _lost(
        self, before: Health, meant: Meant, seen: Health | None = None
    ) -> tuple[Health, list[Loss]]:
        host, facts = self._engine.host, self._engine.facts
        after = seen or health.measure(host, facts, before)
        losses = health.lost(before, after, meant)
        if any(loss.is_site for loss in losses):
            self._wait()
            after = health.ask_again(host, facts, before, after)
            losses = health.lost(before, after, meant)
        return after, losses

    def _wait(self) -> None:
        if not self._engine.host.is_practice:
            time.sleep(sites.AGAIN_AFTER_S)

    def _unhealthy(self, when: str, losses: Sequence[Loss]) -> Unhealthy:
        """With what the units behind it and Apache's error logs said since the change."""
        engine = self._engine
        said: dict[str, tuple[str, ...]] = {}
        units = dict.fromkeys(unit for loss in losses for unit in loss.units)
        for unit in list(units)[:MOST_UNITS]:
            said[unit] = last_lines(engine.host, unit, self._since_s)
        if any(loss.is_site for loss in losses):
            for path, size in self._looked().logs.items():
                said[path] = grave_since(engine.host, path, size)
        said = {name: tuple(map(engine.redact, lines)) for name, lines in said.items() if lines}
        for name, lines in said.items():
            engine.emit(OutputEvent(line=f"the last words of {name}:"))
            for line in lines:
                engine.emit(OutputEvent(line=line))
        sentences = [engine.redact(loss.what) for loss in losses]
        return Unhealthy(f"{when}{_told(sentences)}", sentences, said)


def health_after_undo(
    before: Health, after: Health, then: Worked | None
) -> tuple[list[Loss], list[str]]:
    """What an undo must not lose, and what it lost as it should, or as far as anybody knows.

    Units are not asked about: the undo itself proves that each is as it was.
    """
    wrong: list[Loss] = []
    told: list[str] = []
    for loss in _ports(before, after, then):
        if then is None:
            told.append(loss.what)
        else:
            wrong.append(loss)
    for earlier, page in health.both(before, after):
        what = sites.worse(earlier, page)
        if not what:
            continue
        if then is None:
            told.append(what)
        elif not _was_so(earlier, page, then.sites.get(health.site_name(page))):
            wrong.append(Loss(what, health.whose(before, page), is_site=True))
        elif page.kind in ("broken", "missing"):
            told.append(f"{what}, as it was before that change")
    if after.apache and not before.apache:
        wrong.append(Loss(f"{after.apache}; its next start would fail", (UNIT,)))
    return wrong, told


def _ports(before: Health, after: Health, then: Worked | None) -> Iterable[Loss]:
    """Lost ports, without those that listened only since."""
    if then is None:
        return health.lost_ports(before, after)
    old = [port for port in before.ports if health.port_name(port) in then.ports]
    return health.lost_ports(msgspec.structs.replace(before, ports=frozenset(old)), after)


def _was_so(before: Page, page: Page, then: Answered | None) -> bool:
    """Whether a site is as it was `then`, before what is undone; `None` where there was no such
    site: one whose virtual host stays did not come with it."""
    if then is None:
        return not page.named
    if before.named and not page.named:
        return False
    if sites.is_another_page(before, page) and page.modified_s != then.modified_s:
        return False
    return sites.kind_of(then.status) in (page.kind, "broken")


def _told(sentences: Sequence[str]) -> str:
    """The first of them, and how many more; all of them are in the session log."""
    more = len(sentences) - MOST_TOLD
    return "; ".join([*sentences[:MOST_TOLD], *([f"and {more} more"] if more > 0 else [])])
