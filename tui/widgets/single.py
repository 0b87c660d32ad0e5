"""Single lines: header, rule, footer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.strip import Strip

from tui.text import Line
from tui.widgets.lines import LinePane


class Fixed(LinePane):
    """Lines that are drawn anew for every width; as high as they need."""

    DEFAULT_CSS = """
    Fixed { height: auto; width: 1fr; }
    """

    def __init__(self, draw: Callable[[int], Sequence[Line]], *, id: str | None = None) -> None:
        super().__init__(id=id, focusable=False)
        self._draw = draw

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self._draw(width))

    def update(self) -> None:
        """Draw again; a changed number of lines lays the screen out anew."""
        before = len(self._lines)
        self._lines = self._draw(self.size.width)
        if len(self._lines) != before:
            self.refresh(layout=True)
        self.repaint()

    def _wanted(self) -> list[Strip]:
        if self._painted_size.width != self.size.width:
            self._lines = self._draw(self.size.width)
        return super()._wanted()

    def on_resize(self, event: object) -> None:
        self.update()


class Column(LinePane):
    """A vertical line between two panes."""

    DEFAULT_CSS = """
    Column { width: 1; height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__(focusable=False)

    def _wanted(self) -> list[Strip]:
        self._lines = [(("│", "dim"),)] * self.size.height
        return super()._wanted()


def across() -> Fixed:
    """A horizontal line between two panes."""
    return Fixed(lambda width: [(("─" * width, "dim"),)])
