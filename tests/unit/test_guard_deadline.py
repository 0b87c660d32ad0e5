"""The deadline of what waits, as whoever looks on is told it."""

from __future__ import annotations

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
