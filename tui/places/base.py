"""What the places have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.containers import Vertical

from tui import actions
from tui.text import Line
from tui.widgets.lines import LinePane

if TYPE_CHECKING:
    from tui.app import HardenApp
    from tui.messages import Answered


def bindings_of(place: actions.Place) -> list[BindingType]:
    """Textual's bindings for a place, from the registry.

    They have priority, because Textual hands other keys on to the widget that has the focus when
    they arrive: typed fast, or in one packet, what follows a `/` would miss the filter.
    """
    return [
        Binding(key, f"take('{action.name}')", action.description, show=False, priority=True)
        for action in actions.actions_of(place)
        for key in action.keys
    ]


class PlaceView(Vertical):
    """One of the five places. Subclasses have `do_<action>` and `why_not_<action>`."""

    DEFAULT_CSS = """
    PlaceView { height: 1fr; width: 1fr; }
    """

    place: ClassVar[actions.Place]

    @property
    def screen_app(self) -> HardenApp:
        return cast("HardenApp", self.app)

    def action_take(self, name: str) -> None:
        self.screen_app.take(name)

    def panes(self) -> list[LinePane]:
        """The panes that can have the focus, the first one being the main one."""
        return []

    def refresh_view(self) -> None:
        """Draw what is known now."""

    def filtered(self, wanted: str) -> None:
        """Show only what matches."""

    def opened(self) -> None:
        """The place is on the screen from now on."""

    def left(self) -> None:
        """The place is on the screen no more."""

    def sentence(self) -> str:
        """What the rule says while there is no message."""
        return ""

    def take_answer(self, message: Answered) -> None:
        """An answer to a question that this place asked."""

    def on_line_pane_scrolled(self) -> None:
        self.screen_app.refresh_rule()

    def pane_in_use(self) -> LinePane | None:
        return next((pane for pane in self.panes() if pane.has_focus), None)

    def do_up(self) -> None:
        if pane := self.pane_in_use():
            pane.scroll_lines(-1)

    def do_down(self) -> None:
        if pane := self.pane_in_use():
            pane.scroll_lines(1)

    def do_page_up(self) -> None:
        if pane := self.pane_in_use():
            pane.scroll_pages(-1)

    def do_page_down(self) -> None:
        if pane := self.pane_in_use():
            pane.scroll_pages(1)

    def do_first(self) -> None:
        if pane := self.pane_in_use():
            pane.scroll_lines(-len(pane.lines))

    def do_last(self) -> None:
        if pane := self.pane_in_use():
            pane.scroll_lines(len(pane.lines))

    def do_switch_pane(self) -> None:
        panes = [pane for pane in self.panes() if pane.can_focus]
        if len(panes) < 2:
            return
        now = self.pane_in_use()
        index = panes.index(now) if now in panes else -1
        panes[(index + 1) % len(panes)].focus()

    def fit_height(self, pane: LinePane, lines: int, *, least: int, share: float) -> None:
        """Make an upper pane as high as its lines, within limits, so that the lower has the rest.

        `share`: the most it may take of the place's height.
        """
        height = max(least, min(lines, int(self.size.height * share)))
        if pane.styles.height is None or pane.styles.height.value != height:
            pane.styles.height = height

    def tab_line(self, names: list[tuple[str, str]], chosen: str) -> Line:
        """Tabs on one line: the chosen one in brackets."""
        return tuple(
            (f"[{label}]", "key") if name == chosen else (f" {label} ", "dim")
            for name, label in names
        )
