"""The question how to settle what drifted, with the diffs in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding

from tui.question import Draw, Question
from tui.text import Line, paragraph
from tui.views.drift import MEANINGS
from tui.widgets.single import Fixed


class Settle(Question):
    """Cancel, or one of `choices`. The focus is on Cancel, so that Enter alone does nothing.

    Dismissed with the choice, or `None`.
    """

    BINDINGS: ClassVar = [
        Binding("left,shift+tab", "turn(-1)", show=False, priority=True),
        Binding("right,tab", "turn(1)", show=False, priority=True),
    ]

    def __init__(self, title: str, body: Draw, choices: Sequence[str]) -> None:
        super().__init__(title, body)
        self._choices = ["", *choices]
        self._at = 0

    def _draw_answer(self, width: int) -> list[Line]:
        line: list[tuple[str, Any]] = []
        for number, choice in enumerate(self._choices):
            label = choice.capitalize() or "Cancel"
            line += [(f"[ {label} ]", "mark" if number == self._at else ""), ("  ", "")]
        line.append(("←→ choose  Enter take  Esc", "dim"))
        chosen = self._choices[self._at]
        meaning = f"{chosen}: {MEANINGS[chosen]}" if chosen else "Nothing is changed."
        return [tuple(line), *paragraph(meaning, width, "dim")]

    def action_turn(self, by: int) -> None:
        self._at = (self._at + by) % len(self._choices)
        self.query_one("#answer", Fixed).update()

    def action_take(self) -> None:
        self.dismiss(self._choices[self._at] or None)
