"""Update windows on the screen: the banner and its clock, the shell and back, open and close."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from steps.events import WindowEvent
from steps.window_model import Waiting, Window
from tests.tui import recorded_window
from tests.tui.recorded_screen import RecordedHands, options
from tests.tui.terminal_double import Terminal
from tests.tui.test_practice import app, checked, until, visible
from tests.tui.test_terminal import PROGRAM
from tui import windows
from tui.app import HardenApp
from tui.dialogs import Ask, Confirm, Form
from tui.views import window as view
from tui.window_screen import WindowScreen
from tui.workscreen import WorkScreen

__all__ = ["app"]  # the fixture

WINDOW = msgspec.convert(recorded_window.window(), Window)
DEADLINE = datetime.fromisoformat(WINDOW.deadline)


@pytest.mark.parametrize(
    ("left_s", "words", "next_s"),
    [
        (8049.0, "Update window open until 12:31 UTC, seals lifted · 2 h 14 min left", 9.05),
        (3600.0, "· 1 h 0 min left", 0.05),
        (61.0, "· 1 min left", 1.05),
        (42.5, "· 0:42 left", 0.5),
        (-5.0, "is past its deadline: it closes soon", 60.0),
    ],
)
def test_the_time_left_and_when_it_reads_otherwise(
    left_s: float, words: str, next_s: float
) -> None:
    (line,) = view.banner(WINDOW, left_s, 80)
    text = " ".join("".join(span for span, _ in line).split())
    for part in words.split(" · "):
        assert part.removeprefix("· ") in text
    assert windows.until_next(left_s) == pytest.approx(next_s)


def test_past_the_deadline_it_is_red_and_says_why() -> None:
    waits = msgspec.structs.replace(WINDOW, waiting=Waiting(since="2026-11-20T12:31:00+00:00"))
    (line,) = view.banner(waits, -60, 80)
    assert ("! ", "bad") in line
    assert "something still writes" in "".join(span for span, _ in line)
    failed = msgspec.structs.replace(WINDOW, failed="app.tree could not be sealed")
    (line,) = view.banner(failed, -60, 80)
    assert "it could not be closed" in "".join(span for span, _ in line)


async def sees(pilot: Pilot[None], app: HardenApp, words: str) -> None:
    await until(pilot, lambda: words in " ".join(visible(app).split()), words)


async def test_it_counts_down_above_every_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [DEADLINE - timedelta(hours=2, minutes=14, seconds=3)]
    monkeypatch.setattr(windows, "now", lambda: clock[0])
    app = HardenApp(RecordedHands(options()), host="web1")
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        assert "Update window" not in visible(app)
        monkeypatch.setenv("RECORDED_WINDOW", "open")
        app.window_said("work", WindowEvent(window=WINDOW))
        await sees(pilot, app, "2 h 14 min left · W window")
        for place in "2345":
            await pilot.press(place)
            await sees(pilot, app, "2 h 14 min left · W window")
        await pilot.press("1")
        for keys in (["W"], ["x"], ["T"], ["ctrl+p"], ["l"]):
            await pilot.press(*keys)
            await until(pilot, lambda: app.screen is not app.base, f"what {keys} opens")
            await sees(pilot, app, "2 h 14 min left · W window")
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.base, "the checklist")
        clock[0] += timedelta(hours=2, minutes=13, seconds=20)
        app._window_ticked()
        await sees(pilot, app, "0:43 left · W window")
        clock[0] += timedelta(seconds=1)
        await sees(pilot, app, "0:42 left · W window")
        clock[0] += timedelta(minutes=1)
        await sees(pilot, app, "The update window is past its deadline")


async def test_a_window_that_others_close_goes_from_the_screen() -> None:
    app = HardenApp(RecordedHands(options()), host="web1")
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        app.window_said("check", WindowEvent(window=WINDOW))
        await until(pilot, lambda: app.window is not None, "the window")
        app.ask_window()  # the recorded hands know of none
        await sees(pilot, app, "The update window was closed: W shows what changed in it.")
        assert "until 12:31 UTC" not in visible(app)
        app.window_said("check", WindowEvent(window=WINDOW))
        app.start_check()
        await until(pilot, lambda: app.window is None, "that a check finds none")
        app.window_said("follow", WindowEvent(window=WINDOW))
        assert app.window is None, "what an old run said is no news"


async def test_open_extend_and_close_on_the_practice_host(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("W")
        await until(pilot, lambda: isinstance(app.screen, WindowScreen), "the window's screen")
        await sees(pilot, app, "No update window is open.")
        await pilot.press("c")
        await sees(pilot, app, "No update window is open: o opens one.")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Form), "how long")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "what it would do")
        await sees(pilot, app, "No seal stands on this host")
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.work is not None and app.work.is_over, "the end")
        assert app.work is not None and app.work.done is not None
        assert app.work.done.exit == 0, app.work.done.summary
        assert isinstance(app.screen, WorkScreen)
        await sees(pilot, app, "3 h 59 min left · W window")
        await pilot.press("enter")
        await sees(pilot, app, "In this order")
        await pilot.press("s")
        await sees(pilot, app, "A practice host has no shell")

        await until(pilot, lambda: not app.why_not_change(), "that it can be extended")
        await pilot.press("+")
        await until(pilot, lambda: isinstance(app.screen, Ask), "how long")
        await pilot.press("backspace", "backspace", *"soon", "enter")
        await sees(pilot, app, "soon:")
        await pilot.press(*["backspace"] * 4, *"9h", "enter")
        await sees(pilot, app, "8 h 59 min left · W window")

        await until(pilot, lambda: not app.why_not_change(), "that it can be closed")
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "what it would do")
        await pilot.press("enter")  # on Cancel
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question again")
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.window is None and app.work.is_over, "closed")  # type: ignore[union-attr]
        await pilot.press("enter")
        await sees(pilot, app, "The last window")
        await sees(pilot, app, "Worse no step that was as wanted before")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.base, "the checklist")
        assert "left · W window" not in visible(app)


def test_the_report_of_a_window_names_what_changed() -> None:
    with Terminal(PROGRAM, env={"RECORDED_WINDOW": "open"}) as terminal:
        terminal.wait_for("2 h 14 min left")
        terminal.press("W")
        terminal.wait_for("idoit_data (5120 KiB)")
        terminal.press("c")
        terminal.wait_for("At work in a tree right now: /var/www/html/i-doit/temp/x (php")
        assert "2 h 14 min left" in terminal.text
        terminal.press("\t")
        terminal.settle(0.3)
        terminal.press("\r")
        terminal.wait_for("The update window is closed.")
        terminal.press("\r")
        terminal.wait_for("The last window")
        terminal.wait_for("All diffs")
        terminal.settle()
        shown = terminal.text
        for words in (
            "apache2: 2.4.62-1 → 2.4.65-1",
            "12 new, 340 edited",
            "tcp 0.0.0.0 8080: not there → listens",
            "i-doit: 33 → 34",
            "40 pass, 2 fail",
            "minimal.ports was as wanted before, and is fail",
        ):
            assert words in shown
        assert "left · W window" not in shown


def shell_of(tmp_path: Path) -> dict[str, str]:
    return {"RECORDED_WINDOW": "open", "XDG_STATE_HOME": str(tmp_path)}


def test_a_shell_and_back_again(tmp_path: Path) -> None:
    """With the mask the program was started with, a prompt that says the way back, a Ctrl-C that
    ends nothing of ours, and a screen that is painted anew."""
    before = os.umask(0o027)
    try:
        terminal_of = Terminal(PROGRAM, env=shell_of(tmp_path))
    finally:
        os.umask(before)
    with terminal_of as terminal:
        terminal.wait_for("2 h 14 min left")
        terminal.press("W")
        terminal.wait_for("In this order")
        terminal.press("s")
        terminal.wait_for("Type exit, or press Ctrl-D, to go back to harden-tui.")
        terminal.wait_for("(harden-tui: exit goes back)")
        terminal.press("echo mask $(umask) $((40+2))\r")
        terminal.wait_for("42")
        terminal.press("sleep 60\r")
        time.sleep(0.5)
        terminal.press("\x03")
        terminal.press("echo again $((50+5))\r")
        terminal.wait_for("again 55")
        terminal.press("env | grep -c -e TEXTUAL -e PYTHONPATH\r")
        terminal.press("exit\r")
        shown = terminal.wait_for("Back from the shell: the host is asked again.")
        assert "In this order" in shown
        assert "again 55" not in shown
        terminal.press("\x1b")
        terminal.wait_for("ssh.root-login")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.settle(0.2)
        assert "The update window stays open until 12:31 UTC" in terminal.text


def test_a_shell_that_is_killed_gives_the_terminal_back_all_the_same(tmp_path: Path) -> None:
    with Terminal(PROGRAM, env=shell_of(tmp_path)) as terminal:
        terminal.wait_for("2 h 14 min left")
        terminal.press("W")
        terminal.wait_for("In this order")
        terminal.press("s")
        terminal.wait_for("(harden-tui: exit goes back)")
        terminal.press("kill -9 $$\r")
        terminal.wait_for("Back from the shell: the host is asked again.")
        terminal.press("\x1b")
        terminal.wait_for("ssh.root-login")


def test_the_banner_costs_a_line_a_minute() -> None:
    with Terminal(PROGRAM, env={"RECORDED_WINDOW": "7000", "RECORDED_CLOCK": "1"}) as terminal:
        terminal.wait_for("1 h 56 min left")
        terminal.settle()
        written = len(terminal.raw)
        time.sleep(3.0)
        assert len(terminal.raw) == written


def test_in_the_last_minute_each_second_costs_a_few_cells() -> None:
    with Terminal(PROGRAM, env={"RECORDED_WINDOW": "55", "RECORDED_CLOCK": "1"}) as terminal:
        terminal.wait_for("0:5")
        terminal.wait_for("4 of 8 done")
        terminal.wait_for("Enter shows all of it")
        time.sleep(1.5)
        written = len(terminal.raw)
        time.sleep(3.0)
        assert 0 < len(terminal.raw) - written < 300


def test_the_clock_of_the_deadline_is_the_world_s() -> None:
    assert abs((windows.now() - datetime.now(UTC)).total_seconds()) < 5
