"""Answers are kept whole, run out when they should, and never hold a secret."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from snapshots.answers import Answers
from snapshots.model import SnapshotError
from snapshots.state import StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


def test_values_are_kept_by_step_and_parameter(state: StateDir) -> None:
    answers = Answers(state)
    answers.set_value("ssh.limits", "max-auth-tries", 3)
    answers.set_value("ssh.key-only", "users", ("alice", "bob"))
    answers.set_value("php.settings", "expose", False)
    again = Answers(state)
    assert again.values_of("ssh.limits") == {"max-auth-tries": 3}
    assert again.values_of("ssh.key-only") == {"users": ["alice", "bob"]}
    assert again.values_of("php.settings") == {"expose": False}
    assert again.values_of("ssh") == {}
    again.unset_value("ssh.limits", "max-auth-tries")
    assert Answers(state).values_of("ssh.limits") == {}
    assert state.answers.stat().st_mode & 0o777 == 0o600


def test_a_secret_is_refused_and_not_written(state: StateDir) -> None:
    with pytest.raises(SnapshotError, match="is a secret"):
        Answers(state).set_value("site.mail", "password", "hidden", secret=True)
    assert not state.answers.exists()


def test_waivers_and_attestations_run_out(state: StateDir) -> None:
    answers = Answers(state)
    today = date.today()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    answers.waive("a.forever", "jump host", by="alice")
    answers.waive("a.today", "until tonight", by="alice", until=today.isoformat())
    answers.waive("a.past", "was once", by="alice", until=yesterday.isoformat())
    answers.attest("b.past", "saw it", by="bob", until=yesterday.isoformat())
    answers.attest("b.open", "saw it", by="bob", until=tomorrow.isoformat())
    again = Answers(state)
    forever = again.waiver("a.forever")
    assert forever is not None
    assert (forever.text, forever.by, forever.until) == ("jump host", "alice", "")
    assert again.waiver("a.today") is not None
    assert again.waiver("a.past") is None
    assert again.attestation("b.past") is None
    seen = again.attestation("b.open")
    assert seen is not None and seen.text == "saw it"
    assert set(again.waivers()) == {"a.forever", "a.today", "a.past"}
    again.unwaive("a.forever")
    assert Answers(state).waiver("a.forever") is None


def test_what_another_process_wrote_is_kept(state: StateDir) -> None:
    mine, other = Answers(state), Answers(state)
    other.set_value("a.b", "c", 1)
    mine.waive("d.e", "why", by="alice")
    both = Answers(state)
    assert both.values_of("a.b") == {"c": 1}
    assert both.waiver("d.e") is not None


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"schema": "harden-tui/answers/2"}',
        '{"schema": "harden-tui/answers/1", "valuse": {}}',
        '{"waivers": {"a.b": {"reason": "x"}}}',
        '{"waivers": {"a.b": {"reason": "x", "by": "a", "when": "", "until": "soon"}}}',
        '{"values": {"a.b.c": {"nested": 1}}}',
        '{"values": {"a.b.c": "\udcff"}}',
    ],
)
def test_a_broken_file_is_named_and_left_alone(state: StateDir, content: str) -> None:
    state.answers.write_text(content, errors="surrogateescape")
    with pytest.raises(SnapshotError) as told:
        Answers(state)
    assert str(state.answers) in str(told.value)
    assert "\n" not in str(told.value)
    assert state.answers.read_text(errors="surrogateescape") == content


def test_a_date_that_is_none_is_refused(state: StateDir) -> None:
    with pytest.raises(SnapshotError, match="'soon' is no date"):
        Answers(state).waive("a.b", "why", by="alice", until="soon")
    assert not state.answers.exists()


def test_the_file_is_readable_by_a_person(state: StateDir) -> None:
    Answers(state).waive("a.b", "why", by="alice", until="2027-01-31")
    kept = json.loads(state.answers.read_text())
    assert kept["schema"] == "harden-tui/answers/1"
    assert kept["waivers"]["a.b"]["reason"] == "why"
    assert state.answers.read_text().count("\n") > 5
