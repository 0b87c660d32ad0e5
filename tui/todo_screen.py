"""What is left to a person, over the whole screen, and its export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding

from tui.board import STAGE_TITLES
from tui.full_screen import FullScreen
from tui.question import Draw
from tui.text import Line
from tui.views import todo as view

KEYS = (
    ("e", "export to a file", True), ("r", "ask again", True), ("↑↓", "scroll", True),
    ("Enter", "close", True),
)  # fmt: skip


class TodoScreen(FullScreen):
    """The list of a stage, or with `stage` "" of all of them."""

    BINDINGS: ClassVar = [
        Binding("e", "export", show=False),
        Binding("r", "again", show=False),
        Binding("enter,q", "cancel", show=False),
    ]

    def __init__(self, stage: str, banner: Draw) -> None:
        super().__init__(banner)
        self._stage = stage

    def _lines(self, width: int) -> list[Line]:
        return view.lines(self._app.todos.get(self._stage), width)

    def _title(self, width: int) -> list[Line]:
        about = next((f": {t}" for stage, t in STAGE_TITLES.items() if stage == self._stage), "")
        return [((f"What is left to do{about}", "bold"),)]

    def _keys(self) -> Sequence[tuple[str, str, bool]]:
        return KEYS

    def action_export(self) -> None:
        self._app.export_todo(self._stage)

    def action_again(self) -> None:
        self._app.ask_todo(self._stage)
        self.board_changed()
