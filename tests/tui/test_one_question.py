"""What is asked of the hands first and shown then: each question with its own title and answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import pytest
from textual.pilot import Pilot

from steps.drift_model import DriftReport, DriftRow
from steps.events import Done
from tests.tui.recorded_hands import DRIFT, SETTLE, UNDO, plan
from tests.tui.recorded_screen import RecordedHands, options
from tests.tui.test_practice import checked, until, visible
from tui.app import HardenApp
from tui.dialogs import Confirm
from tui.drift_dialog import Settle
from tui.palette import Palette
from tui.wire import HandsError, SettleAnswer, UndoAnswer

T = TypeVar("T")

ROWS = [msgspec.convert(row, DriftRow) for row in DRIFT["things"]]


class SlowHands(RecordedHands):
    """Hands that answer a dry run or a plan when the test says so."""

    def __init__(self) -> None:
        super().__init__(options())
        self.rights = "root"
        self.may: dict[str, threading.Event] = {}
        self.asked: list[list[str]] = []
        self.problem = ""
        self.plans: Any = UNDO["plans"]

    def ask(
        self,
        arguments: Sequence[str],
        kind: type[T],
        *,
        values: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> T:
        about = {"rollback": arguments[1], "drift": arguments[-2]}.get(arguments[0], "")
        if arguments[0] == "plan" and values is not None:
            about = arguments[1]
        if not about:
            return super().ask(arguments, kind, values=values)
        self.asked.append([*arguments])
        if self.problem:
            raise HandsError(self.problem)
        self.may.setdefault(about, threading.Event()).wait(20)
        answer: dict[str, Any] = {
            "rollback": {**UNDO, "plans": self.plans, "fingerprint": about},
            "drift": {**SETTLE, "choice": arguments[1], "fingerprint": about},
            "plan": plan([about]),
        }[arguments[0]]
        return msgspec.convert(answer, kind)

    def answer(self, about: str) -> None:
        self.may.setdefault(about, threading.Event()).set()


class Screen(HardenApp):
    """Notes the work that was approved, and does none."""

    hands: SlowHands
    values: Any = None

    def __init__(self) -> None:
        super().__init__(SlowHands(), host="web1")
        self.approved: list[tuple[str, list[str]]] = []

    def start_work(self, title: str, arguments: Sequence[str], *, values: Any = None) -> None:
        self.approved.append((title, [*arguments]))
        self.values = values


async def title_of(pilot: Pilot[None], app: Screen) -> str:
    await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
    assert isinstance(app.screen, Confirm)
    return app.screen._title


async def settled(pilot: Pilot[None], app: Screen) -> None:
    """Every answer was heard."""
    await until(
        pilot,
        lambda: not any(question == "prepared" for question, _ in app._asked),
        "the last answer",
    )


async def test_of_two_undos_the_later_one_is_asked_under_its_own_name() -> None:
    app = Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        app.begin_roll_back(["one"], "kernel.sysctl")
        app.begin_roll_back(["two"], "apache.banner")
        app.begin_roll_back(["two"], "apache.banner")
        app.hands.answer("two")
        assert await title_of(pilot, app) == "Undo: apache.banner"
        app.hands.answer("one")
        await settled(pilot, app)
        assert len(app.screen_stack) == 2, "nothing opened above it"
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.approved, "the work")
        ((title, arguments),) = app.approved
        assert title == "Undo apache.banner"
        assert arguments[:2] == ["rollback", "two"]
        assert arguments[arguments.index("--fingerprint") + 1] == "two"
        assert [one[1] for one in app.hands.asked] == ["one", "two"], "pressed twice, asked once"


async def test_an_answer_that_comes_late_opens_above_no_other_question() -> None:
    app = Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        app.begin_roll_back(["one"], "kernel.sysctl")
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, Palette), "another question")
        app.hands.answer("one")
        await settled(pilot, app)
        await pilot.pause()
        assert isinstance(app.screen, Palette)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.base, "the checklist")
        assert "Undo: kernel.sysctl: not asked, because something else was open" in app._message


async def test_drift_and_apply_keep_to_what_they_were_asked_about() -> None:
    app = Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        first, second = ROWS
        app.begin_settling("ssh.limits", [first])
        await until(pilot, lambda: isinstance(app.screen, Settle), "which way")
        await pilot.press("right", "right", "enter")
        await until(pilot, lambda: app.hands.asked, "the first")
        app.begin_settling("", [second])
        await until(pilot, lambda: isinstance(app.screen, Settle), "which way")
        app.hands.answer(first.key)
        await settled(pilot, app)
        assert isinstance(app.screen, Settle), "the answer to the first does not cover it"
        await pilot.press("right", "right", "enter")
        await until(pilot, lambda: len(app.hands.asked) == 2, "the second")
        app.hands.answer(second.key)
        assert await title_of(pilot, app) == "Restore: everything"
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.approved, "the work")
        assert app.approved == [
            ("Restore everything",
             ["drift", "restore", second.key, "--yes", "--fingerprint", second.key]),
        ]  # fmt: skip
        await until(pilot, lambda: app.screen is app.base, "the checklist")

        app._plan_to_approve(["ssh.limits"], {"ssh.limits": {"max-auth-tries": "1"}})
        app._plan_to_approve(["ssh.limits"], {"ssh.limits": {"max-auth-tries": "2"}})
        app.hands.answer("ssh.limits")
        assert (await title_of(pilot, app)).startswith("Apply: ssh.limits")
        await settled(pilot, app)
        assert len(app.screen_stack) == 2
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(app.approved) == 2, "the work")
        assert app.values == {"ssh.limits": {"max-auth-tries": "2"}}


async def test_an_undo_that_cannot_be_done_is_not_offered_and_no_choice_asked_for_it() -> None:
    app = Screen()
    why = "This cannot be undone: the kept package cron 3.0 is missing; nothing was touched."
    (plan,) = msgspec.convert(UNDO, UndoAnswer).plans
    items = (msgspec.structs.replace(plan.items[0], how="conflict"),)
    plan = msgspec.structs.replace(plan, cannot=why, items=items)
    app.hands.plans = [msgspec.to_builtins(plan)]
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        app.begin_roll_back(["one"], "site.nopkg")
        app.hands.answer("one")
        assert await title_of(pilot, app) == "Refused for now: site.nopkg"
        assert f"! {why}" in " ".join(visible(app).split()) and "[ Undo ]" not in visible(app)
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.screen is app.base, "the list again")
        assert not app.approved


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_why_nothing_came_of_it_is_read_in_full(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Screen()
    sentence = (
        "The host has changed since this was shown; nothing was changed. Look at the differences"
        " again, then approve again."
    )
    async with app.run_test(size=size) as pilot:
        await checked(pilot, app)
        app.hands.problem = sentence
        checks: list[str] = []
        monkeypatch.setattr(app, "start_check", lambda: checks.append("again"))
        answer = msgspec.convert({**SETTLE, "choice": "accept"}, SettleAnswer)
        app._settle_drift(answer, "everything", [ROWS[1].key])
        await until(pilot, lambda: checks, "that the host is checked again")
        app.begin_roll_back(["one"], "apache.banner")
        await until(pilot, lambda: len(app.hands.asked) == 2, "the second refusal")
        await settled(pilot, app)
        if size[0] == 80:
            assert await title_of(pilot, app) == "Accept: everything"
            assert sentence in " ".join(visible(app).split())
            assert len(app.screen_stack) == 2, "the second opens above no other"
        else:
            assert app.screen is app.base and app._message == sentence


async def test_a_check_that_failed_is_said_and_what_drifted_is_not_known_then() -> None:
    app = Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        await checked(pilot, app)
        assert not app.why_not("drift")
        app._check_ended(Done(exit=5, summary="This is a mistake in harden-tui itself."))
        assert app._message == "This is a mistake in harden-tui itself."
        assert app.view.sentence().startswith("The last check failed")
        await pilot.press("d")
        why = "What drifted is not known: This is a mistake in harden-tui itself."
        await until(pilot, lambda: why in " ".join(visible(app).split()), "why")
        await pilot.press("escape")
        app.start_check()
        await until(pilot, lambda: app.board.drift.things, "the next check")
        assert not app.view.sentence() and not app.why_not("drift")


async def test_nothing_is_said_of_drift_before_it_was_looked_for_nor_of_when() -> None:
    app = Screen()
    async with app.run_test(size=(80, 24)) as pilot:
        assert app.why_not("drift") == "Drift is still being looked for."
        await checked(pilot, app)
        app.board.take_drift(DriftReport(transaction="t"), ())
        seen = r"No drift, as the check of \d\d:\d\d UTC saw it; r looks again\."
        assert re.fullmatch(seen, app.why_not("drift"))
        app.board.take_drift(DriftReport(), ())
        assert "nothing can have drifted" in app.why_not("drift")
        app.board.forget_drift("The check failed.")
        app._check_saw_drift = False
        app._check_ended(Done(exit=0, summary=""))  # of a new host, of which nothing is told
        assert not app.board.drift.problem


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_drift_that_cannot_be_known_is_seen_and_its_reason_read(
    size: tuple[int, int],
) -> None:
    app = Screen()
    why = "/var/lib/harden-tui/transactions/20261127T144848/delta.jsonl cannot be read: it is torn."
    async with app.run_test(size=size) as pilot:
        await checked(pilot, app)
        app.board.take_drift(DriftReport(transaction="t", problem=why), ())
        app.view.refresh_view()
        assert app.view.sentence() == "What drifted is not known: d says why."
        assert "drift is not known: d" in visible(app)
        await pilot.press("d")
        await until(pilot, lambda: why in " ".join(visible(app).split()), "the whole sentence")
