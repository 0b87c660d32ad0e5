"""The update window over the whole screen: how it stands, and the keys for what is done in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding

from tui.full_screen import FullScreen
from tui.text import Line
from tui.views import window as view


class WindowScreen(FullScreen):
    """Leaving it closes no window; the banner above every screen goes on counting."""

    BINDINGS: ClassVar = [
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

    def banner_changed(self) -> None:
        """Another minute, or another second of the last one."""
        super().banner_changed()
        self._draw()

    def _lines(self, width: int) -> list[Line]:
        app = self._app
        if app.window is None:
            return view.none_open(app.window_report, width)
        left_s = app.window_left_s()
        return view.standing(app.window, left_s, width, interrupted=app.window_interrupted)

    def _title(self, width: int) -> list[Line]:
        return [(("Update window", "bold"),)]

    def _keys(self) -> Sequence[tuple[str, str, bool]]:
        app = self._app
        keys = view.KEYS_NONE if app.window is None else view.KEYS_OPEN
        free = not app.why_not_change()
        able = {"s": not app.why_not_shell(), "Esc": True, "u": free and self._can_undo()}
        return [(key, label, able.get(key, free)) for key, label in keys]

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
