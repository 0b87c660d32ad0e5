"""The deadline of what waits, as whoever looks on is told it."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from snapshots import guard as guards
from steps import guarding
from steps.events import Event, GuardEvent
from tests.unit.person import confirms
from tui.options import Options
from tui.session import Session, open_session

PATIENCE_S = 20.0


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(practice=True, state_dir=tmp_path, log_dir=tmp_path / "log", checklist="server")


def test_a_deadline_that_is_moved_at_once_is_told(options: Options) -> None:
    """As soon as it is said that something waits, and before the run itself looks again."""
    another: Session = open_session(options)
    told: list[float] = []

    def confirm() -> None:
        if guarding.standing(another.engine) is not None:
            confirms(another.engine)

    late = threading.Timer(PATIENCE_S, confirm)

    def emit(event: Event) -> None:
        if not isinstance(event, GuardEvent) or event.phase != "waiting":
            return
        told.append(event.until_s)
        if len(told) == 1:
            guards.set_deadline(another.state, 3000)
            late.start()
        else:
            threading.Thread(target=confirm).start()

    outcome = open_session(options, emit).engine.apply(["ssh.limits"])
    late.cancel()
    assert outcome.exit == 0, outcome.summary
    assert len(told) == 2
    assert told[1] - told[0] > 2000


@pytest.mark.parametrize("at_work", [True, False])
def test_past_its_deadline_it_is_said_whether_it_is_being_taken_back(
    options: Options, at_work: bool
) -> None:
    another: Session = open_session(options)
    told: list[str] = []

    def emit(event: Event) -> None:
        if not isinstance(event, GuardEvent) or event.phase != "waiting" or told:
            return
        guards.set_deadline(another.state, -10)
        guard = guards.read(another.state)
        assert guard is not None
        with guards.decisive(another.state) if at_work else contextlib.nullcontext():
            told.append(guards.told_of_deadline(another.state, guard))
        guards.set_deadline(another.state, 3000)
        threading.Thread(target=confirms, args=(another.engine,)).start()

    assert open_session(options, emit).engine.apply(["ssh.limits"]).exit == 0
    assert ("and being taken back" in told[0]) == at_work
    assert ("nothing takes it back at this moment" in told[0]) != at_work
