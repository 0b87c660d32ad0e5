"""The work in hand, over the whole screen: the real commands, their output, how it ended."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding

from tui.full_screen import FullScreen
from tui.question import Draw
from tui.running import Work
from tui.text import Line, aligned
from tui.views.frame import rule
from tui.widgets.lines import LinePane, position

SHOWN_EVERY_S = 0.1


class WorkScreen(FullScreen):
    """Leaving it stops nothing."""

    BINDINGS: ClassVar = [
        Binding("c", "app.confirm", show=False),
        Binding("W", "app.window", show=False),
        Binding("enter,q", "cancel", show=False),
    ]

    def __init__(self, work: Work, banner: Draw) -> None:
        super().__init__(banner)
        self.work = work
        self._waits = False
        self._follows = True

    def work_changed(self) -> None:
        if not self._waits:
            self._waits = True
            self.set_timer(SHOWN_EVERY_S, self._draw_again)

    def _draw_again(self) -> None:
        self._waits = False
        self._draw()

    def _show_in(self, pane: LinePane, *, keep_place: bool) -> None:
        super()._show_in(pane, keep_place=keep_place)
        if self._follows:
            pane.go_to(len(pane.lines))

    def _lines(self, width: int) -> list[Line]:
        return self.work.lines(width)

    def _draw_title(self, width: int) -> list[Line]:
        title: Line = ((self.work.title or "Work", "bold"),)
        state: Line = ((self.work.state_line(), "info"),)
        return [aligned(title, state, width), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        over = self.work.is_over
        keys = (
            "Enter or Esc close  ↑↓ scroll"
            if over
            else "Esc goes back; the work goes on, also when the line drops  ↑↓ scroll"
        )
        return [rule("", position(self._body), width), ((keys, "dim"),)]

    def action_scroll(self, by: int) -> None:
        super().action_scroll(by)
        self._follow()

    def action_page(self, by: int) -> None:
        super().action_page(by)
        self._follow()

    def _follow(self) -> None:
        """What comes is followed as long as the end is in sight."""
        pane = self._body
        self._follows = pane.top + pane.page >= len(pane.lines)
        self._draw_around("rule")
