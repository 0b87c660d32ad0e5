"""The command palette: every action of a place, found by typing.

Ours and not Textual's, which draws pictures that many terminals lack, and a spinner over the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize
from textual.widgets import Input

from tui.actions import Action
from tui.question import Dialog
from tui.text import Line, Row, cut, fit
from tui.views.frame import rule
from tui.widgets.field import Field
from tui.widgets.rows import RowList
from tui.widgets.single import Fixed


class Palette(Dialog):
    """Dismissed with the name of an action. `why_not` says why one cannot be taken now."""

    BINDINGS: ClassVar = [
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False, priority=True),
        Binding("pagedown", "move(10)", show=False, priority=True),
        Binding("ctrl+p", "cancel", show=False),
    ]

    def __init__(self, actions: Sequence[Action], why_not: Callable[[str], str]) -> None:
        super().__init__()
        self._actions = actions
        self._why_not = why_not

    def compose(self) -> ComposeResult:
        yield Fixed(lambda width: [(("What do you want to do?", "bold"),)])
        yield Field(id="words")
        yield Fixed(lambda width: [rule("", "", width)])
        yield RowList(id="found")
        yield Fixed(self._draw_keys)

    def on_mount(self) -> None:
        self.query_one("#words", Field).focus()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def _draw_keys(self, width: int) -> list[Line]:
        return [rule("", "", width), (("Enter do it  ↑↓ choose  Esc cancel", "dim"),)]

    def _draw(self) -> None:
        found = self.query_one("#found", RowList)
        width = found.size.width
        if width:
            found.show_rows(rows(self._actions, self._words(), self._why_not, width))

    def _words(self) -> str:
        return self.query_one("#words", Field).value

    def on_input_changed(self, event: Input.Changed) -> None:
        self._draw()

    def on_input_submitted(self) -> None:
        self.dismiss(self.query_one("#found", RowList).chosen or None)

    def action_move(self, by: int) -> None:
        self.query_one("#found", RowList).move(by)


def rows(
    actions: Sequence[Action], words: str, why_not: Callable[[str], str], width: int
) -> list[Row]:
    """The actions that hold every word; one that cannot be taken now says why."""
    found = []
    for action in actions:
        text = f"{action.label} {action.name} {action.description}".lower()
        if not all(word in text for word in words.lower().split()):
            continue
        reason = why_not(action.name)
        said = cut(reason or action.description, width - 26)
        line: Line = (
            (fit(action.shown_key, 8), "dim" if reason else "key"),
            (fit(action.label, 14), "dim" if reason else ""),
            (said, "dim"),
        )
        found.append(Row(action.name, line))
    return found or [Row("", (("No action has these words.", "dim"),))]
