"""Undo as a person sets it going: conflicts are settled first, then the undo is shown and asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from snapshots.model import Resolution
from tui.preparing import Preparing
from tui.views import preview
from tui.wire import UndoAnswer


class Undoing(Preparing):
    """The flow behind `u`."""

    def begin_roll_back(
        self, ids: Sequence[str], title: str, chosen: Mapping[str, Resolution] | None = None
    ) -> None:
        """Show what the undo would do, then ask. `chosen` for what is in conflict."""
        from tui.resolving import flags

        choices = flags(chosen or {})

        def show(answer: UndoAnswer) -> None:
            if any(plan.conflicts for plan in answer.plans):
                self._settle_conflicts(ids, title, answer)
            else:
                self._approve_undo(ids, title, choices, answer)

        self.prepare(
            f"Undo: {title}",
            "Asking the host what the undo would do…",
            ["rollback", *ids, "--dry-run", *choices],
            UndoAnswer,
            show,
        )

    def _settle_conflicts(self, ids: Sequence[str], title: str, answer: UndoAnswer) -> None:
        """Ask for a choice for each conflict; what was chosen before for others still counts."""
        from tui.conflicts import Conflicts

        items = {item.key: item for plan in answer.plans for item in plan.conflicts}
        settled: dict[str, Resolution] = {
            item.key: item.chosen for plan in answer.plans for item in plan.disputed if item.chosen
        }

        def chosen(choices: dict[str, Resolution] | None) -> None:
            if choices:
                self.begin_roll_back(ids, title, {**settled, **choices})

        self.push_screen(Conflicts(f"In conflict: {title}", [*items.values()]), chosen)

    def _approve_undo(
        self, ids: Sequence[str], title: str, choices: Sequence[str], answer: UndoAnswer
    ) -> None:
        from tui.dialogs import Confirm

        plans = answer.plans
        fingerprint = answer.fingerprint or (plans[0].fingerprint if len(plans) == 1 else "")
        guarded = self.guarded_of([step for plan in plans for step in plan.steps])
        window_s = self.hands.options.confirm_within_s if guarded else 0

        def answered(yes: bool | None) -> None:
            if yes:
                approved = ["--fingerprint", fingerprint] if fingerprint else []
                arguments = ["rollback", *ids, "--yes", *choices, *approved]
                arguments += self.within(guarded)
                self.start_work(f"Undo {title}", arguments)
                self.show_work()

        self.push_screen(
            Confirm(
                f"Undo: {title}",
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
