"""The update window over the whole screen: how it stands, and the keys for what is done in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize

from tui.question import Dialog, Draw
from tui.text import Line, Role, wrap
from tui.views import window as view
from tui.views.frame import key_lines, practice_banner, rule
from tui.widgets.lines import LinePane, position
from tui.widgets.single import Fixed

if TYPE_CHECKING:
    from tui.app import HardenApp


class WindowScreen(Dialog):
    """Leaving it closes no window; the banner above every screen goes on counting."""

    BINDINGS: ClassVar = [
        Binding("up,k", "scroll(-1)", show=False),
        Binding("down,j", "scroll(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("o", "open", show=False),
        Binding("p", "step('window.system')", show=False),
        Binding("s", "shell", show=False),
        Binding("r", "step('window.restart')", show=False),
        Binding("plus,e", "extend", show=False),
        Binding("c", "close", show=False),
        Binding("u", "undo", show=False),
        Binding("b", "root", show=False),
        Binding("R", "recover", show=False),
        Binding("enter,q", "cancel", show=False),
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
        self._draw()

    def board_changed(self) -> None:
        """The window stands otherwise, or the host was asked again."""
        self._draw()

    def banner_changed(self) -> None:
        """Another minute, or another second of the last one."""
        super().banner_changed()
        self._draw()

    def heard(self, message: str, *, warn: bool = False) -> None:
        """What the app says while this screen is in front."""
        self._hint, self._warns = message, warn
        if self.is_mounted:
            self.query_one("#rule", Fixed).update()

    def _draw(self) -> None:
        app = self._app
        if not self.is_mounted or not self._body.size.width:
            return
        width = self._body.size.width
        if app.window is None:
            lines = view.none_open(app.window_report, width)
        else:
            lines = view.standing(
                app.window, app.window_left_s(), width, interrupted=app.window_interrupted
            )
        self._body.show(lines)
        self.query_one("#rule", Fixed).update()

    def _draw_title(self, width: int) -> list[Line]:
        above = practice_banner(width) if self._app.hands.options.practice else []
        return [*above, (("Update window", "bold"),), rule("", "", width)]

    def _draw_rule(self, width: int) -> list[Line]:
        app = self._app
        lines: list[Line] = [rule("", position(self._body), width)]
        if self._hint:
            role: Role = "warn" if self._warns else "info"
            lines += [((piece, role),) for piece in wrap(self._hint, width)]
        keys = view.KEYS_NONE if app.window is None else view.KEYS_OPEN
        free = not app.why_not_change()
        shell = not app.why_not_shell()
        able = {"s": shell, "Esc": True, "u": free and self._can_undo()}
        return [*lines, *key_lines([(k, label, able.get(k, free)) for k, label in keys], width)]

    def _can_undo(self) -> bool:
        return self._app.window is not None or self._app.window_report is not None

    def _may(self, reason: str) -> bool:
        self.heard(reason, warn=True)
        return not reason

    def action_open(self) -> None:
        """Open one; while one is being opened or closed, show the work."""
        app = self._app
        if app.work is not None and not app.work.is_over:
            app.show_work()
        elif self._may(app.why_not_open()):
            app.open_window()

    def _in_window(self) -> str:
        if self._app.window is None:
            return "No update window is open: o opens one."
        return self._app.why_not_change()

    def action_step(self, step_id: str) -> None:
        if self._may(self._in_window()):
            self._app.begin_apply([step_id])

    def action_shell(self) -> None:
        self._app.open_shell()

    def action_extend(self) -> None:
        if self._may(self._in_window()):
            self._app.extend_window()

    def action_close(self) -> None:
        if self._app.waiting is not None:
            self._app.show_guard()
        elif self._may(self._in_window()):
            self._app.close_window()

    def action_undo(self) -> None:
        none = "" if self._can_undo() else "There is no window that could be undone."
        if self._may(none or self._app.why_not_change()):
            self._app.undo_window()

    def action_root(self) -> None:
        self._app.take("root")

    def action_recover(self) -> None:
        self._app.take("recover")

    def action_scroll(self, by: int) -> None:
        self._body.scroll_lines(by)

    def action_page(self, by: int) -> None:
        self._body.scroll_pages(by)

    def on_line_pane_scrolled(self) -> None:
        self.query_one("#rule", Fixed).update()
