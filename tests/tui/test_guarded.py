"""A guarded change on the practice host, with the real hands: kept, and taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from snapshots.model import TransactionRecord
from steps.events import GuardEvent
from tests.tui.recorded_screen import RecordedHands, options
from tests.tui.terminal_double import Terminal
from tests.tui.test_practice import (
    FEW,
    app,
    checked,
    keep,
    put_checklist,
    typed_apply,
    until,
    visible,
)
from tui import waiting
from tui.app import HardenApp
from tui.client import Hands
from tui.dialogs import Ask, Confirm
from tui.guard_screen import GuardScreen
from tui.places.checklist import Checklist
from tui.places.history import History

__all__ = ["app"]  # the fixture

ENTRY = [sys.executable, "-P", str(Path(__file__).parents[2] / "tui/entry.py")]
DROP_INS = "host/root/etc/ssh/sshd_config.d"


def test_kept_after_a_new_login_by_keyboard(tmp_path: Path) -> None:
    """Under a real terminal, as a newcomer sees it: count-down, the login, the confirmation."""
    env = {"XDG_STATE_HOME": str(tmp_path)}
    put_checklist(tmp_path / "state", FEW)
    chosen = ["--practice", "--state-dir", str(tmp_path / "state"), "--checklist", "mine"]
    with Terminal([*ENTRY, *chosen], env=env) as terminal:
        terminal.wait_for("✗ open    ssh.limits")
        terminal.wait_for("0 of 11 done · 11 open")
        terminal.press("\x1b[B")
        terminal.press("\x1b[B")
        terminal.wait_for("▸ ✗ open    ssh.limits")
        terminal.press("a")
        terminal.wait_for("Guarded: you have 5 minutes")
        terminal.press("\t")
        terminal.settle(0.5)  # the field has the focus when keys come, not when they are taken
        terminal.press("apply")
        terminal.settle(0.5)
        terminal.press("\r")
        shown = terminal.wait_for("ssh.limits waits for your confirmation")
        assert "4:5" in shown or "5:00" in shown
        terminal.wait_for("Pretended here")
        terminal.wait_for("✓ New login  admin from 192.0.2.10 port 50023 (pretended)")
        terminal.press("c")
        terminal.wait_for("Kept: ssh.limits")
        terminal.press("\r")
        terminal.wait_for("ssh.limits: confirmed and kept")
        terminal.press("\r")
        terminal.wait_for("✓ pass    ssh.limits")


async def test_taken_back_where_nobody_confirms(app: HardenApp, tmp_path: Path) -> None:
    app.hands = Hands(msgspec.structs.replace(app.hands.options, confirm_within_s=10))
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await typed_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, GuardScreen), "the count-down")
        assert list((tmp_path / "state" / DROP_INS).glob("*root-login*"))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "c answers" in visible(app), "the banner")
        assert app.why_not("apply-stage").startswith("ssh.root-login waits for your confirmation")
        await pilot.press("3")
        await until(
            pilot,
            lambda: (
                isinstance(app.view, History)
                and "! waits for confirmation" in app.view.records.shown_text()
            ),
            "the pending transaction",
        )
        await until(pilot, lambda: "Taken back: ssh.root-login" in visible(app), "the end")
        assert "Nobody confirmed it before its deadline." in visible(app)
        assert not list((tmp_path / "state" / DROP_INS).glob("*root-login*"))
        await pilot.press("enter")
        await until(pilot, lambda: app.work is not None and app.work.is_over, "the end of the work")
        assert app.work is not None and app.work.done is not None
        assert app.work.done.exit == 4
        await until(pilot, lambda: "c answers" not in visible(app), "no banner")
        await until(pilot, lambda: app.board.status("ssh.root-login") == "fail", "open again")
        await until(
            pilot,
            lambda: [record.status for record in app.board.records] == ["rolled-back"],
            "the transaction",
        )


async def test_taken_back_at_once_with_more_time_before(app: HardenApp, tmp_path: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await typed_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, GuardScreen), "the count-down")
        assert app.waiting is not None
        before_s = app.waiting.until_s
        await pilot.press("+")
        await until(
            pilot,
            lambda: app.waiting is not None and app.waiting.until_s - before_s > 200,
            "more time",
        )
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("enter")  # on Cancel
        await until(pilot, lambda: isinstance(app.screen, GuardScreen), "the count-down again")
        await pilot.press("t", "right", "enter")
        await until(pilot, lambda: "Taken back: ssh.root-login" in visible(app), "the end")
        assert "It was taken back before anybody confirmed it." in visible(app)
        assert not list((tmp_path / "state" / DROP_INS).glob("*root-login*"))


async def test_another_screen_shows_what_waits_at_once(app: HardenApp, tmp_path: Path) -> None:
    """The change was made elsewhere, by a run that did not wait."""
    state = ["--practice", "--state-dir", str(tmp_path / "state")]
    made = subprocess.run(
        [*ENTRY, "apply", "ssh.limits", "--yes", "--no-wait", *state],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, GuardScreen), "what waits")
        assert "ssh.limits waits for your confirmation" in visible(app)
        await until(pilot, lambda: app.waiting and app.waiting.login, "the login")
        await pilot.press("c")
        await until(pilot, lambda: "Kept: ssh.limits" in visible(app), "the end")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.base, "the checklist")
        assert isinstance(app.view, Checklist)
        await until(
            pilot,
            lambda: [record.status for record in app.board.records] == ["committed"],
            "the transaction",
        )
        assert app.why_not("confirm") == "Nothing waits for a confirmation."
    text = (tmp_path / "state/transactions").glob("*/record.json")
    assert [msgspec.json.decode(one.read_bytes(), type=TransactionRecord).status for one in text]


async def test_a_worker_that_is_killed_while_it_waits_is_not_needed(
    app: HardenApp, tmp_path: Path
) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await typed_apply(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, GuardScreen), "the count-down")
        (run,) = (tmp_path / "state/runs").glob("*/run.json")
        os.kill(json.loads(run.read_bytes())["pid"], signal.SIGKILL)
        await until(pilot, lambda: app.work is not None and app.work.is_over, "the end of the work")
        await until(pilot, lambda: "guard" in app._calls, "who tells of it now")
        await pilot.press("escape")
        await until(pilot, lambda: "Failed, needs a person" in visible(app), "how the work ended")
        assert "c answers" in visible(app)
        await pilot.press("c")
        await keep(pilot, app)
        await until(
            pilot,
            lambda: [record.status for record in app.board.records] == ["committed"],
            "the transaction",
        )


async def test_a_login_makes_the_typed_word_needless_and_takes_no_question_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is still typed must not become keys of what lies below: `t` takes back, `e` extends."""
    waits = GuardEvent(step="ssh.limits", phase="waiting", until_s=waiting.now_s() + 300)
    seen = msgspec.structs.replace(waits, phase="login", login="bob from 192.0.2.7 port 5")
    app = HardenApp(RecordedHands(options()), host="web1")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.board.records_known, "the first check")
        app.guard_said("work", waits)
        await until(pilot, lambda: isinstance(app.screen, GuardScreen), "the count-down")
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Ask), "the word")
        await pilot.press(*"we")
        app.guard_said("work", seen)
        await pilot.pause(0.2)
        asked: list[Sequence[str]] = []
        monkeypatch.setattr(app, "ask", lambda _what, _key, words, _answer: asked.append(words))
        await pilot.press(*"b1", "enter")
        await until(pilot, lambda: isinstance(app.screen, GuardScreen), "the count-down again")
        assert asked == [["confirm"]]
        monkeypatch.undo()
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        app.guard_said("work", waits)  # the deadline was moved
        app.guard_said("work", seen)
        await pilot.pause(0.2)
        assert isinstance(app.screen, Confirm)
        app.guard_said("work", msgspec.structs.replace(waits, phase="kept"))
        await until(pilot, lambda: "Kept: ssh.limits" in visible(app), "the end")


async def test_without_root_it_is_seen_that_something_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.guarded.DIRECTORY", str(tmp_path))
    app = HardenApp(RecordedHands(options()), host="web1")
    app.hands.rights = "user"
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.board.records_known, "the first check")
        assert "something waits" not in visible(app)
        (tmp_path / "harden-tui-guard.timer").touch()
        app.refresh_frame()
        await until(pilot, lambda: "something waits (b)" in visible(app), "that something waits")


@pytest.mark.parametrize("end", ["confirm", "recover"])
def test_whoever_looks_on_is_told_the_end(tmp_path: Path, end: str) -> None:
    """`confirm --status --format events`, as another screen listens to it."""
    state = ["--practice", "--state-dir", str(tmp_path / "state")]
    subprocess.run([*ENTRY, "apply", "ssh.limits", "--yes", "--no-wait", *state],
                   capture_output=True, check=True)  # fmt: skip
    looking = subprocess.Popen(
        [*ENTRY, "confirm", "--status", "--format", "events", *state], stdout=subprocess.PIPE
    )
    assert looking.stdout is not None
    first = json.loads(looking.stdout.readline())
    assert (first["event"], first["step"]) == ("guard", "ssh.limits")
    assert first["phase"] in ("waiting", "login")
    words = ["--without-login", "--word", "practice"] if end == "confirm" else ["--yes"]
    subprocess.run([*ENTRY, end, *words, *state], capture_output=True, check=True)
    *_, last, done = [json.loads(line) for line in looking.stdout]
    assert last["phase"] == {"confirm": "kept", "recover": "taken-back"}[end]
    assert (done["event"], done["exit"]) == ("done", 0)
    assert looking.wait() == 0


def test_looking_on_ends_with_whoever_reads_it(tmp_path: Path) -> None:
    state = ["--practice", "--state-dir", str(tmp_path / "state")]
    subprocess.run([*ENTRY, "apply", "ssh.limits", "--yes", "--no-wait", *state],
                   capture_output=True, check=True)  # fmt: skip
    try:
        looking = subprocess.Popen(
            [*ENTRY, "confirm", "--status", "--format", "events", *state], stdout=subprocess.PIPE
        )
        assert looking.stdout is not None
        looking.stdout.readline()
        looking.stdout.close()
        assert looking.wait(20) == 0
    finally:
        subprocess.run([*ENTRY, "recover", "--yes", *state], capture_output=True, check=False)
