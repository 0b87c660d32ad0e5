"""A pane of lines that scrolls and repaints only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.events import MouseScrollDown, MouseScrollUp, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.text import Line, Role, cells, clean, cut
from tui.theme import STYLES, drawable

WHEEL_LINES = 3


@lru_cache(256)
def style_of(role: Role, marked: bool = False) -> Style:
    """A role as a Rich style; `marked` is the chosen row of the pane that has the focus."""
    return Style(reverse=True) if marked else Style.parse(STYLES[role] or "none")


def strip_of(line: Line, width: int, *, marked: bool = False) -> Strip:
    """A line as exactly `width` cells, in as few segments as it takes."""
    segments: list[Segment] = []
    used = 0
    for text, role in line:
        piece = drawable(clean(text))  # whatever the host calls its things
        if used + cells(piece) > width:
            piece = drawable(cut(piece, width - used))
        if piece:
            segments.append(Segment(piece, style_of(role, marked)))
            used += cells(piece)
        if used >= width:
            break
    if used < width:
        segments.append(Segment(" " * (width - used), style_of("", marked)))
    return Strip(Segment.simplify(segments), width)


def changed_cells(old: Strip, new: Strip) -> tuple[int, int]:
    """From and up to which column must be painted to turn `old` into `new`; (0, 0): nothing."""
    if old == new:
        return 0, 0
    before, after = _cells(old), _cells(new)
    if len(before) != len(after):
        return 0, new.cell_length
    changed = [column for column in range(len(after)) if before[column] != after[column]]
    return (changed[0], changed[-1] + 1) if changed else (0, 0)


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    """What stands in each column; both columns of a wide character hold all of it."""
    return [
        (character, segment.style)
        for segment in strip
        for character in segment.text
        for _ in range(cells(character))
    ]


class LinePane(Widget, can_focus=True):
    """Lines, scrolled by itself; a subclass or an owner gives it the lines.

    `header` lines stay on top while the rest scrolls. Scrolling keys arrive as actions from the
    one registry, through `scroll_lines` and `scroll_pages`.
    """

    DEFAULT_CSS = """
    LinePane { height: 1fr; width: 1fr; }
    """

    class Scrolled(Message):
        """Other lines are visible, or the focus came or went."""

        def __init__(self, pane: LinePane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, *, id: str | None = None, focusable: bool = True) -> None:
        super().__init__(id=id)
        self.can_focus = focusable
        self._lines: Sequence[Line] = ()
        self._header: Sequence[Line] = ()
        self._top = 0
        self._painted: list[Strip] = []
        self._painted_size = Size(0, 0)
        self._announced = ("", False)

    @property
    def lines(self) -> Sequence[Line]:
        return self._lines

    @property
    def top(self) -> int:
        return self._top

    @property
    def page(self) -> int:
        """How many lines that scroll are visible."""
        return max(1, self.size.height - len(self._header))

    def show(
        self, lines: Sequence[Line], *, header: Sequence[Line] = (), keep_place: bool = True
    ) -> None:
        """Show other lines; with `keep_place` the pane stays scrolled where it was."""
        self._lines = lines
        self._header = header
        if not keep_place:
            self._top = 0
        self.repaint()

    def shown_text(self) -> str:
        """What is visible, as plain text."""
        return "\n".join(strip.text.rstrip() for strip in self._wanted())

    def scroll_lines(self, by: int) -> None:
        self.go_to(self._top + by)

    def scroll_pages(self, by: int) -> None:
        self.go_to(self._top + by * max(1, self.page - 1))

    def go_to(self, top: int) -> None:
        """Scroll so that line `top` is the first visible one, as far as there are lines."""
        before = self._top
        self._top = top
        self._clamp()
        if self._top != before:
            self.repaint()

    def _clamp(self) -> None:
        self._top = max(0, min(self._top, len(self._lines) - self.page))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.scroll_lines(WHEEL_LINES)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.scroll_lines(-WHEEL_LINES)

    def marked(self, index: int) -> bool:
        """Whether line `index` is drawn as the chosen one."""
        return False

    def decorated(self, index: int, line: Line) -> Line:
        """Line `index` as it is drawn; lists add their cursor here."""
        return line

    def _wanted(self) -> list[Strip]:
        width, height = self.size
        if not width or not height:
            return []
        self._clamp()
        strips = [strip_of(line, width) for line in self._header[:height]]
        for index in range(self._top, min(len(self._lines), self._top + height - len(strips))):
            line = self.decorated(index, self._lines[index])
            strips.append(strip_of(line, width, marked=self.marked(index)))
        blank = strip_of((), width)
        return strips + [blank] * (height - len(strips))

    def repaint(self) -> None:
        """Paint what differs from what is on the terminal."""
        painted, before = self._painted, self._painted_size
        wanted = self._draw_for_size()
        if before != self._painted_size:
            self.refresh()
        else:
            regions = [
                Region(first, y, last - first, 1)
                for y, (old, new) in enumerate(zip(painted, wanted, strict=True))
                for first, last in (changed_cells(old, new),)
                if last > first
            ]
            if regions:
                self.refresh(*regions)
        self._announce()

    def _announce(self) -> None:
        """Tell of changes only: whoever listens may draw a pane of its own, which tells too."""
        now = (position(self), self.has_focus)
        if now != self._announced:
            self._announced = now
            self.post_message(self.Scrolled(self))

    def _draw_for_size(self) -> list[Strip]:
        self._painted = self._wanted()
        self._painted_size = self.size
        return self._painted

    def render_line(self, y: int) -> Strip:
        if self._painted_size != self.size:
            self._draw_for_size()  # the first paint comes before the news of our size
        if y >= len(self._painted):
            return Strip.blank(self.size.width)
        return self._painted[y]

    def on_resize(self, event: Resize) -> None:
        self.repaint()

    def on_focus(self) -> None:
        self.repaint()

    def on_blur(self) -> None:
        self.repaint()


def position(pane: LinePane) -> str:
    """Where a pane is scrolled to, for the line below it; empty where all is visible."""
    total = len(pane.lines)
    if total <= pane.page:
        return ""
    last = min(total, pane.top + pane.page)
    return f"{pane.top + 1}–{last} of {total}"
