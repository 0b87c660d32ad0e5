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
                self._plan_settling(choice, what, [row for row in rows if choice in row.choices])

        what = about or "everything"
        self.push_screen(Settle(f"Drifted: {what}", body, ways(rows)), answered)

    def _plan_settling(self, choice: str, what: str, rows: Sequence[DriftRow]) -> None:
        keys = [row.key for row in rows]
        self.prepare(
            f"{choice.capitalize()}: {what}",
            "Asking the host what that would do…",
            ["drift", choice, *keys, "--dry-run"],
            SettleAnswer,
            lambda answer: self._approve_settling(answer, what, keys),
            otherwise=self.start_check,
        )

    def _approve_settling(self, answer: SettleAnswer, what: str, keys: Sequence[str]) -> None:
        from tui.dialogs import Confirm

        refused = any(item.refused for item in answer.items)
        verb = answer.choice.capitalize()

        def answered(yes: bool | None) -> None:
            if yes:
                self._settle_drift(answer, what, keys)

        self.push_screen(
            Confirm(
                f"{'Refused for now' if refused else verb}: {what}",
                lambda width: view.settle_lines(answer, width),
                verb="" if refused else verb,
            ),
            answered,
        )

    def _settle_drift(self, answer: SettleAnswer, what: str, keys: Sequence[str]) -> None:
        arguments = [
            "drift", answer.choice, *keys, "--yes", "--fingerprint", answer.fingerprint,
        ]  # fmt: skip
        if answer.choice == "accept":  # nothing on the host changes: no run to follow
            self.ask("accepted", what, arguments, AcceptedAnswer)
        else:
            self.start_work(f"{answer.choice.capitalize()} {what}", arguments)
            self.show_work()

    def _answered_accepted(self, message: Answered) -> None:
        if message.answer is None:
            self.refuse(f"Accept: {message.about}", message.problem)
        else:
            self.say(message.answer.summary)
        self.start_check()
