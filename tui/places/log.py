"""Sessions of the log: their entries, and the export to a file."""

from __future__ import annotations

import os
from typing import ClassVar

from textual.app import ComposeResult

from tui import exporting
from tui.messages import Answered
from tui.places.base import PlaceView, bindings_of
from tui.text import paragraph
from tui.views import log as view
from tui.widgets.lines import LinePane
from tui.widgets.rows import RowList
from tui.widgets.single import across
from tui.wire import (
    EntriesAnswer,
    LogAnswer,
    LogSession,
    LogVerdict,
    VerdictAnswer,
)

SHOW_DELAY_S = 0.15

FORMS = {".md": "markdown", ".markdown": "markdown", ".json": "json", ".html": "html"}


class Log(PlaceView):
    place = "log"
    BINDINGS: ClassVar = bindings_of("log")

    DEFAULT_CSS = """
    Log #sessions { height: 8; }
    Log #entries { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""
        self._sessions: tuple[LogSession, ...] | None = None
        self._verdict: LogVerdict | None = None
        self._problem = ""
        self._details: dict[str, EntriesAnswer | str] = {}
        self._shown = ""

    def compose(self) -> ComposeResult:
        yield RowList(id="sessions")
        yield across()
        yield LinePane(id="entries")

    @property
    def sessions(self) -> RowList:
        return self.query_one("#sessions", RowList)

    @property
    def entries(self) -> LinePane:
        return self.query_one("#entries", LinePane)

    def panes(self) -> list[LinePane]:
        return [self.sessions, self.entries]

    def opened(self) -> None:
        self.refresh_view()
        self._ask_sessions()

    def _ask_sessions(self) -> None:
        self.screen_app.ask("log", "", ["log", "list"], LogAnswer)
        self.screen_app.ask("verdict", "", ["log", "verify"], VerdictAnswer)

    def do_check(self) -> None:
        """Read the log again."""
        self._details.clear()
        self._ask_sessions()

    def take_answer(self, message: Answered) -> None:
        if message.question == "log":
            self._problem = message.problem
            self._sessions = message.answer.sessions if message.answer else ()
            self._details.clear()
            self.refresh_view()
        elif message.question == "verdict":
            self._verdict = message.answer.verdict if message.answer else None
            self.refresh_view()
        elif message.question == "entries":
            self._details[message.about] = (
                message.problem if message.answer is None else message.answer
            )
            self._show_session()

    def filtered(self, wanted: str) -> None:
        self._wanted = wanted
        self.refresh_view()

    def refresh_view(self) -> None:
        width = self.sessions.content_size.width
        if not width:
            return
        sessions = self._sessions or ()
        header = view.header(sessions, self._verdict)
        rows = view.session_rows(sessions, self._wanted, width)
        self.fit_height(self.sessions, len(rows) + 1, least=3, share=0.4)
        self.sessions.show_rows(rows, header=header)
        self._show_session()

    def _chosen(self) -> LogSession | None:
        chosen = self.sessions.chosen
        return next((s for s in self._sessions or () if s.id == chosen), None)

    def _show_session(self) -> None:
        pane = self.entries
        session = self._chosen()
        if session is None:
            text = "Reading the log…" if self._sessions is None else "Nothing was logged yet."
            pane.show(paragraph(self._problem or text, pane.size.width or 80, "dim"))
            return
        name = session.id
        same = self._shown == name
        self._shown = name
        shown = self._details.get(name)
        pane.show(view.detail(session, shown, pane.size.width), keep_place=same)
        if shown is None:
            self.set_timer(SHOW_DELAY_S, lambda: self._ask_entries(name))

    def _ask_entries(self, name: str) -> None:
        if self.sessions.chosen == name and name not in self._details:
            self.screen_app.ask("entries", name, ["log", "show", name], EntriesAnswer)

    def on_row_list_chosen(self) -> None:
        self._show_session()
        self.screen_app.refresh_frame()

    def on_resize(self) -> None:
        self.call_after_refresh(self.refresh_view)

    def why_not_export(self) -> str:
        return "" if self._chosen() else "No session is chosen."

    def do_export(self) -> None:
        from tui.dialogs import Ask

        session = self._chosen()
        if session is None:
            return
        name = session.id
        text = "Markdown (.md), JSON (.json) or one self-contained HTML page (.html)."
        self.app.push_screen(
            Ask(
                f"Export the session {name} to which file?",
                lambda width: paragraph(text, width),
                value=os.path.join(os.getcwd(), f"harden-tui-{name}.html"),
                problem=lambda path: exporting.problem_of(path, FORMS),
                verb="write",
            ),
            lambda path: self._export(name, path),
        )

    def _export(self, name: str, path: str | None) -> None:
        if path is None:
            return
        path = os.path.expanduser(path)
        app = self.screen_app
        arguments = ["log", "export", name, "--as", exporting.form_of(path, FORMS), "-o", "-"]

        def run() -> None:
            problem = exporting.export(app.hands, arguments, "text", path)
            app.post_message(Answered("exported", path, None, problem))

        app.spawn(run)
