"""A applies what can be applied of a stage, and says what it left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.practice import PracticeHost
from tests.tui.test_practice import checked, put_checklist, until, visible
from tui.app import HardenApp
from tui.client import Hands
from tui.dialogs import Confirm
from tui.options import Options

APPLIED = ("apache.banner", "php.settings")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HardenApp:
    """On a practice host whose only administrator has no key."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    host = PracticeHost(tmp_path / "state/host")
    host.put("/home/admin/.ssh/authorized_keys", None)
    put_checklist(tmp_path / "state", "ssh.key-only, apache.banner, php.settings")
    options = Options(
        practice=True,
        state_dir=tmp_path / "state",
        log_dir=tmp_path / "state/log",
        checklist="mine",
        user="alice",
    )
    return HardenApp(Hands(options), host="practice")


async def test_one_refusal_does_not_hold_up_the_others(app: HardenApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        assert "3 steps, without 1 refused" in visible(app)
        assert "Apply the others" in visible(app)
        await pilot.press("tab", *"apply", "enter")
        await until(pilot, lambda: app.work is not None and app.work.is_over, "the end")
        await until(
            pilot,
            lambda: "above: ssh.key-only." in " ".join(visible(app).split()),
            "what was refused",
        )
        await pilot.press("escape")
        await until(
            pilot,
            lambda: (
                {one.steps[0] for one in app.board.records} == {"apache.banner", "php.settings"}
            ),
            "two transactions",
        )
