"""Conflicts at undo on the screen, by keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui.recorded_conflict import CONFIG, LINK
from tests.tui.terminal_double import Terminal
from tests.tui.test_practice import app, apply, checked, keep, until
from tests.tui.test_terminal import PROGRAM
from tui.app import HardenApp
from tui.conflicts import Conflicts
from tui.dialogs import Confirm
from tui.widgets.lines import LinePane

__all__ = ["app"]  # the fixture

LEFT, RIGHT, ENTER, TAB = "\x1b[D", "\x1b[C", "\r", "\t"


def conflict(env: dict[str, str] | None = None) -> Terminal:
    terminal = Terminal(PROGRAM, env={"RECORDED_CONFLICT": "1", **(env or {})})
    terminal.wait_for("ssh.root-login")
    terminal.press("3")
    terminal.wait_for("Touched 1 thing")
    terminal.press("u")
    terminal.wait_for("Conflict 1 of 2")
    return terminal


def test_each_choice_reaches_the_hands_after_the_whole_undo_was_shown(tmp_path: Path) -> None:
    env = {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii", "XDG_STATE_HOME": str(tmp_path)}
    with conflict(env) as terminal:
        terminal.press(RIGHT)
        terminal.wait_for("What stands now stays")
        terminal.press(ENTER)
        terminal.wait_for("Conflict 2 of 2")
        terminal.press(TAB)
        terminal.wait_for("chosen: keep what stands")
        terminal.press(TAB)
        terminal.wait_for("nothing chosen yet")
        terminal.press(RIGHT)
        terminal.press(RIGHT)
        terminal.wait_for("What was before the step comes back")
        terminal.press(ENTER)
        terminal.wait_for("[ Undo ]")
        terminal.wait_for(f"{LINK}: put back (you chose)")
        terminal.press(RIGHT)
        terminal.press(ENTER)
        shown = terminal.wait_for("Undone: ssh.root-login.")
        assert f"--keep-current={CONFIG}" in shown
        assert f"--restore={LINK}" in shown
        assert bytes(terminal.raw).isascii()


def test_one_choice_for_all_that_are_left() -> None:
    with conflict() as terminal:
        terminal.press("a")
        terminal.wait_for("Choose with the arrows first")
        terminal.press(RIGHT)
        terminal.wait_for("What stands now stays")
        terminal.press("a")
        terminal.wait_for("[ Undo ]")
        terminal.wait_for(f"{CONFIG}: stays, as you chose")
        terminal.wait_for(f"{LINK}: stays, as you chose")


def test_a_choice_that_is_possible_for_some_only_leaves_the_others_open() -> None:
    with conflict() as terminal:
        terminal.press(LEFT)
        terminal.wait_for("What merges is merged")
        terminal.press("a")
        terminal.wait_for("Conflict 2 of 2")
        terminal.press(LEFT)
        terminal.wait_for("Not possible: a file and a link")
        terminal.press(ENTER)
        terminal.wait_for("That is not possible here")


@pytest.mark.parametrize("key", [ENTER, "\x1b", "q"])
def test_leaving_settles_nothing(key: str) -> None:
    with conflict() as terminal:
        terminal.press(key)
        terminal.wait_for("Touched 1 thing")


async def test_a_real_conflict_is_settled_and_undone(
    app: HardenApp, tmp_path: Path
) -> None:  # the fixture
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await apply(pilot, app)
        directory = tmp_path / "state/host/root/etc/ssh/sshd_config.d"
        (file,) = directory.glob("*root-login*")
        file.write_text(file.read_text().replace("PermitRootLogin no", "PermitRootLogin yes"))
        await pilot.press("enter")
        await until(pilot, lambda: not app.why_not("roll-back"), "that it can be undone")
        await pilot.press("u")
        await until(pilot, lambda: isinstance(app.screen, Conflicts), "the conflict")
        shown = app.screen.query_one("#body", LinePane)
        assert "PermitRootLogin yes" in "\n".join(
            "".join(text for text, _ in line) for line in shown.lines
        )
        await pilot.press("left", "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the undo's question")
        assert "merge: your later edits are kept (you chose)" in app.screen.query_one(
            "#body", LinePane
        ).shown_text().replace("\n  ", " ")
        await pilot.press("right", "enter")
        await keep(pilot, app)
        await until(
            pilot,
            lambda: app.work is not None and app.work.is_over and "Undo" in app.work.title,
            "the end of the undo",
        )
        assert app.work is not None
        assert app.work.done is not None
        assert app.work.done.exit == 0, app.work.done.summary
        assert file.read_text() == "PermitRootLogin yes\n"
