"""Update windows from the key to the hands: the banner, and what is done in a window."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported

from snapshots.guard_units import DIRECTORY
from snapshots.window_units import TIMER
from steps.events import WindowEvent
from steps.model import Parameter
from steps.window_model import (
    ClosePlan,
    OpenPlan,
    Window,
    WindowReport,
    WindowStatus,
    WindowUndoPlan,
)
from tui.leading import Leading
from tui.messages import Answered
from tui.text import Line, paragraph

if TYPE_CHECKING:
    from textual.timer import Timer

MINUTE_S = 60.0

PARAMETERS: Mapping[str, Parameter] = {
    "for": Parameter(
        kind="duration", help="How long it may take; it closes by itself then.", default="4h"
    ),
    "dump": Parameter(
        kind="list", optional=True,
        help="Databases to keep as they are now, so that undo can bring them back too.",
    ),
    "note": Parameter(kind="text", optional=True, help="Why, for the session log."),
}  # fmt: skip


def now() -> datetime:
    """The clock the deadline is told by."""
    return datetime.now(UTC)


class Windows(Leading):
    """A window is told by our own work, by every check, and asked for each minute while one is
    open: others may close or extend it, and at its deadline it closes by itself."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.window: Window | None = None
        self.window_report: WindowReport | None = None
        """Of the last one that ended, as far as it is known."""
        self.window_interrupted = False
        self._window_tick: Timer | None = None
        self._check_saw_window = False

    def window_said(self, call: str, event: WindowEvent) -> None:
        if call == "follow":  # a run is followed from its start: that may be long ago
            return
        self._check_saw_window |= call == "check"
        self._take_window(event.window, event.report)

    def check_began(self) -> None:
        self._check_saw_window = False

    def window_not_found(self) -> None:
        """A check came to its end without a word of a window."""
        if self.window is not None and not self._check_saw_window and "work" not in self._calls:
            self._take_window(None, None)

    def _take_window(self, window: Window | None, report: WindowReport | None) -> None:
        self.window = window
        if report is not None:
            self.window_report = report
        self._tick_window()
        self.redraw_soon()

    def window_left_s(self) -> float:
        return self.window.left_s(now()) if self.window is not None else 0.0

    def _tick_window(self) -> None:
        """Draw the time left, and again when it reads otherwise: a line a minute, and each second
        only in the last one."""
        if self._window_tick is not None:
            self._window_tick.stop()
            self._window_tick = None
        self.refresh_banner()
        if self.window is not None:
            wait_s = until_next(self.window_left_s())
            self._window_tick = self.set_timer(wait_s, self._window_ticked)

    def _window_ticked(self) -> None:
        self._tick_window()
        if not 0 < self.window_left_s() < MINUTE_S:
            self.ask_window()

    def ask_window(self) -> None:
        """Ask how it stands, unless our own work tells."""
        if "work" not in self._calls:
            self.ask("window", "", ["window", "status"], WindowStatus)

    def _answered_window(self, message: Answered) -> None:
        if message.answer is None:
            self.say(message.problem, warn=True)
            return
        status: WindowStatus = message.answer
        ended = self.window is not None and status.window is None
        self.window_interrupted = status.interrupted
        self._take_window(status.window, status.last)
        if ended:
            self.say("The update window was closed: W shows what changed in it.")
            self.start_check()

    def hint_at_guard(self) -> str:
        """Also of a window there is something to be seen without root: its units."""
        hint = super().hint_at_guard()
        if hint or self.hands.options.practice or not os.path.exists(f"{DIRECTORY}/{TIMER}"):
            return hint
        return "An update window is open: b asks sudo once, then it is shown."

    def banner_lines(self, width: int) -> list[Line]:
        """What waits for a confirmation, and the window that is open."""
        return [*super().banner_lines(width), *self.window_banner(width)]

    def window_banner(self, width: int) -> list[Line]:
        """The one line about the window; none where none is open."""
        if self.window is None:
            return []
        from tui.views import window as view  # most screens never see a window

        return view.banner(self.window, self.window_left_s(), width)

    def last_word(self) -> str:
        if self.window is None:
            return ""
        until = f"{self.window.deadline[11:16]} UTC"
        return (
            f"The update window stays open until {until}, and closes by itself then. Before: "
            "harden-tui window close"
        )

    def do_window(self) -> None:
        from tui.window_screen import WindowScreen

        self.ask_window()
        self.push_screen(WindowScreen(self.banner_lines))

    def action_window(self) -> None:
        """From above a work, which has no actions of a place."""
        self.do_window()

    def why_not_open(self) -> str:
        if self.window is not None:
            return "A window is open already."
        return self.why_not_change()

    def open_window(self) -> None:
        """Ask how long, and which databases to keep; then show what it would do."""
        from tui.dialogs import Form

        def given(changed: dict[str, str] | None) -> None:
            if changed is not None:
                self._plan_window({"for": "4h", "dump": "", "note": "", **changed})

        title = "Open an update window"
        self.push_screen(Form("", PARAMETERS, {"for": "4h"}, title=title, verb="go on"), given)

    def _plan_window(self, values: Mapping[str, str]) -> None:
        from tui.views import window as view

        databases = [one.strip() for one in values["dump"].split(",") if one.strip()]
        arguments = ["window", "open", "--for", values["for"]]
        arguments += [f"--dump={one}" for one in databases if one != "none"]
        arguments += [f"--note={values['note']}"] if values["note"] else []
        self.prepare(
            "Open an update window",
            "Asking the host what opening it would do…",
            [*arguments, "--dry-run"],
            OpenPlan,
            lambda plan: self._window_question(
                plan, "Open an update window", "Open", view.open_lines, [*arguments, "--yes"]
            ),
        )

    def close_window(self) -> None:
        """Show what closing would do, then ask."""
        from tui.views import window as view

        arguments = ["window", "close"]
        self.prepare(
            "Close the update window",
            "Asking the host what closing it would do…",
            [*arguments, "--dry-run"],
            ClosePlan,
            lambda plan: self._window_question(
                plan, "Close the update window", "Close", view.close_lines, [*arguments, "--yes"]
            ),
        )

    def undo_window(self) -> None:
        """Show what undoing the window, or the last one, would put back, then ask."""
        from tui.views import window as view

        def show(plan: WindowUndoPlan) -> None:
            approved = ["--fingerprint", plan.fingerprint] if plan.fingerprint else []
            arguments = ["window", "undo", "--yes", *approved]
            self._window_question(
                plan, "Undo the update window", "Undo", view.undo_lines, arguments
            )

        self.prepare(
            "Undo the update window",
            "Asking the host what the undo would do…",
            ["window", "undo", "--dry-run"],
            WindowUndoPlan,
            show,
        )

    def _window_question(
        self, plan: Any, title: str, verb: str, lines: Any, arguments: Sequence[str]
    ) -> None:
        from tui.dialogs import Confirm

        def answered(yes: bool | None) -> None:
            if yes:
                self.start_work(title, arguments)
                self.show_work()

        refused = bool(plan.refusals)
        self.push_screen(
            Confirm(
                f"Refused for now: {title[:1].lower()}{title[1:]}" if refused else title,
                lambda width: lines(plan, width),
                verb="" if refused else verb,
            ),
            answered,
        )

    def extend_window(self) -> None:
        """Ask how long from now it shall stay open."""
        from steps.window_open import EXPECTED, seconds_of
        from tui.dialogs import Ask

        def given(text: str | None) -> None:
            if text:
                self.start_work(
                    "Extend the update window", ["window", "extend", "--for", text, "--yes"]
                )

        self.push_screen(
            Ask(
                "How long from now shall the update window stay open?",
                lambda width: paragraph("The deadline is moved to then: 90m, 2h, 1d.", width),
                value="1h",
                problem=lambda text: "" if seconds_of(text) else f"{text}: {EXPECTED}.",
                verb="extend",
            ),
            given,
        )

    def why_not_shell(self) -> str:
        if self.hands.options.practice:
            return "A practice host has no shell: what you type would be done to this very machine."
        return "" if self.window is not None else "No update window is open."

    def open_shell(self) -> None:
        """Give the terminal to a shell of the person; then paint, and ask the host, anew."""
        from tui import shell
        from tui.views import window as view

        reason = self.why_not_shell()
        if reason:
            self.say(reason, warn=True)
            return
        try:
            with self.suspend():
                problem = shell.run(view.time_left(max(0.0, self.window_left_s())))
        except SuspendNotSupported:
            self.say("This terminal cannot be handed to a shell: open a second one.", warn=True)
            return
        self.board.forget_plans()
        self.ask_window()
        self.start_check()
        back = "Back from the shell: the host is asked again."
        self.say(problem or back, warn=bool(problem))


def until_next(left_s: float) -> float:
    """Seconds until the time left reads otherwise."""
    if left_s <= 0:
        return MINUTE_S
    if left_s <= MINUTE_S:
        return max(0.05, left_s - int(left_s) or 1.0)
    return min(MINUTE_S, left_s % MINUTE_S + 0.05)
