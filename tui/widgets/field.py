"""A one-line input in the terminal's own colours."""

from __future__ import annotations

from textual.widgets import Input


class Field(Input):
    """Its cursor stands still: a blinking one writes two kilobytes a second."""

    DEFAULT_CSS = """
    Field, Field:focus {
        border: none; height: 1; padding: 0; background: ansi_default; color: ansi_default;
        text-style: underline;
    }
    Field > .input--cursor { text-style: reverse; background: ansi_default; color: ansi_default; }
    Field > .input--placeholder { text-style: dim; color: ansi_default; }
    """

    def __init__(self, value: str = "", *, secret: bool = False, id: str | None = None) -> None:
        super().__init__(value=value, password=secret, id=id, select_on_focus=False)
        self.cursor_blink = False
