"""What is left to a person, over the whole screen, and its export."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize

from tui.board import STAGE_TITLES
from tui.question import Dialog, Draw
from tui.text import Line, Role, wrap
from tui.views import todo as view
from tui.views.frame import key_lines, practice_banner, rule
from tui.widgets.lines import LinePane, position
from tui.widgets.single import Fixed

if TYPE_CHECKING:
    from tui.app import HardenApp

KEYS = (
    ("e", "export to a file", True), ("r", "ask again", True), ("↑↓", "scroll", True),
    ("Enter", "close", True),
)  # fmt: skip


class TodoScreen(Dialog):
    """The list of a stage, or with `stage` "" of all of them."""

    BINDINGS: ClassVar = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("e", "export", show=False),
        Binding("r", "again", show=False),
        Binding("enter,q", "cancel", show=False),
    ]

    def __init__(self, stage: str, banner: Draw) -> None:
        super().__init__()
        self._stage = stage
        self._banner = banner
        self._hint = ""
        self._warns = False

    @property
    def _app(self) -> HardenApp:
        return cast("HardenApp", self.app)

    def compose(self) -> ComposeResult:
        yield Fixed(self._draw_title, id="question")
        yield Fixed(self._banner, id="banner")
        yield LinePane(id="body", focusable=False)
        yield Fixed(self._draw_rule, id="rule")

    def on_mount(self) -> None:
        self.board_changed()

    def on_resize(self, event: Resize) -> None:
        self.call_after_refresh(self.board_changed)

    def on_screen_resume(self) -> None:
        self.board_changed()

    def board_changed(self) -> None:
        """The list came, or something else was told."""
        pane = self.query_one("#body", LinePane)
        if self.is_mounted and pane.size.width:
            pane.show(view.lines(self._app.todos.get(self._stage), pane.size.width))
            self.query_one("#rule", Fixed).update()

    def heard(self, message: str, *, warn: bool = False) -> None:
        """What the app says while this screen is in front."""
        self._hint, self._warns = message, warn
        if self.is_mounted:
            self.query_one("#rule", Fixed).update()

    def _draw_title(self, width: int) -> list[Line]:
        about = next((f": {t}" for stage, t in STAGE_TITLES.items() if stage == self._stage), "")
        above = practice_banner(width) if self._app.hands.options.practice else []
        return [*above, ((f"What is left to do{about}", "bold"),), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        lines: list[Line] = [rule("", position(self.query_one("#body", LinePane)), width)]
        if self._hint:
            role: Role = "warn" if self._warns else "info"
            lines += [((piece, role),) for piece in wrap(self._hint, width)]
        return [*lines, *key_lines(KEYS, width)]

    def action_export(self) -> None:
        self._app.export_todo(self._stage)

    def action_again(self) -> None:
        self._app.ask_todo(self._stage)
        self.board_changed()

    def action_scroll(self, by: int) -> None:
        self.query_one("#body", LinePane).scroll_lines(by)

    def action_page(self, by: int) -> None:
        self.query_one("#body", LinePane).scroll_pages(by)

    def on_line_pane_scrolled(self) -> None:
        self.query_one("#rule", Fixed).update()
