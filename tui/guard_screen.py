"""A change that waits for its confirmation, over the whole screen: keep it, more time, back."""

from __future__ import annotations

from typing import ClassVar, Protocol, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize

from tui.question import Dialog
from tui.text import Line
from tui.views import guard as view
from tui.views.frame import rule
from tui.waiting import Waiting, left_s
from tui.widgets.lines import LinePane, position
from tui.widgets.single import Fixed

KEYS = "c confirm  + or e five minutes more  t take back now  Esc look round meanwhile"


class Answers(Protocol):
    """Who does what the keys mean."""

    def confirm_guard(self) -> None: ...
    def extend_guard(self) -> None: ...
    def take_back_guard(self) -> None: ...


class GuardScreen(Dialog):
    """Leaving it decides nothing; the banner above every place goes on counting."""

    BINDINGS: ClassVar = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("c", "confirm", show=False),
        Binding("e,plus", "extend", show=False),
        Binding("t", "take_back", show=False),
        Binding("enter,q", "close", show=False),
    ]

    def __init__(self, waiting: Waiting, *, practice: bool, program: str) -> None:
        super().__init__()
        self._waiting = waiting
        self._practice = practice
        self._program = program
        self._hint = ""
        self._warns = False

    @property
    def is_over(self) -> bool:
        return self._waiting.phase != "waiting"

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw_title, id="question")
        yield LinePane(id="body", focusable=False)
        yield Fixed(self._draw_rule, id="rule")

    def on_mount(self) -> None:
        self._draw_body()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw_body)

    def show(self, waiting: Waiting) -> None:
        """It stands otherwise now, or was decided."""
        if waiting.phase != self._waiting.phase or waiting.login != self._waiting.login:
            self._hint = ""
        self._waiting = waiting
        if self.is_mounted:
            self._draw_body()
            self.tick()

    def tick(self) -> None:
        """Another second is over."""
        self.query_one("#question", Fixed).update()

    def say(self, hint: str, *, warn: bool = False) -> None:
        """Show what came of a key, in the rule."""
        self._hint, self._warns = hint, warn
        if self.is_mounted:
            self._draw_body()

    def _draw_body(self) -> None:
        pane = self.query_one("#body", LinePane)
        if pane.size.width:
            lines = view.panel(
                self._waiting, pane.size.width, practice=self._practice, program=self._program
            )
            pane.show([*lines, *view.said(self._hint, self._warns, pane.size.width)])
            self.query_one("#rule", Fixed).update()

    def _draw_title(self, width: int) -> list[Line]:
        left = 0 if self.is_over else left_s(self._waiting)
        return [view.title(self._waiting, left, width), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        keys = "Enter or Esc close" if self.is_over else KEYS
        return [rule("", position(self.query_one("#body", LinePane)), width), ((keys, "dim"),)]

    def _ask(self) -> Answers | None:
        return None if self.is_over else cast("Answers", self.app)

    def action_confirm(self) -> None:
        if answers := self._ask():
            answers.confirm_guard()

    def action_extend(self) -> None:
        if answers := self._ask():
            answers.extend_guard()

    def action_take_back(self) -> None:
        if answers := self._ask():
            answers.take_back_guard()

    def action_close(self) -> None:
        """Enter leaves it only once it is decided: nobody shall think that Enter was a yes."""
        if self.is_over:
            self.dismiss(None)
        else:
            self.say("Nothing was decided: c keeps the change, t takes it back, Esc leaves this.")

    def action_scroll(self, by: int) -> None:
        self.query_one("#body", LinePane).scroll_lines(by)
