"""What waits for a confirmation, by the text of its lines."""

from __future__ import annotations

import msgspec
import pytest

from snapshots.model import TransactionRecord, UndoPlan
from steps.events import GuardEvent
from tests.tui import recorded_hands
from tui import waiting
from tui.board import Board, is_undoable
from tui.running import Work, while_away
from tui.text import cells, length, plain, plain_text
from tui.views import guard, history, preview
from tui.views.frame import Frame, header
from tui.waiting import Waiting
from tui.wire import AtWork, PlanAnswer

WAITING = Waiting(
    names="ssh.root-login, ssh.key-only, ssh.limits, firewall.ufw", until_s=1000.0,
    attempt="ssh -p 2222 administrator@2001:db8:1234:5678:9abc:def0:1234:5678",
)  # fmt: skip
SEEN = msgspec.structs.replace(WAITING, login="bob from 2001:db8::7 port 51234")


@pytest.mark.parametrize("waiting", [WAITING, SEEN])
@pytest.mark.parametrize("left_s", [3600, 252, 0])
def test_the_count_down_is_never_cut_and_neither_is_the_command(
    waiting: Waiting, left_s: int
) -> None:
    lines = guard.banner(waiting, left_s, 80)
    assert all(length(line) <= 80 for line in lines)
    first = plain(lines[0])
    shown = {3600: "60:00 left", 252: "4:12 left", 0: "being taken back"}[left_s]
    assert first.endswith(f"{shown} · c answers")
    text = plain_text([*lines, *guard.panel(waiting, 80, practice=False)])
    for words in (waiting.login or waiting.attempt, "sudo harden-tui confirm"):
        assert words in text
    title = plain(guard.title(waiting, left_s, 80))
    assert title.endswith(shown)
    assert cells(title) == 80


def test_each_second_changes_nothing_but_digits() -> None:
    for draw in (guard.banner, lambda w, left, width: [guard.title(w, left, width)]):
        now, then = (plain_text(draw(WAITING, left, 80)) for left in (252, 251))
        changed = [column for column, (a, b) in enumerate(zip(now, then, strict=True)) if a != b]
        assert [now[column] for column in changed] == ["2"]


def test_the_practice_host_says_that_its_login_is_pretended() -> None:
    text = plain_text(guard.panel(SEEN, 80, practice=True, program="harden-tui --practice"))
    assert "Pretended here" in text
    assert "harden-tui --practice confirm" in text
    assert "sudo" not in text
    assert "Pretended" not in plain_text(guard.panel(SEEN, 80, practice=False))


def test_the_command_is_for_the_same_state_directory() -> None:
    program = "sudo harden-tui --state-dir /srv/a-rather-long-name/of-a-state/directory"
    for lines in (
        guard.banner(WAITING, 252, 80, program=program),
        guard.panel(WAITING, 80, practice=False, program=program),
    ):
        assert all(length(line) <= 80 for line in lines)
        assert f"{program} confirm" in " ".join(plain_text(lines).split())


def test_five_minutes_more_and_never_more_than_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "now_s", lambda: 748.3)
    assert waiting.left_s(WAITING) == 251
    assert waiting.more_s(WAITING) == 551
    assert waiting.more_s(msgspec.structs.replace(WAITING, until_s=4300.0)) == 3600
    assert waiting.left_s(msgspec.structs.replace(WAITING, until_s=700.0)) == 0


def test_the_end_says_kept_or_taken_back_and_why() -> None:
    kept = waiting.ended(GuardEvent(step="ssh.limits", phase="kept"))
    assert plain(guard.title(kept, 0, 80)) == "Kept: ssh.limits"
    reason = "ssh.limits was taken back. Nobody confirmed it before its deadline."
    back = waiting.ended(GuardEvent(step="ssh.limits", phase="taken-back", reasons=(reason,)))
    assert plain(guard.title(back, 0, 80)) == "Taken back: ssh.limits"
    assert reason in plain_text(guard.panel(back, 80, practice=False))
    for one in (kept, back):
        assert "checklist is checked again" in plain_text(guard.panel(one, 80, practice=False))


def test_a_preview_says_that_it_is_guarded_and_for_how_long() -> None:
    plan = msgspec.convert(recorded_hands.plan(["ssh.root-login"]), PlanAnswer)
    text = plain_text(preview.plan_lines(plan, 80, ("ssh.root-login",), 90))
    assert text.startswith("! Guarded: you have 90 seconds to log in anew")
    assert "Guarded" not in plain_text(preview.plan_lines(plan, 80, (), 90))
    several = msgspec.convert(recorded_hands.plan(["ssh.root-login", "ssh.limits"]), PlanAnswer)
    text = plain_text(preview.plan_lines(several, 80, ("ssh.root-login",), 300))
    assert text.startswith("! Guarded: ssh.root-login. There the work stops")
    assert "(5 minutes)" in text
    undo = [UndoPlan(transaction="t", steps=(), items=(), commands=(), fingerprint="")]
    assert "The undo is taken back by itself" in " ".join(
        plain_text(preview.undo_lines(undo, 80, 300)).split()
    )


def test_a_pending_transaction_is_said_in_words_and_is_not_interrupted_while_guarded() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    pending = msgspec.structs.replace(record, status="pending")
    assert "! waits for confirmation ssh.key-only" in " ".join(
        plain(history.record_line(pending, 80)).split()
    )
    assert plain(history.record_line(pending, 80)).endswith("alice")
    board = Board()
    board.take_records([pending], guarded=True)
    assert board.interrupted() == []
    assert not is_undoable(pending)
    board.take_records([pending])  # nothing takes it back any more: somebody must
    assert board.interrupted() == [pending]
    assert "! never confirmed" in plain(history.record_line(pending, 80, board.left_over()))
    assert "R recovers it" in history.why_not_undone(pending, board.left_over())


def test_what_is_open_is_interrupted_only_where_nobody_is_at_work() -> None:
    record = msgspec.convert(recorded_hands.AT_WORK, TransactionRecord)
    board = Board()
    board.take_records([record], at_work=AtWork(what="rollback"))
    assert board.interrupted() == board.recoverable() == []
    for lines in (
        [history.record_line(record, 80, board.left_over())],
        history.record_rows(record, 60, board.left_over()),
        history.detail(record, None, 80, board.left_over()),
    ):
        assert "at work" in plain_text(lines) and "interrupted" not in plain_text(lines)
    board.take_records([record])
    assert board.interrupted() == board.recoverable() == [record]
    assert "! interrupted" in plain(history.record_line(record, 80, board.left_over()))


def test_an_undo_that_waits_is_called_one_and_so_is_its_row() -> None:
    event = GuardEvent(step="undo of ssh.limits", phase="waiting")
    text = plain_text(guard.banner(waiting.waits(event), 252, 80))
    assert "undo of ssh.limits waits for your confirmation" in text
    kept = waiting.ended(GuardEvent(step="undo of ssh.limits", phase="kept"))
    assert plain(guard.title(kept, 0, 80)) == "Kept: undo of ssh.limits"
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    undo = msgspec.structs.replace(record, kind="rollback", status="pending")
    assert "undo of ssh.key-only" in plain(history.record_line(undo, 80))
    assert "! undo waits for confirmation" in plain_text(history.record_rows(undo, 60))


def test_what_needs_a_person_is_recovered_by_key_and_is_no_reason_to_change_nothing() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    failed = msgspec.structs.replace(record, status="needs-person")
    later = msgspec.structs.replace(record, id="29991231T000000.000000Z-abcdef")
    board = Board()
    board.take_records([failed])
    assert board.interrupted() == [] and board.recoverable() == [failed]
    board.take_records([failed, later])  # going back would take the later one away as well
    assert board.recoverable() == []
    pending = msgspec.structs.replace(record, status="pending")
    board.take_records([pending], guarded=True)
    assert board.recoverable() == []


@pytest.mark.parametrize("exit_status", [0, 3, 4, 5, 70])
def test_how_a_run_ended_while_away_fits_the_header(exit_status: int) -> None:
    frame = Frame(
        host="debian", checklist="i-doit", place="checklist", work=while_away(exit_status)
    )
    line = plain(header(frame, 80)[-1])
    words = {0: "done", 3: "refused", 4: "rolled back", 5: "needs a person", 70: "status 70"}
    assert line.endswith(f"{words[exit_status]} (o)")


def test_why_a_transaction_cannot_be_undone_is_a_sentence() -> None:
    record = msgspec.convert(recorded_hands.TRANSACTION, TransactionRecord)
    for status in ("open", "pending", "rolled-back", "undone", "needs-person", "under-way"):
        said = history.why_not_undone(msgspec.structs.replace(record, status=status))
        assert said.startswith("It cannot be undone: it ") and "it is waits" not in said
    undo = msgspec.structs.replace(record, kind="rollback")
    assert "apply the step again" in history.why_not_undone(undo)


def test_several_wait_and_one_waits() -> None:
    for step, word in (("firewall.ufw, ssh.limits", "wait"), ("ssh.limits", "waits")):
        work = Work("")
        work.take(GuardEvent(step=step, phase="waiting", deadline="2026-11-21T14:03:20Z"))
        assert f"{step}: {word} for your confirmation until" in plain_text(work.lines(80))
