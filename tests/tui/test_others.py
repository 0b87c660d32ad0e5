"""What another session changed meanwhile is noticed where it is looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from snapshots.model import TransactionRecord
from steps.drift_model import DriftReport
from steps.events import Done
from tests.tui.recorded_screen import RecordedHands, options
from tests.tui.terminal_double import Terminal
from tests.tui.test_practice import until, visible
from tests.tui.test_terminal import opened
from tui.app import HardenApp
from tui.board import has_news, outdated
from tui.messages import Answered, Ended
from tui.running import Work
from tui.working import NOT_OURS
from tui.workscreen import WorkScreen

CHANGED = "Another session changed this host; r checks again."


def test_a_change_of_another_session_is_seen_when_the_history_is_opened(tmp_path: Path) -> None:
    others = tmp_path / "others"
    with opened({"RECORDED_OTHERS": str(others)}) as terminal:
        terminal.press("3")
        terminal.wait_for("1 transaction ")
        terminal.wait_for("Touched 1 thing")
        terminal.press("1")
        terminal.wait_for("[1 Checklist]")
        terminal.press("3")
        terminal.settle()
        assert CHANGED not in terminal.text
        terminal.press("1")
        terminal.wait_for("[1 Checklist]")
        others.touch()
        terminal.press("3")
        terminal.wait_for("2 transactions")
        terminal.wait_for(CHANGED)
        terminal.press("\x1b[F")
        terminal.wait_for("Left to it since ssh.limits was undone")  # asked anew
        terminal.press("1")
        terminal.wait_for(CHANGED)
        terminal.press("r")
        terminal.wait_for(lambda text: CHANGED not in text)


def look_into_history(terminal: Terminal) -> None:
    """And back: by then all is asked that is asked after the first check."""
    terminal.press("3")
    terminal.wait_for("Touched 1 thing")
    terminal.press("1")
    terminal.wait_for("[1 Checklist]")
    terminal.settle()


def test_what_another_session_has_at_work_is_not_interrupted(tmp_path: Path) -> None:
    """Its run is followed to its end; nothing is offered to be recovered meanwhile."""
    at_work = tmp_path / "at-work"
    with opened({"RECORDED_AT_WORK": str(at_work), "XDG_STATE_HOME": str(tmp_path)}) as terminal:
        look_into_history(terminal)
        at_work.touch()
        terminal.press("3")
        terminal.wait_for("3 transactions")
        terminal.wait_for("» at work")
        terminal.wait_for("running rolling back ssh.limits")
        terminal.wait_for("Another session is at work (rollback); o shows it.")
        assert "nterrupted" not in terminal.text
        terminal.press("R")
        terminal.wait_for("Wait: running rolling back ssh.limits.")
        terminal.press("o")
        terminal.wait_for("Esc goes back; the work goes on")
        terminal.press("\x1b")
        terminal.wait_for("3 transactions")
        at_work.unlink()
        terminal.wait_for("finished while away: done (o)")
        terminal.wait_for("1 transaction ")
        assert "nterrupted" not in terminal.text
        terminal.press("o")
        terminal.wait_for("Undone: ssh.limits.")
        terminal.press("\x1b")
        terminal.wait_for(lambda text: "while away" not in text and "1 transaction " in text)


def test_what_is_no_run_is_asked_about_until_it_ends(tmp_path: Path) -> None:
    at_work = tmp_path / "at-work"
    env = {"RECORDED_AT_WORK": str(at_work), "RECORDED_RUN": "", "XDG_STATE_HOME": str(tmp_path)}
    with opened(env) as terminal:
        look_into_history(terminal)
        at_work.touch()
        terminal.press("3")
        terminal.wait_for("another session is at work")
        terminal.press("R")
        terminal.wait_for("Wait: Another session is at work (rollback).")
        at_work.unlink()
        terminal.wait_for(lambda text: "another session is at work" not in text)
        terminal.wait_for("1 transaction ")


def test_what_another_session_guards_is_shown_with_its_clock(tmp_path: Path) -> None:
    """R would take their change back, which is in force."""
    waits = tmp_path / "waits"
    with opened({"RECORDED_WAITS": str(waits)}) as terminal:
        look_into_history(terminal)
        waits.touch()
        terminal.press("3")
        terminal.wait_for("t take back now")
        terminal.wait_for("4:12 left")
        terminal.press("\x1b")
        terminal.wait_for("! waits for confirmation ssh.limits")
        terminal.press("R")
        terminal.wait_for("c, and then t takes it back.")
        assert "nterrupted" not in terminal.text


def test_a_history_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.touch()
    with opened({"RECORDED_DAMAGED": str(damaged)}) as terminal:
        terminal.wait_for("What was changed here could not be read: 3 says why.")
        for key in ("u", "R"):
            terminal.press(key)
            terminal.wait_for("─ What was changed here could not be read: 3 says why.")
        terminal.press("h")
        terminal.wait_for("The record x.json cannot be read")
        assert "Nothing was ever changed" not in terminal.text
        terminal.press("3")
        terminal.wait_for("The record x.json cannot be read, nor its copy.")
        assert "Nothing was changed" not in terminal.text and "0 transactions" not in terminal.text
        damaged.unlink()
        terminal.press("r")
        terminal.wait_for("Touched 1 thing")
        damaged.touch()
        terminal.press("r")
        terminal.wait_for("As last read. The record x.json cannot be read, nor its copy.")
        terminal.wait_for("1 transaction ")


async def test_without_root_nothing_is_said_of_roots_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read as root stays, and is called older; a run's end does not hide who one is."""
    own = tmp_path / "own"
    monkeypatch.setenv("RECORDED_OWN", str(own))
    app = HardenApp(RecordedHands(options()), host="web1")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.board.records_known and not app._calls, "the first check")
        own.touch()
        app.hands.rights = "user"
        await pilot.press("3")
        await until(pilot, lambda: f"As last read. {NOT_OURS}" in visible(app), "that it is older")
        await until(pilot, lambda: "Touched 1 thing" in visible(app), "what it touched")
        assert "1 transaction " in visible(app)
        app.work, app._end_unseen = Work("Undo x"), True
        app.work.take(Done(exit=3, summary="Refused."))
        app.refresh_frame()
        await until(pilot, lambda: "not root · refused (o)" in visible(app), "who one is")
        app.board.records, app.board.records_known = (), False
        await pilot.press("r")
        await until(pilot, lambda: f"\n{NOT_OURS}" in visible(app), "why nothing is known")
        assert "0 transactions" not in visible(app)
        await pilot.press("1")
        await until(pilot, lambda: app.place == "checklist", "the checklist")
        app.board.drift = DriftReport()
        assert app.why_not("drift") == NOT_OURS
        app.board.records_problem = ""
        app.post_message(Answered("history", "", None, "sudo: a password is required"))
        await until(pilot, lambda: app.board.records_problem == NOT_OURS, "that it is root's")


async def test_how_unwatched_work_ended_is_told_until_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = HardenApp(RecordedHands(options()), host="web1")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.board.records_known and not app._calls, "the first check")
        monkeypatch.setattr(app, "_start", lambda *_args, **_more: True)
        refused = Ended("work", Done(exit=3, summary="Another package tool is at work."))
        app.start_work("Undo x", [])
        app.show_work()
        await until(pilot, lambda: isinstance(app.screen, WorkScreen), "the work")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.base, "that it was left")
        app.post_message(refused)
        await until(pilot, lambda: "while away: refused (o)" in visible(app), "how it ended")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, WorkScreen), "the work that ended")
        await until(pilot, lambda: "Another package tool" in visible(app), "why")
        await pilot.press("escape")
        await until(pilot, lambda: "while away" not in visible(app), "that it was looked at")
        app.start_work("Undo x", [])
        app.show_work()
        await until(pilot, lambda: isinstance(app.screen, WorkScreen), "the work again")
        app.post_message(refused)
        await until(pilot, lambda: "Another package tool" in visible(app), "why, at once")
        await pilot.press("escape")
        await until(pilot, lambda: "[1 Checklist]" in visible(app), "the checklist")
        assert "while away" not in visible(app)


def record(number: int, **changes: Any) -> TransactionRecord:
    first = TransactionRecord(
        id=f"{number}", kind="apply", steps=("a.b",), title="", status="committed", started=""
    )
    return msgspec.structs.replace(first, **changes)


def test_what_is_known_of_a_transaction_holds_until_it_or_a_later_one_changes() -> None:
    known = [record(1), record(2), record(3)]
    assert outdated(known, known) == frozenset()
    assert outdated(known, [record(1), record(2, status="undone"), record(3)]) == {"1", "2"}
    assert outdated(known, [*known, record(4)]) == {"1", "2", "3"}
    assert outdated([], known) == frozenset()


def test_a_window_that_closed_by_itself_is_no_other_session() -> None:
    window = record(1, kind="window", status="under-way")
    assert not has_news([window], [record(1, kind="window")])
    assert has_news([window], [window, record(2)])
    assert has_news([record(1)], [record(1, status="undone")])
