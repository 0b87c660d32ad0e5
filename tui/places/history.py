"""Transactions: what they touched, and the way back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult

from snapshots.decision import name_of
from snapshots.model import TransactionRecord
from tui.board import is_undoable, outdated
from tui.messages import Answered
from tui.places.base import PlaceView, bindings_of
from tui.views import history as view
from tui.widgets.lines import LinePane
from tui.widgets.rows import RowList
from tui.widgets.single import across
from tui.wire import TransactionAnswer

SHOW_DELAY_S = 0.15


class History(PlaceView):
    place = "history"
    BINDINGS: ClassVar = bindings_of("history")

    DEFAULT_CSS = """
    History #records { height: 8; }
    History #record { height: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._wanted = ""
        self._details: dict[str, TransactionAnswer | str] = {}
        self._of_records: tuple[TransactionRecord, ...] = ()
        """The records that the details were asked for."""
        self._shown = ""

    def compose(self) -> ComposeResult:
        yield RowList(id="records")
        yield across()
        yield LinePane(id="record")

    @property
    def records(self) -> RowList:
        return self.query_one("#records", RowList)

    @property
    def record(self) -> LinePane:
        return self.query_one("#record", LinePane)

    def panes(self) -> list[LinePane]:
        return [self.records, self.record]

    def opened(self) -> None:
        self.refresh_view()
        self.screen_app.look_at_history()

    def sentence(self) -> str:
        return self.screen_app.said_of_others()

    def filtered(self, wanted: str) -> None:
        self._wanted = wanted
        self.refresh_view()

    def refresh_view(self) -> None:
        width = self.records.content_size.width
        known = self.screen_app.board
        for record_id in outdated(self._of_records, known.records):
            self._details.pop(record_id, None)
        self._of_records = known.records
        if not width:
            return
        header = view.header(known, width)
        rows = view.rows(known.records, width, self._wanted, known.left_over())
        share = 0.6 if len(header) > 1 else 0.4
        self.fit_height(self.records, len(rows) + len(header), least=3, share=share)
        self.records.show_rows(rows, header=header)
        self._show_record()

    def _chosen(self) -> TransactionRecord | None:
        chosen = self.records.chosen
        return next((r for r in self.screen_app.board.records if r.id == chosen), None)

    def _show_record(self) -> None:
        pane = self.record
        width = pane.size.width
        record = self._chosen()
        if record is None:
            pane.show(view.nothing(self.screen_app.board, width))
            return
        same = self._shown == record.id
        self._shown = record.id
        detail = self._details.get(record.id)
        left = self.screen_app.board.left_over()
        pane.show(view.detail(record, detail, width, left), keep_place=same)
        if detail is None:
            self.set_timer(SHOW_DELAY_S, lambda: self._ask(record.id))

    def _ask(self, record_id: str) -> None:
        if self.records.chosen == record_id and record_id not in self._details:
            self.screen_app.ask(
                "show", record_id, ["history", "show", record_id], TransactionAnswer
            )

    def take_answer(self, message: Answered) -> None:
        self._details[message.about] = message.problem if message.answer is None else message.answer
        self._show_record()

    def on_row_list_chosen(self) -> None:
        self._show_record()
        self.screen_app.refresh_frame()

    def on_resize(self) -> None:
        self.call_after_refresh(self.refresh_view)

    def why_not_roll_back(self) -> str:
        record = self._chosen()
        if record is None:
            return "No transaction is chosen."
        if not is_undoable(record):
            return view.why_not_undone(record, self.screen_app.board.left_over())
        return self.screen_app.why_not_change()

    def do_roll_back(self) -> None:
        record = self._chosen()
        if record is not None:
            self.screen_app.begin_roll_back([record.id], name_of(record))
