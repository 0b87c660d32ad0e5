"""The help, scrollable."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from tui.places.base import PlaceView, bindings_of
from tui.views import help as view
from tui.widgets.lines import LinePane


class HelpPlace(PlaceView):
    place = "help"
    BINDINGS: ClassVar = bindings_of("help")

    def compose(self) -> ComposeResult:
        yield LinePane(id="help")

    def panes(self) -> list[LinePane]:
        return [self.query_one("#help", LinePane)]

    def opened(self) -> None:
        self.refresh_view()

    def refresh_view(self) -> None:
        pane = self.panes()[0]
        if pane.size.width:
            pane.show(view.lines(pane.size.width))

    def on_resize(self) -> None:
        self.call_after_refresh(self.refresh_view)
