"""The question how to settle what drifted, with the diffs in sight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize

from tui.dialogs import Dialog, Draw
from tui.text import Line, paragraph, wrap
from tui.views.drift import MEANINGS
from tui.views.frame import rule
from tui.widgets.lines import LinePane, position
from tui.widgets.single import Fixed


class Settle(Dialog):
    """Cancel, or one of `choices`. The focus is on Cancel, so that Enter alone does nothing.

    Dismissed with the choice, or `None`.
    """

    BINDINGS: ClassVar = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("left,shift+tab", "turn(-1)", show=False, priority=True),
        Binding("right,tab", "turn(1)", show=False, priority=True),
        Binding("enter", "take", show=False),
        Binding("q", "cancel", show=False),
    ]

    def __init__(self, title: str, body: Draw, choices: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._body = body
        self._choices = ["", *choices]
        self._at = 0

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw_title, id="question")
        yield LinePane(id="body", focusable=False)
        yield Fixed(self._draw_rule, id="rule")
        yield Fixed(self._draw_answer, id="answer")

    def on_mount(self) -> None:
        self._draw_body()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw_body)

    def _draw_body(self) -> None:
        pane = self.query_one("#body", LinePane)
        if pane.size.width:
            pane.show(self._body(pane.size.width))
            self.query_one("#rule", Fixed).update()

    def _draw_title(self, width: int) -> list[Line]:
        return [*(((piece, "bold"),) for piece in wrap(self._title, width)), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        return [rule("", position(self.query_one("#body", LinePane)), width)]

    def _draw_answer(self, width: int) -> list[Line]:
        line: list[tuple[str, Any]] = []
        for number, choice in enumerate(self._choices):
            label = choice.capitalize() or "Cancel"
            line += [(f"[ {label} ]", "mark" if number == self._at else ""), ("  ", "")]
        line.append(("←→ choose  Enter take  Esc", "dim"))
        chosen = self._choices[self._at]
        meaning = f"{chosen}: {MEANINGS[chosen]}" if chosen else "Nothing is changed."
        return [tuple(line), *paragraph(meaning, width, "dim")]

    def on_line_pane_scrolled(self) -> None:
        self.query_one("#rule", Fixed).update()

    def action_scroll(self, by: int) -> None:
        self.query_one("#body", LinePane).scroll_lines(by)

    def action_page(self, by: int) -> None:
        self.query_one("#body", LinePane).scroll_pages(by)

    def action_turn(self, by: int) -> None:
        self._at = (self._at + by) % len(self._choices)
        self.query_one("#answer", Fixed).update()

    def action_take(self) -> None:
        self.dismiss(self._choices[self._at] or None)
