"""The work in hand, over the whole screen: the real commands, their output, how it ended."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize

from tui.question import Dialog, Draw
from tui.running import Work
from tui.text import Line, aligned
from tui.views.frame import rule
from tui.widgets.lines import LinePane, position
from tui.widgets.single import Fixed

SHOWN_EVERY_S = 0.1


class WorkScreen(Dialog):
    """Leaving it stops nothing."""

    BINDINGS: ClassVar = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("c", "app.confirm", show=False),
        Binding("W", "app.window", show=False),
        Binding("enter,q", "cancel", show=False),
    ]

    def __init__(self, work: Work, banner: Draw) -> None:
        super().__init__()
        self._banner = banner
        self._work = work
        self._waits = False
        self._follows = True

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw_title, id="question")
        yield Fixed(self._banner, id="banner")
        yield LinePane(id="body", focusable=False)
        yield Fixed(self._draw_rule, id="rule")

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def work_changed(self) -> None:
        if not self._waits:
            self._waits = True
            self.set_timer(SHOWN_EVERY_S, self._draw)

    def on_screen_resume(self) -> None:
        self._draw()

    @property
    def _body(self) -> LinePane:
        return self.query_one("#body", LinePane)

    def _draw(self) -> None:
        self._waits = False
        pane = self._body
        if not pane.size.width:
            return
        lines = self._work.lines(pane.size.width)
        pane.show(lines)
        if self._follows:
            pane.go_to(len(lines))
        for name in ("question", "rule"):
            self.query_one(f"#{name}", Fixed).update()

    def _draw_title(self, width: int) -> list[Line]:
        title: Line = ((self._work.title or "Work", "bold"),)
        state: Line = ((self._work.state_line(), "info"),)
        return [aligned(title, state, width), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        over = self._work.is_over
        keys = (
            "Enter or Esc close  ↑↓ scroll"
            if over
            else "Esc goes back; the work goes on, also when the line drops  ↑↓ scroll"
        )
        return [rule("", position(self._body), width), ((keys, "dim"),)]

    def action_scroll(self, by: int) -> None:
        self._scrolled(lambda pane: pane.scroll_lines(by))

    def action_page(self, by: int) -> None:
        self._scrolled(lambda pane: pane.scroll_pages(by))

    def _scrolled(self, how: object) -> None:
        pane = self._body
        how(pane)  # type: ignore[operator]
        self._follows = pane.top + pane.page >= len(pane.lines)
        self.query_one("#rule", Fixed).update()
