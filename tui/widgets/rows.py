"""A list with a chosen row."""

from __future__ import annotations

from collections.abc import Sequence

from textual.events import Click
from textual.message import Message

from tui.text import Line, Row
from tui.theme import CURSOR
from tui.widgets.lines import LinePane


class RowList(LinePane):
    """Rows of which one is chosen; the choice follows its key when rows come and go."""

    class Chosen(Message):
        """Another row is the chosen one."""

        def __init__(self, rows: RowList, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> RowList:
            return self.rows

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[Row] = ()
        self._chosen = -1

    @property
    def chosen(self) -> str:
        """The key of the chosen row; empty where there is none."""
        return self._rows[self._chosen].key if 0 <= self._chosen < len(self._rows) else ""

    @property
    def keys(self) -> list[str]:
        return [row.key for row in self._rows if row.key]

    def show_rows(self, rows: Sequence[Row], *, header: Sequence[Line] = ()) -> None:
        """Show other rows; the same key stays chosen, else the nearest row."""
        before = self.chosen
        old_index = self._chosen
        self._rows = rows
        index = next((i for i, row in enumerate(rows) if row.key and row.key == before), -1)
        if index < 0:
            index = self._nearest(max(0, min(old_index, len(rows) - 1)))
        self._chosen = index
        self._lines = [row.line for row in rows]
        self._header = header
        self._keep_visible()
        self.repaint()
        if self.chosen != before:
            self.post_message(self.Chosen(self, self.chosen))

    def choose(self, key: str) -> bool:
        """Make the row of that key the chosen one; false where there is none."""
        for index, row in enumerate(self._rows):
            if row.key == key and key:
                self._choose_index(index)
                return True
        return False

    def move(self, by: int) -> None:
        """Move the choice by rows that can be chosen; at an end show what stands beyond it."""
        index = self._chosen
        step = 1 if by > 0 else -1
        for _ in range(abs(by)):
            probe = index + step
            while 0 <= probe < len(self._rows) and not self._rows[probe].key:
                probe += step
            if not 0 <= probe < len(self._rows):
                break
            index = probe
        self._choose_index(index)

    def move_pages(self, by: int) -> None:
        self.move(by * max(1, self.page - 1))

    def scroll_lines(self, by: int) -> None:
        self.move(by)

    def scroll_pages(self, by: int) -> None:
        self.move_pages(by)

    def _choose_index(self, index: int) -> None:
        changed = index != self._chosen
        self._chosen = index
        self._keep_visible()
        self.repaint()
        if changed:
            self.post_message(self.Chosen(self, self.chosen))

    def _nearest(self, index: int) -> int:
        order = sorted(range(len(self._rows)), key=lambda i: (abs(i - index), i))
        return next((i for i in order if self._rows[i].key), -1)

    def _keep_visible(self) -> None:
        if self._chosen < 0:
            return
        first = self._chosen
        while first > 0 and not self._rows[first - 1].key:
            first -= 1  # a heading right above stays in sight with its first row
        if first < self._top:
            self._top = first
        if self._chosen >= self._top + self.page:
            self._top = self._chosen - self.page + 1
        self._clamp()

    def marked(self, index: int) -> bool:
        return index == self._chosen and self.has_focus

    def decorated(self, index: int, line: Line) -> Line:
        if not self._rows[index].key:
            return line
        return ((f"{CURSOR if index == self._chosen else ' '} ", "key"), *line)

    def on_click(self, event: Click) -> None:
        index = self._top + event.y - len(self._header)
        if 0 <= index < len(self._rows) and self._rows[index].key:
            self._choose_index(index)
