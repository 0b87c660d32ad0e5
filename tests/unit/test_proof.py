"""Nothing is called good that was not measured, and a log that fails does not change what was."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from host.base import CommandMissing, FileState, Host, HostError
from host.facts import Facts
from host.facts.base import FactUnavailable
from snapshots.model import SnapshotError
from steps import health
from steps.guard_settings import Guarding
from steps.resource import Planned
from steps.resources.sshd import Sshd
from steps.watch import Unhealthy, Watch
from tests.unit.person import confirms
from tui.options import Options
from tui.session import Session, open_session

STEP = "ssh.limits"
DROP_IN = "/etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return open_session(
        Options(practice=True, state_dir=tmp_path, log_dir=tmp_path / "log", checklist="server"),
        guarding=Guarding(wait=False),
    )


@pytest.mark.parametrize("waived", [False, True])
def test_a_measurement_that_breaks_off_is_no_proof(
    session: Session, monkeypatch: pytest.MonkeyPatch, waived: bool
) -> None:
    def breaks_off(*_: object) -> None:
        raise FactUnavailable("sshd did not answer")

    monkeypatch.setattr(Sshd, "prove", breaks_off)
    if waived:
        session.engine.answers.waive(STEP, "for a test", by="alice")
    outcome = session.engine.apply([STEP])
    assert outcome.exit == 4
    assert "could not be measured: sshd did not answer" in outcome.summary
    assert session.host.state(DROP_IN) is None


@pytest.mark.parametrize("fails", [False, True])
def test_a_log_that_cannot_be_written_does_not_hide_what_was_done(
    session: Session, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SnapshotError("The session log cannot be written.")

    def breaks_off(*_: object) -> None:
        raise FactUnavailable("sshd did not answer")

    monkeypatch.setattr(session.log, "append", full)
    if fails:
        monkeypatch.setattr(Sshd, "prove", breaks_off)
    outcome = session.engine.apply([STEP])
    assert "The session log cannot be written." in outcome.summary
    if fails:
        assert (outcome.exit, outcome.transactions) == (4, ())
        return
    assert outcome.exit == 5 and len(outcome.transactions) == 1
    assert "applied, proved and kept" in outcome.summary
    confirms(session.engine)
    undone = session.engine.rollback([STEP])
    assert (undone.exit, len(undone.transactions)) == (5, 1)
    assert "was undone. The session log" in undone.summary
    confirms(session.engine)
    assert session.host.state(DROP_IN) is None


def test_a_service_manager_that_does_not_answer_is_not_a_missing_one() -> None:
    def silent() -> None:
        raise HostError("systemd does not answer")

    def missing(argv: list[str]) -> None:
        raise CommandMissing(f"{argv[0]} is not installed")

    running = SimpleNamespace(
        services=silent, ports=tuple, state=lambda _path: FileState(kind="dir"), run=missing
    )
    host = cast(Host, running)
    with pytest.raises(HostError, match="does not answer"):
        health.measure(host, Facts(host))
    running.state = lambda _path: None
    assert health.measure(host, Facts(host)).active == frozenset()


def test_nothing_to_change_is_said_of_what_was_measured(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.engine.apply([STEP]).exit == 0
    confirms(session.engine)
    assert session.engine.apply([STEP]).summary.startswith("Nothing to change: the host is as")

    def breaks_off(*_: object) -> None:
        raise FactUnavailable("sshd did not answer")

    monkeypatch.setattr(Sshd, "observe", breaks_off)
    monkeypatch.setattr(Sshd, "plan", lambda *_: Planned())
    assert "ssh.limits (unknown) is not as wanted" in session.engine.apply([STEP]).summary


def _unhealthy(_watch: object, *_: object) -> None:
    raise Unhealthy("after the change a site does not answer", ["a site does not answer"], {})


@pytest.mark.parametrize(
    ("still", "status"), [("", 4), ("It was taken back, but still a site does not answer.", 5)]
)
def test_harm_to_the_rest_of_the_host_goes_back_and_is_logged(
    session: Session, monkeypatch: pytest.MonkeyPatch, still: str, status: int
) -> None:
    monkeypatch.setattr(Watch, "require", _unhealthy)
    monkeypatch.setattr(Watch, "still_lost", lambda _: still)
    outcome = session.engine.apply([STEP])
    assert outcome.exit == status and outcome.summary.endswith(still)
    assert "after the change a site does not answer" in outcome.summary
    assert session.host.state(DROP_IN) is None
    entry = list(session.log.entries())[-1]
    assert (entry.kind, entry.fields["lost"]) == ("apply-failed", ["a site does not answer"])


def test_harm_by_an_undo_goes_back_and_is_logged(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session.engine.apply([STEP]).exit == 0
    confirms(session.engine)
    with monkeypatch.context() as patched:
        patched.setattr(Watch, "require_after_undo", _unhealthy)
        outcome = session.engine.rollback([STEP])
    assert outcome.exit == 4 and "a site does not answer" in outcome.summary
    assert session.host.state(DROP_IN) is not None
    entry = list(session.log.entries())[-1]
    assert (entry.kind, entry.fields["lost"]) == ("rollback-failed", ["a site does not answer"])
    assert session.engine.rollback([STEP]).exit == 0
