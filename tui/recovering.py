"""Recovering what was interrupted, and what is shown before: what others edited since."""

from __future__ import annotations

from tui.messages import Answered
from tui.question import Question
from tui.text import BLANK, Line, paragraph
from tui.undoing import Undoing
from tui.wire import RecoverAnswer
from tui.written_over import sentences

_WAS = {
    "open": "cut off", "pending": "never confirmed", "needs-person": "not taken back completely",
}  # fmt: skip


class Recovering(Undoing):
    """The flow behind R, and what taking back what waits has in common with it."""

    _written_over: RecoverAnswer | None = None
    """What the question that is open was told; `None` until it was."""

    def why_not_recover(self) -> str:
        if self.waiting is not None:
            return f"{self.waiting.sentence}: c, and then t takes it back."
        if self.work is not None and not self.work.is_over:
            return f"Wait: {self.work.state_line()}."
        if self.hands.rights == "user":
            return "Recovering needs root: b lets sudo ask for your password once."
        if self._others() is not None:
            return f"Wait: {self.said_of_others()}"
        if self.board.recoverable():
            return ""
        return self.why_unread() or "Nothing was interrupted."

    def do_recover(self) -> None:
        from snapshots.decision import called
        from tui.dialogs import Confirm

        records = self.board.recoverable()

        def body(width: int) -> list[Line]:
            lines = paragraph(
                "Recovering brings the host back to where it was before each of these.", width
            )
            for record in records:
                lines += [BLANK, ((called(record), "bold"), (f"  {_WAS[record.status]}", "warn")),
                          ((f"  began {record.started[:19]} UTC", "dim"),)]  # fmt: skip
            return [*lines, BLANK, *self.written_over_lines(width)]

        def answered(yes: bool | None) -> None:
            if yes:
                self.start_work("Recover", ["recover", "--yes"])
                self.show_work()

        self.look_for_edits()
        self.push_screen(Confirm("Recover what was interrupted", body, verb="Recover"), answered)

    def look_for_edits(self) -> None:
        """Ask what others edited since, for the question that opens now."""
        self._written_over = None
        self.ask("written_over", "", ["recover", "--dry-run"], RecoverAnswer)

    def _answered_written_over(self, message: Answered) -> None:
        self._written_over = message.answer or RecoverAnswer(unknown=message.problem)
        if isinstance(self.screen, Question):
            self.screen.body_changed()

    def written_over_lines(self, width: int) -> list[Line]:
        """What of others' is written over, in the body of a question."""
        if self._written_over is None:
            return paragraph("Looking whether others edited these files since…", width, "dim")
        told = sentences(self._written_over)
        if not told:
            return paragraph(
                "Of the files that it is known to have changed none was edited since.", width
            )
        return [line for sentence in told for line in paragraph(sentence, width, "warn")]
