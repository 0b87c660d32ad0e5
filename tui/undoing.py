"""Undo as a person sets it going: conflicts are settled first, then the undo is shown and asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from snapshots.model import Resolution, UndoItem, UndoPlan
from tui.preparing import Preparing
from tui.views import preview
from tui.views.history import when
from tui.wire import UndoAnswer


def in_conflict(plans: Sequence[UndoPlan]) -> list[UndoItem]:
    """What a person has to choose for, each thing once: of changes that meet at one thing the
    newest, which is undone first; the choice counts for the others too, as they come up."""
    meeting = Counter(item.key for plan in plans for item in plan.conflicts)
    items: dict[str, UndoItem] = {}
    for item in (item for plan in plans for item in plan.conflicts):
        count = meeting[item.key]
        several = f"the newest of {count} changes that are in conflict here; you choose for all"
        note = "; ".join(filter(None, (item.note, several if count > 1 else "")))
        items.setdefault(item.key, msgspec.structs.replace(item, note=note))
    return [*items.values()]


class Undoing(Preparing):
    """The flow behind `u`."""

    def begin_roll_back(
        self, ids: Sequence[str], title: str, chosen: Mapping[str, Resolution] | None = None
    ) -> None:
        """Show what the undo would do, then ask. `chosen` for what is in conflict."""
        from tui.resolving import flags

        choices = flags(chosen or {})

        def show(answer: UndoAnswer) -> None:
            disputed = any(plan.conflicts for plan in answer.plans)
            if disputed and not preview.cannot(answer.plans):
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

        items = in_conflict(answer.plans)
        settled: dict[str, Resolution] = {
            item.key: item.chosen for plan in answer.plans for item in plan.disputed if item.chosen
        }

        def chosen(choices: dict[str, Resolution] | None) -> None:
            if choices:
                self.begin_roll_back(ids, title, {**settled, **choices})

        self.push_screen(Conflicts(f"In conflict: {title}", items), chosen)

    def _approve_undo(
        self, ids: Sequence[str], title: str, choices: Sequence[str], answer: UndoAnswer
    ) -> None:
        from tui.dialogs import Confirm

        plans = answer.plans
        began = {record.id: when(record.started) for record in self.board.records}
        refused = bool(preview.cannot(plans))
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
                f"{'Refused for now' if refused else 'Undo'}: {title}",
                lambda width: preview.undo_lines(plans, width, window_s, began),
                verb="Undo" if plans and not refused else "",
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
