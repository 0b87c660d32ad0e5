"""What fills the whole screen: a title, what waits, lines that scroll, and below them the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize

from tui.question import Dialog, Draw
from tui.text import Line, Role, wrap
from tui.views.frame import key_lines, practice_banner, rule
from tui.widgets.lines import LinePane, position
from tui.widgets.single import Fixed

if TYPE_CHECKING:
    from tui.app import HardenApp


class FullScreen(Dialog):
    """Draws itself anew where its size, the board or what waits changes."""

    BINDINGS: ClassVar = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
    ]

    def __init__(self, banner: Draw) -> None:
        super().__init__()
        self._banner = banner
        self._hint = ""
        self._warns = False

    @property
    def _app(self) -> HardenApp:
        return cast("HardenApp", self.app)

    @property
    def _body(self) -> LinePane:
        return self.query_one("#body", LinePane)

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw_title, id="question")
        yield Fixed(self._banner, id="banner")
        yield LinePane(id="body", focusable=False)
        yield Fixed(self._draw_rule, id="rule")

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self._draw)

    def on_screen_resume(self) -> None:
        self.board_changed()

    def board_changed(self) -> None:
        """The host was asked again, something was decided, or work ended."""
        self._draw()

    def heard(self, message: str, *, warn: bool = False) -> None:
        """What the app says while this screen is in front."""
        self._hint, self._warns = message, warn
        self._draw_around("rule")

    def _draw(self, *, keep_place: bool = True) -> None:
        pane = self._body if self.is_mounted else None
        if pane is not None and pane.size.width:
            self._show_in(pane, keep_place=keep_place)
            self._draw_around("question", "rule")

    def _show_in(self, pane: LinePane, *, keep_place: bool) -> None:
        pane.show(self._lines(pane.size.width), keep_place=keep_place)

    def _draw_around(self, *names: str) -> None:
        if self.is_mounted:
            for name in names:
                self.query_one(f"#{name}", Fixed).update()

    def _lines(self, width: int) -> list[Line]:
        raise NotImplementedError

    def _title(self, width: int) -> list[Line]:
        raise NotImplementedError

    def _keys(self) -> Sequence[tuple[str, str, bool]]:
        """Key, what it does, and whether it does it now."""
        raise NotImplementedError

    def _draw_title(self, width: int) -> list[Line]:
        above = practice_banner(width) if self._app.hands.options.practice else []
        return [*above, *self._title(width), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        role: Role = "warn" if self._warns else "info"
        told = [((piece, role),) for piece in wrap(self._hint, width)] if self._hint else []
        return [rule("", position(self._body), width), *told, *key_lines(self._keys(), width)]

    def action_scroll(self, by: int) -> None:
        self._body.scroll_lines(by)

    def action_page(self, by: int) -> None:
        self._body.scroll_pages(by)

    def on_line_pane_scrolled(self) -> None:
        self._draw_around("rule")
