"""Every step of the catalogue on a real host, alone: fails, applied, proved, undone, identical."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import UNDONE
from tests.hosts.fingerprint import Fingerprint, differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, furnish, harden
from tests.hosts.trials import all_trials
from tests.hosts.trials.trial import attempt

TRIALS = all_trials()


class Stock:
    """A host that trials share as long as each leaves it as it found it."""

    def __init__(self, suite: str, layer: Path) -> None:
        self.suite = suite
        self._layer = layer
        self._host: LabHost | None = None
        self.last: Fingerprint | None = None

    def host(self) -> LabHost:
        if self._host is None:
            self._host = LabHost(self.suite, self._layer).__enter__()
            furnish(self._host)
            self._host.ssh("sudo true")  # leaves a mark in the home of whoever does it first
        return self._host

    def throw_away(self) -> None:
        if self._host is not None:
            self._host.__exit__(None, None, None)
        self._host = self.last = None


@pytest.fixture(scope="module")
def stock(suite: str, installed: Path) -> Iterator[Stock]:
    shared = Stock(suite, installed)
    yield shared
    shared.throw_away()


def test_planning_everything_changes_nothing(stock: Stock) -> None:
    host = stock.host()
    before = fingerprint(host, APP)
    plan = harden(host, "plan", "--checklist", "i-doit", check=False)
    assert plan.returncode == 1, plan.stderr
    assert differences(before, fingerprint(host, APP)) == []


@pytest.mark.every_release
@pytest.mark.parametrize("step", TRIALS)
def test_step(stock: Stock, step: str, record_property: Callable[[str, object], None]) -> None:
    trial = TRIALS[step]
    if trial.acts:
        record_property(UNDONE, step)
    try:
        left = attempt(stock.host(), trial, None if trial.roots else stock.last)
        stock.last = None if trial.tidy or trial.roots else left
    except BaseException:
        stock.throw_away()
        raise
