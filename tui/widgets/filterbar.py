"""The line in which a filter is typed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from tui.widgets.field import Field
from tui.widgets.single import Fixed


class FilterBar(Horizontal):
    """Shown below the body while a filter is typed or in force."""

    DEFAULT_CSS = """
    FilterBar { height: 1; }
    FilterBar Fixed { width: 8; }
    """

    BINDINGS = [Binding("escape", "end", show=False), Binding("down,up", "leave", show=False)]  # noqa: RUF012

    class Changed(Message):
        """Other words are to be matched. `finished`: back to the list; `ended`: show all again."""

        def __init__(self, words: str, *, finished: bool = False, ended: bool = False) -> None:
            super().__init__()
            self.words = words
            self.finished = finished
            self.ended = ended

    def __init__(self) -> None:
        super().__init__()
        self.field = Field()

    def compose(self) -> ComposeResult:
        yield Fixed(lambda width: [(("filter: ", "key"),)])
        yield self.field

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Changed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_leave()

    def action_leave(self) -> None:
        self.post_message(self.Changed(self.field.value, finished=True))

    def action_end(self) -> None:
        self.post_message(self.Changed("", ended=True))
