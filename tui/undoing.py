"""Undo as a person sets it going: conflicts are settled first, then the undo is shown and asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from snapshots.model import Resolution
from tui.messages import Answered
from tui.views import preview
from tui.wire import UndoAnswer
from tui.working import Working


class Undoing(Working):
    """The flow behind `u`."""

    _undo_title = ""
    _undo_flags: tuple[str, ...] = ()
    """What was chosen for conflicts, as arguments of the command line."""

    def begin_roll_back(self, ids: Sequence[str], title: str) -> None:
        """Show what the undo would do, then ask."""
        self._undo_title = title
        self._ask_undo(ids, ())

    def _ask_undo(self, ids: Sequence[str], chosen: Sequence[str]) -> None:
        self._undo_flags = tuple(chosen)
        self.say("Asking the host what the undo would do…")
        arguments = ["rollback", *ids, "--dry-run", *chosen]
        self.ask("undo", " ".join(ids), arguments, UndoAnswer)

    def _answered_undo(self, message: Answered) -> None:
        if message.answer is None:
            self.say(message.problem, warn=True)
            return
        answer: UndoAnswer = message.answer
        ids = message.about.split()
        self.say("")
        if any(plan.conflicts for plan in answer.plans):
            self._settle_conflicts(ids, answer)
        else:
            self._approve_undo(ids, answer)

    def _settle_conflicts(self, ids: Sequence[str], answer: UndoAnswer) -> None:
        """Ask for a choice for each conflict; what was chosen before for others still counts."""
        from tui.conflicts import Conflicts
        from tui.resolving import flags

        items = {item.key: item for plan in answer.plans for item in plan.conflicts}
        settled: dict[str, Resolution] = {
            item.key: item.chosen for plan in answer.plans for item in plan.disputed if item.chosen
        }

        def chosen(choices: dict[str, Resolution] | None) -> None:
            if choices:
                self._ask_undo(ids, flags({**settled, **choices}))

        self.push_screen(Conflicts(f"In conflict: {self._undo_title}", [*items.values()]), chosen)

    def _approve_undo(self, ids: Sequence[str], answer: UndoAnswer) -> None:
        from tui.dialogs import Confirm

        plans = answer.plans
        fingerprint = answer.fingerprint or (plans[0].fingerprint if len(plans) == 1 else "")
        chosen = self._undo_flags
        guarded = self.guarded_of([step for plan in plans for step in plan.steps])
        window_s = self.hands.options.confirm_within_s if guarded else 0

        def answered(yes: bool | None) -> None:
            if yes:
                approved = ["--fingerprint", fingerprint] if fingerprint else []
                arguments = ["rollback", *ids, "--yes", *chosen, *approved]
                arguments += self.within(guarded)
                self.start_work(f"Undo {self._undo_title}", arguments)
                self.show_work()

        self.push_screen(
            Confirm(
                f"Undo: {self._undo_title}",
                lambda width: preview.undo_lines(plans, width, window_s),
                verb="Undo" if plans else "",
            ),
            answered,
        )

    def guarded_of(self, steps: Iterable[str]) -> tuple[str, ...]:
        """Those of the steps whose change waits for a confirmation."""
        infos = self.board.infos
        return tuple(step for step in steps if step in infos and infos[step].guard)

    def within(self, guarded: Sequence[str]) -> list[str]:
        """The time that was shown is the time there is."""
        return ["--confirm-within", f"{self.hands.options.confirm_within_s}s"] if guarded else []

    def show_work(self) -> None:
        """Show what the work says while it goes on."""
        raise NotImplementedError
