"""Guarded changes on the screen: what waits is shown wherever the person is, and answered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from snapshots.guard_units import DIRECTORY, TIMER
from steps.events import Done, GuardEvent
from tui.drifting import Drifting
from tui.messages import Answered
from tui.text import BLANK, Line
from tui.views import guard as view
from tui.waiting import Waiting, ended, left_s, more_s, waits
from tui.wire import AcceptedAnswer, RunAnswer
from tui.working import remember_seen

if TYPE_CHECKING:
    from textual.screen import Screen
    from textual.timer import Timer

    from tui.guard_screen import GuardScreen

TICK_S = 1.0


class Guarded(Drifting):
    """What waits is told by our own work, or else by `confirm --status`, which goes on telling."""

    host_name: str

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._ticks: Timer | None = None
        self._guard_screen: GuardScreen | None = None
        self._guard_question: Screen[Any] | None = None

    def refresh_banner(self) -> None:
        """Draw what waits, where it is shown above a place or a work."""
        raise NotImplementedError

    def guard_said(self, call: str, event: GuardEvent) -> None:
        if not event.phase:
            if call == "check":
                self.say(" ".join(event.reasons), warn=True)
        elif call in ("check", "follow"):  # a run is followed from its start: that may be long ago
            if event.phase not in ("kept", "taken-back"):
                self.look_on()
        elif event.phase in ("waiting", "login"):
            self._waits(waits(event))
        elif event.phase in ("kept", "taken-back"):
            self._decided(ended(event))

    def look_on(self) -> None:
        if "guard" not in self._calls and "work" not in self._calls:
            self._start("guard", ["confirm", "--status"])

    def guard_not_found(self) -> None:
        """A check came to its end without a word of a guard."""
        if self.waiting is not None and "guard" not in self._calls and "work" not in self._calls:
            self._forget_guard()

    def looking_on_ended(self, done: Done) -> None:
        """The hands tell no more about what waits; the rest is found by a check."""
        if self.waiting is None:
            return
        if done.exit:
            self.say(done.summary, warn=True)
        else:
            self.start_check()

    def hint_at_guard(self) -> str:
        """What can be seen of a guard without root: its units; empty where there are none."""
        if self.hands.options.practice or not os.path.exists(f"{DIRECTORY}/{TIMER}"):
            return ""
        return "A change waits for its confirmation: b asks sudo once, then it is shown."

    def _waits(self, now: Waiting) -> None:
        before = self.waiting
        if before is not None and before.names == now.names and not now.login:
            now = msgspec.structs.replace(now, login=before.login)  # the deadline was moved
        self.waiting = now
        if self._ticks is None:
            self._ticks = self.set_interval(TICK_S, self._tick)
        if before is None:
            self._read_history()
        if self._guard_screen is not None:
            self._guard_screen.show(now)
        elif before is None and self.may_interrupt():
            self.show_guard()
        self.refresh_banner()
        self.redraw_soon()

    def _tick(self) -> None:
        if self._guard_screen is not None:
            self._guard_screen.tick()
        self.refresh_banner()

    def _decided(self, how: Waiting) -> None:
        if self.waiting is None:
            return
        self._forget_guard()
        if self.work is not None and not self.work.is_over:
            self.work_is_ours = True  # seen here to its end, whoever began it
        if self._guard_screen is not None:
            self._guard_screen.show(how)
        elif how.phase == "kept":
            self.say(f"{how.names} {how.by_number('is', 'are')} kept.")
        else:
            self.say(how.reason, warn=True)
            if self.may_interrupt():
                self._push_guard(how)
        if "work" not in self._calls:
            self.board.forget_plans()
            self._read_history()
            self.start_check()

    def _read_history(self) -> None:
        """Also where an answer is still on its way: it may be older than what it is asked for."""
        self._asked.discard(("history", ""))
        self.ask_history()

    def _forget_guard(self) -> None:
        self.waiting = None
        if self._ticks is not None:
            self._ticks.stop()
            self._ticks = None
        self._leave_question()
        self.refresh_banner()
        self.redraw_soon()

    def _leave_question(self) -> None:
        """A question about what waits is out of date."""
        question, self._guard_question = self._guard_question, None
        if question is not None and self.screen is question:
            question.dismiss(None)

    def show_guard(self) -> None:
        if self.waiting is not None and self._guard_screen is None:
            self._push_guard(self.waiting)

    def _push_guard(self, what: Waiting) -> None:
        from tui.guard_screen import GuardScreen

        def left(_answer: object) -> None:
            self._guard_screen = None

        self._guard_screen = GuardScreen(
            what, practice=self.hands.options.practice, program=self.hands.options.program
        )
        self.push_screen(self._guard_screen, left)

    def why_not_confirm(self) -> str:
        return "" if self.waiting is not None else "Nothing waits for a confirmation."

    def do_confirm(self) -> None:
        self.show_guard()

    def action_confirm(self) -> None:
        """From above a work, which has no actions of a place."""
        self.show_guard()

    def confirm_guard(self) -> None:
        """Keep it; where nobody has logged in since, the host's name must be typed."""
        waiting = self.waiting
        if waiting is None:
            return
        if waiting.login:
            self._answer_guard("kept", ["confirm"], "Confirming…")
            return
        from tui.dialogs import Ask

        name = self.host_name.partition(".")[0]

        def typed(word: str | None) -> None:
            # Somebody may have logged in while it was typed. The question stays even so: what is
            # still typed would be taken for keys of what lies below it.
            self._guard_question = None
            if word and self.waiting is not None:
                without = ["--without-login", "--word", word]
                arguments = ["confirm", *([] if self.waiting.login else without)]
                self._answer_guard("kept", arguments, "Confirming…")

        def problem(word: str) -> str:
            return "" if word.partition(".")[0] == name else f"This host is called {name}; or Esc."

        self._guard_question = Ask(
            f"Keep {waiting.names} without a new login?",
            lambda width: view.why_without_login(waiting, name, width),
            problem=problem,
        )
        self.push_screen(self._guard_question, typed)

    def extend_guard(self) -> None:
        if self.waiting is not None:
            arguments = ["confirm", "--extend", f"{more_s(self.waiting)}s"]
            self._answer_guard("extended", arguments, "Asking for more time…")

    def take_back_guard(self) -> None:
        waiting = self.waiting
        if waiting is None:
            return
        from tui.dialogs import Confirm

        def answered(yes: bool | None) -> None:
            self._guard_question = None
            if yes:
                self._guard_hint("Taking it back…")
                self.ask("took_back", waiting.names, ["recover", "--yes"], RunAnswer)

        def body(width: int) -> list[Line]:
            told = view.before_taking_back(waiting, width)
            return [*told, BLANK, *self.written_over_lines(width)]

        self.look_for_edits()
        self._guard_question = Confirm(f"Take back {waiting.names} now", body, verb="Take back")
        self.push_screen(self._guard_question, answered)

    def _answer_guard(self, question: str, arguments: Sequence[str], hint: str) -> None:
        self._guard_hint(hint)
        self.ask(question, "guard", arguments, AcceptedAnswer)

    def _guard_hint(self, hint: str, *, warn: bool = False) -> None:
        if self._guard_screen is not None:
            self._guard_screen.say(hint, warn=warn)
        else:
            self.say(hint, warn=warn)

    def _answered_kept(self, message: Answered) -> None:
        self._guard_hint(message.problem or message.answer.summary, warn=bool(message.problem))

    _answered_extended = _answered_kept

    def _answered_took_back(self, message: Answered) -> None:
        if message.answer is None:
            self._guard_hint(message.problem, warn=True)
            return
        answer: RunAnswer = message.answer
        remember_seen(answer.run)
        if answer.exit:
            self._guard_hint(answer.summary, warn=True)

    def banner_lines(self, width: int) -> list[Line]:
        """What waits, for whatever is shown now; nothing where nothing does."""
        if self.waiting is None:
            return []
        program = self.hands.options.program
        return view.banner(self.waiting, left_s(self.waiting), width, program=program)
