"""Settling what drifted, from the key to the work: which way, then what exactly it would do."""

from __future__ import annotations

from collections.abc import Sequence

from steps.drift_model import DriftRow
from tui.changing import Changing
from tui.drift_words import ways
from tui.messages import Answered
from tui.text import BLANK, Line
from tui.views import drift as view
from tui.wire import AcceptedAnswer, SettleAnswer


class Drifting(Changing):
    """The flow behind the key for drift."""

    def begin_settling(self, about: str, rows: Sequence[DriftRow]) -> None:
        """Show what drifted (of the step `about`, or of all) and ask which way to settle it."""
        from tui.drift_dialog import Settle

        def body(width: int) -> list[Line]:
            return [line for row in rows for line in (*view.row_lines(row, width), BLANK)]

        def answered(choice: str | None) -> None:
            if choice:
                self._plan_settling(choice, [row for row in rows if choice in row.choices])

        self._settling = about or "everything"
        self.push_screen(Settle(f"Drifted: {self._settling}", body, ways(rows)), answered)

    def _plan_settling(self, choice: str, rows: Sequence[DriftRow]) -> None:
        self._settled_keys = [row.key for row in rows]
        self.say("Asking the host what that would do…")
        self.ask(
            "settle",
            choice,
            ["drift", choice, *self._settled_keys, "--dry-run"],
            SettleAnswer,
        )

    def _answered_settle(self, message: Answered) -> None:
        if message.answer is None:
            self.say(message.problem, warn=True)
            return
        from tui.dialogs import Confirm

        answer: SettleAnswer = message.answer
        refused = any(item.refused for item in answer.items)
        verb = answer.choice.capitalize()

        def answered(yes: bool | None) -> None:
            if yes:
                self._settle_drift(answer)

        self.say("")
        title = f"{'Refused for now' if refused else verb}: {self._settling}"
        self.push_screen(
            Confirm(
                title,
                lambda width: view.settle_lines(answer, width),
                verb="" if refused else verb,
            ),
            answered,
        )

    def _settle_drift(self, answer: SettleAnswer) -> None:
        arguments = [
            "drift", answer.choice, *self._settled_keys, "--yes",
            "--fingerprint", answer.fingerprint,
        ]  # fmt: skip
        if answer.choice == "accept":  # nothing on the host changes: no run to follow
            self.ask("accepted", self._settling, arguments, AcceptedAnswer)
        else:
            self.start_work(f"{answer.choice.capitalize()} {self._settling}", arguments)
            self.show_work()

    def _answered_accepted(self, message: Answered) -> None:
        if message.answer is None:
            self.say(message.problem, warn=True)
            return
        self.say(message.answer.summary)
        self.start_check()
