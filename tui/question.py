"""What all questions over the whole screen have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize
from textual.screen import ModalScreen

from tui.text import Line, wrap
from tui.views.frame import rule
from tui.widgets.lines import LinePane, position
from tui.widgets.single import Fixed

Draw = Callable[[int], Sequence[Line]]


class Dialog(ModalScreen[Any]):
    """A question over the whole screen: title, body, answer."""

    DEFAULT_CSS = """
    Dialog { background: ansi_default; }
    """

    AUTO_FOCUS = ""
    """Each dialog says itself where the focus begins: a field that took it would swallow arrows."""

    BINDINGS: ClassVar = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("ctrl+c", "cancel", "Cancel", show=False),
    ]

    def on_mount(self) -> None:
        """While an update window is open its line stands above every question too."""
        lines: Draw | None = getattr(self.app, "window_banner", None)
        if lines is not None and lines(80) and not self.query("#banner"):
            self.mount(Fixed(lines, id="banner"), before=0)

    def banner_changed(self) -> None:
        """Another second, or another standing, of what waits or of the window."""
        if self.is_mounted:
            for banner in self.query("#banner").results(Fixed):
                banner.update()

    def action_cancel(self) -> None:
        self.dismiss(None)


class Question(Dialog):
    """Something to read, which scrolls, and below it the answers; Enter takes the marked one."""

    BINDINGS: ClassVar = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("enter", "take", show=False),
        Binding("q", "cancel", show=False),
    ]

    def __init__(self, title: str, body: Draw) -> None:
        super().__init__()
        self._title = title
        self._body = body
        self._hint = ""

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw_title, id="question")
        yield LinePane(id="body", focusable=False)
        yield Fixed(self._draw_rule, id="rule")
        yield Fixed(self._draw_answer, id="answer")

    def on_mount(self) -> None:
        self._draw_body()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw_body)

    def _draw_body(self, *, keep_place: bool = True) -> None:
        pane = self.query_one("#body", LinePane)
        if pane.size.width:
            pane.show(self._body(pane.size.width), keep_place=keep_place)
            self.query_one("#rule", Fixed).update()

    def body_changed(self) -> None:
        """There is something else to read."""
        if self.is_mounted:
            self._draw_body()

    def _draw_title(self, width: int) -> list[Line]:
        return [*(((piece, "bold"),) for piece in wrap(self._title, width)), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        return [rule(self._hint, position(self.query_one("#body", LinePane)), width, warn=True)]

    def _draw_answer(self, width: int) -> list[Line]:
        """The answers, what the marked one means, and the keys."""
        return []

    def _say(self, hint: str) -> None:
        """Show a hint in the rule."""
        self._hint = hint
        self.query_one("#rule", Fixed).update()

    def on_line_pane_scrolled(self) -> None:
        self.query_one("#rule", Fixed).update()

    def action_scroll(self, by: int) -> None:
        self.query_one("#body", LinePane).scroll_lines(by)

    def action_page(self, by: int) -> None:
        self.query_one("#body", LinePane).scroll_pages(by)

    def action_take(self) -> None:
        self.dismiss(None)
