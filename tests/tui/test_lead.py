"""Guided runs on the practice host, with the real hands: led, put off, left, resumed, exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.tui.test_practice import checked, keep, put_checklist, until, visible
from tui.app import HardenApp
from tui.client import Hands
from tui.dialogs import Ask, Confirm, Form
from tui.lead_screen import LeadScreen
from tui.options import Options
from tui.todo_screen import TodoScreen
from tui.window_screen import WindowScreen
from tui.workscreen import WorkScreen

STEPS = "ssh.root-login, ssh.limits, apache.banner, data.disk-encryption, updates.pending"


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    put_checklist(tmp_path / "state", STEPS)
    return Options(
        practice=True,
        state_dir=tmp_path / "state",
        log_dir=tmp_path / "state/log",
        checklist="mine",
        user="alice",
    )


def opened(options: Options) -> HardenApp:
    return HardenApp(Hands(options), host="practice")


async def led(pilot: Pilot[None], app: HardenApp) -> LeadScreen:
    await checked(pilot, app)
    await pilot.press("l")
    await until(pilot, lambda: isinstance(app.screen, LeadScreen), "the guided run")
    assert isinstance(app.screen, LeadScreen)
    return app.screen


async def sees(pilot: Pilot[None], app: HardenApp, words: str) -> None:
    await until(pilot, lambda: words in " ".join(visible(app).split()), words)


def kept(options: Options) -> dict[str, object]:
    try:
        file = json.loads((options.state_dir / "guides.json").read_bytes())
    except FileNotFoundError:
        return {}
    guide: dict[str, object] = file["guides"][0]
    return guide


async def test_from_the_explanation_to_the_proof_and_on(options: Options) -> None:
    app = opened(options)
    async with app.run_test(size=(80, 24)) as pilot:
        await led(pilot, app)
        await sees(pilot, app, "step 1: ssh.root-login 0 of 5 done")
        await sees(pilot, app, "[1 Why]")
        assert "PRACTICE HOST" in visible(app)
        await pilot.press("enter")
        await sees(pilot, app, "[2 State now]")
        assert "✗ PermitRootLogin" in visible(app)
        await pilot.press("enter")
        await sees(pilot, app, "+PermitRootLogin no")
        await pilot.press("enter")
        await sees(pilot, app, "Enter decides nothing here")
        assert app.work is None

        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("escape")
        await sees(pilot, app, "[3 Change]")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question again")
        await pilot.press("tab", *"apply", "enter")
        await keep(pilot, app)
        await until(pilot, lambda: app.work is not None and app.work.is_over, "the end")
        assert isinstance(app.screen, WorkScreen)
        await pilot.press("enter")
        await sees(pilot, app, "[4 Proof]")
        await sees(pilot, app, "Asked again: measured, and as it should be.")
        assert "confirmed and kept" in " ".join(visible(app).split())
        await pilot.press("enter")
        await sees(pilot, app, "step 2: ssh.limits 1 of 5 done")
        await until(pilot, lambda: kept(options).get("at") == "ssh.limits", "that it is kept")


async def test_resumed_after_quitting_by_another_screen(options: Options) -> None:
    app = opened(options)
    async with app.run_test(size=(80, 24)) as pilot:
        await led(pilot, app)
        await pilot.press("l")
        await sees(pilot, app, "ssh.root-login is put off.")
        await pilot.press("n")
        await sees(pilot, app, "step 3: apache.banner")
        await until(pilot, lambda: kept(options).get("at") == "apache.banner", "that it is kept")
        assert list(kept(options)["later"]) == ["ssh.root-login"]  # type: ignore[call-overload]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.base, "the checklist")
        await sees(pilot, app, "stopped the guided run at apache.banner: l goes on.")
        await pilot.press("q")

    again = opened(options)
    async with again.run_test(size=(80, 24)) as pilot:
        await checked(pilot, again)
        await sees(pilot, again, "stopped the guided run at apache.banner: l goes on.")
        await led(pilot, again)
        await sees(pilot, again, "step 3: apache.banner")
        await sees(pilot, again, "1 step put off. g starts it over.")
        await pilot.press("g")
        await sees(pilot, again, "step 1: ssh.root-login")
        await until(pilot, lambda: kept(options).get("at") == "ssh.root-login", "that it is kept")
        assert kept(options)["later"] == {}


async def test_skip_attest_and_the_end_with_what_is_left(options: Options, tmp_path: Path) -> None:
    app = opened(options)
    async with app.run_test(size=(80, 24)) as pilot:
        await led(pilot, app)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, Ask), "why")
        await pilot.press(*"a jump host", "enter")
        await until(pilot, lambda: app.board.status("ssh.root-login") == "waived", "waived")
        await sees(pilot, app, "a jump host")
        await pilot.press("n", "l", "l")
        await sees(pilot, app, "step 4: data.disk-encryption")
        await pilot.press("enter", "enter")
        await sees(pilot, app, "Does the provider, the hypervisor or the disk")
        assert "t attest" in visible(app)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(app.screen, Ask), "what holds")
        await pilot.press(*"LUKS in the SAN", "enter")
        await until(
            pilot, lambda: app.board.status("data.disk-encryption") == "attested", "attested"
        )
        await sees(pilot, app, "[4 Proof]")
        await pilot.press("enter")
        await sees(pilot, app, "step 5: updates.pending")
        await pilot.press("enter", "enter")
        await sees(pilot, app, "Refused: No list of packages was ever fetched")
        await pilot.press("l")
        await sees(pilot, app, "Before the application: the end of the run")
        await sees(pilot, app, "Put off: ssh.limits, apache.banner, updates.pending.")
        await sees(pilot, app, "3 things left to do; 1 step left out on purpose.")
        await sees(pilot, app, "Refused for now (1)")
        await until(pilot, lambda: kept(options).get("ended"), "that it ended")

        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Ask), "the file's name")
        await pilot.press("enter")
        await until(pilot, lambda: list(tmp_path.glob("harden-tui-todo-*.md")), "the file")
        await sees(pilot, app, "Exported to")
        text = next(tmp_path.glob("harden-tui-todo-*.md")).read_text()
        assert "- [ ] `updates.pending`" in text and "No list of packages was ever" in text
        assert "- `ssh.root-login`" in text and "a jump host" in text
        assert "`apache.banner`" in text and "Put off by" in text
        assert "data.disk-encryption" not in text


async def test_the_list_from_the_checklist_and_values_from_the_run(options: Options) -> None:
    app = opened(options)
    async with app.run_test(size=(120, 40)) as pilot:
        await checked(pilot, app)
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, TodoScreen), "the list")
        await sees(pilot, app, "5 things left to do.")
        await pilot.press("enter")
        await led(pilot, app)
        await pilot.press("n", "e")
        await until(pilot, lambda: isinstance(app.screen, Form), "the form")
        await pilot.press("2", "ctrl+s")
        await pilot.press("escape")


async def test_nothing_open_in_a_stage_is_said(options: Options, tmp_path: Path) -> None:
    put_checklist(tmp_path / "state", "accounts.admin-user")
    app = opened(options)
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("l")
        await sees(pilot, app, "No step of “Before the application” is open")


async def test_an_update_is_led_through_its_window(options: Options, tmp_path: Path) -> None:
    """Opening, the person's own part and the close are shown although no check fails for them."""
    steps = "window.backup, window.open, window.system, window.application, window.close"
    put_checklist(tmp_path / "state", steps)
    app = opened(options)
    async with app.run_test(size=(80, 24)) as pilot:
        await led(pilot, app)
        await sees(pilot, app, "step 1: window.backup")
        await pilot.press("l")
        await sees(pilot, app, "step 2: window.open")
        await pilot.press("enter", "enter")
        await sees(pilot, app, "Now: none is open.")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, WindowScreen), "the window's screen")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Form), "how long")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "what it would do")
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.work is not None and app.work.is_over, "the end")
        await pilot.press("enter", "escape")
        await sees(pilot, app, "✓ pass · window.open")
        await pilot.press("enter")
        await sees(pilot, app, "step 3: window.system")
        await pilot.press("l")
        await sees(pilot, app, "step 4: window.application")
        await pilot.press("n")
        await sees(pilot, app, "step 5: window.close")
        await pilot.press("enter", "enter")
        await sees(pilot, app, "a shows the update window, where c closes it")
        await pilot.press("l")
        await sees(pilot, app, "Update window: the end of the run")
        await sees(pilot, app, "An update window is open until")
