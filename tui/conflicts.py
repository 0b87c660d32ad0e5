"""The question behind a conflict: its sides, and for each one what shall become of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.binding import Binding

from snapshots.model import RESOLUTIONS, Resolution, UndoItem
from tui.question import Question
from tui.resolving import MEANINGS
from tui.text import Line, Role, Span, paragraph, wrap
from tui.views import preview
from tui.views.frame import rule
from tui.widgets.single import Fixed

LABELS: Final[dict[Resolution, str]] = {
    "keep-current": "Keep what stands",
    "restore": "Put back",
    "merge": "Merge",
}

UNDECIDED = "Nothing is done yet; the whole undo is shown and asked for at the end."


class Conflicts(Question):
    """One conflict after the other. The mark begins on Cancel, so that Enter alone does nothing.

    Dismissed with the choices by key once there is one for each, and with `None` otherwise.
    """

    BINDINGS: ClassVar = [
        Binding("left", "turn(-1)", show=False, priority=True),
        Binding("right", "turn(1)", show=False, priority=True),
        Binding("tab", "other(1)", show=False, priority=True),
        Binding("shift+tab", "other(-1)", show=False, priority=True),
        Binding("a", "take_all", show=False),
    ]

    def __init__(self, title: str, items: Sequence[UndoItem]) -> None:
        super().__init__(title, lambda width: preview.dispute_lines(self._item, width))
        self._items = items
        self._choices: dict[str, Resolution] = {}
        self._here = 0
        self._mark = -1  # -1 is Cancel, else an index of RESOLUTIONS

    @property
    def _item(self) -> UndoItem:
        return self._items[self._here]

    def _draw(self, *, top: bool = False) -> None:
        self._draw_body(keep_place=not top)
        for name in ("question", "answer"):
            self.query_one(f"#{name}", Fixed).update()

    def _draw_title(self, width: int) -> list[Line]:
        place = f"Conflict {self._here + 1} of {len(self._items)}"
        chosen = self._choices.get(self._item.key)
        state = f"chosen: {LABELS[chosen].lower()}" if chosen else "nothing chosen yet"
        return [
            *(((piece, "bold"),) for piece in wrap(self._title, width)),
            ((f"{place} – {state}", "info" if chosen else "warn"),),
            rule("", "", width),
        ]

    def _draw_answer(self, width: int) -> list[Line]:
        spans: list[Span] = []
        for index, label in enumerate(("Cancel", *(LABELS[one] for one in RESOLUTIONS)), -1):
            off = index >= 0 and RESOLUTIONS[index] in self._item.cannot
            role: Role = "mark" if index == self._mark else "dim" if off else ""
            spans += [(f"[ {label} ]", role), ("  ", "")]
        keys = "←→ choose  Enter take  "
        if len(self._items) > 1:
            keys += "a take for all left  Tab other  "
        return [
            tuple(spans),
            *paragraph(self._meaning(), width)[:2],
            ((keys + "↑↓ scroll  Esc cancel", "dim"),),
        ]

    def _meaning(self) -> str:
        if self._mark < 0:
            return UNDECIDED
        choice = RESOLUTIONS[self._mark]
        if choice in self._item.cannot:
            return f"Not possible: {self._item.cannot[choice]}."
        meaning = MEANINGS[choice]
        return f"{meaning[:1].upper()}{meaning[1:]}."

    def action_turn(self, by: int) -> None:
        self._hint = ""
        self._mark = (self._mark + 1 + by) % (len(RESOLUTIONS) + 1) - 1
        self._draw()

    def action_other(self, by: int) -> None:
        if len(self._items) == 1:
            self.action_turn(by)
        else:
            self._go_to((self._here + by) % len(self._items))

    def _go_to(self, index: int) -> None:
        self._here = index
        chosen = self._choices.get(self._item.key)
        self._mark = RESOLUTIONS.index(chosen) if chosen else -1
        self._hint = ""
        self._draw(top=True)

    def action_take(self) -> None:
        if self._mark < 0:
            self.dismiss(None)
        else:
            self._take([self._item])

    def action_take_all(self) -> None:
        if self._mark < 0:
            self._say("Choose with the arrows first what is taken for all that are left.")
        else:
            left = [item for item in self._items if item.key not in self._choices]
            self._take([self._item, *left])

    def _take(self, items: Sequence[UndoItem]) -> None:
        """Choose what is marked for these, as far as it is possible, and go on to what is left."""
        choice = RESOLUTIONS[self._mark]
        if choice in items[0].cannot:
            self._say("That is not possible here; choose another way, or press Esc.")
            return
        self._choices |= {item.key: choice for item in items if choice not in item.cannot}
        left = [n for n, item in enumerate(self._items) if item.key not in self._choices]
        if left:
            self._go_to(next((n for n in left if n > self._here), left[0]))
        else:
            self.dismiss(self._choices)
