"""The checklist: steps at the left, the chosen one at the right."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.timer import Timer

from steps.window_model import BY_WINDOW
from tui import board
from tui.places.base import PlaceView, bindings_of
from tui.text import Line, wrap
from tui.theme import STATUS_WORDS
from tui.views import checklist as rows_view
from tui.views import preview, step
from tui.widgets.lines import LinePane
from tui.widgets.rows import RowList
from tui.widgets.single import Column

TABS = [("why", "Why"), ("state", "State"), ("preview", "Preview"), ("history", "History")]

DETAIL_DELAY_S = 0.15

PLAN_DELAY_S = 0.15
"""Wait before a plan is asked for, so that walking down the list asks once."""


class Checklist(PlaceView):
    place = "checklist"
    BINDINGS: ClassVar = bindings_of("checklist")

    DEFAULT_CSS = """
    Checklist { layout: horizontal; }
    Checklist #steps { width: 35; margin: 0 1 0 0; }
    Checklist #detail { margin: 0 1 0 1; }
    Checklist.-wide-detail #steps, Checklist.-wide-detail Column { display: none; }
    Checklist.-wide-detail #detail { margin: 0 1; }
    Checklist.-wide #steps { width: 51; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._tab = "why"
        self._wanted = ""
        self._detail_waits: Timer | None = None
        self._shown = ("", "", False)

        self.steps = RowList(id="steps")
        self.detail = LinePane(id="detail")

    def compose(self) -> ComposeResult:
        yield self.steps
        yield Column()
        yield self.detail

    @property
    def chosen(self) -> str:
        return self.steps.chosen

    def panes(self) -> list[LinePane]:
        return [self.steps, self.detail]

    def opened(self) -> None:
        self.refresh_view()

    def filtered(self, wanted: str) -> None:
        self._wanted = wanted
        self.refresh_view()

    def sentence(self) -> str:
        """What another session did, that the check failed or drift is not known, or that somebody
        stopped on the way through this stage."""
        known = self.screen_app.board
        if known.changed_by_others:
            return self.screen_app.said_of_others()
        if known.problem and not known.checking:
            return "The last check failed: what is shown may be older. r checks again."
        if self.screen_app.hands.rights != "user" and self.screen_app.why_unread():
            return self.screen_app.why_unread()
        if known.drift.problem and not known.checking:
            return "What drifted is not known: d says why."
        guide = known.guides.get(known.stage(self.chosen)) if self.chosen else None
        if guide is None or not guide.goes_on:
            return ""
        return f"{guide.by} stopped the guided run at {guide.at}: l goes on."

    def refresh_view(self) -> None:
        width = self.steps.content_size.width
        if width:
            self.steps.show_rows(rows_view.rows(self.screen_app.board, self._wanted, width))
        self.show_detail()

    def show_detail(self) -> None:
        """Draw the chosen step's tab; another step or tab starts at its top."""
        pane = self.detail
        width = pane.content_size.width
        chosen = self.chosen
        if not width:
            return
        known = self.screen_app.board
        header: list[Line] = [self.tab_line(TABS, self._tab)]
        if not chosen:
            pane.show(self._empty(width), header=[], keep_place=False)
            return
        narrow = self._is_narrow()
        header += [*step.head(known, chosen, width, narrow=narrow), ()]
        lines = {
            "why": lambda: (step.gist if narrow else step.why)(known, chosen, width),
            "state": lambda: step.state(known.results.get(chosen), width, known.drifted(chosen)),
            "preview": lambda: self._preview(chosen, width),
            "history": lambda: step.history(known, chosen, width),
        }[self._tab]()
        shown = (chosen, self._tab, narrow)
        same = self._shown == shown
        self._shown = shown
        pane.show(lines, header=header, keep_place=same)
        if self._tab == "preview" and chosen not in known.plans:
            self._ask_plan_soon(chosen)

    def _preview(self, step_id: str, width: int) -> list[Line]:
        app = self.screen_app
        guarded = app.guarded_of([step_id])
        window_s = app.hands.options.confirm_within_s
        return preview.plan_lines(app.board.plans.get(step_id), width, guarded, window_s)

    def _is_narrow(self) -> bool:
        """Beside the list, on a small terminal, and not the pane that is being read."""
        wide = self.has_class("-wide") or self.has_class("-wide-detail")
        return not wide and not self.detail.has_focus

    def on_descendant_focus(self) -> None:
        if self._shown[0]:
            self.show_detail()

    def _empty(self, width: int) -> list[Line]:
        problem = self.screen_app.board.problem
        return [((piece, "warn"),) for piece in wrap(problem, width)] if problem else []

    def _ask_plan_soon(self, step_id: str) -> None:
        def ask() -> None:
            if self.chosen == step_id and self._tab == "preview":
                self.screen_app.ask_plan(step_id)

        self.set_timer(PLAN_DELAY_S, ask)

    def on_row_list_chosen(self) -> None:
        """The detail follows a moment later: walking down the list draws it once."""
        if self._detail_waits is not None:
            self._detail_waits.stop()
        self._detail_waits = self.set_timer(DETAIL_DELAY_S, self._follow_choice)

    def _follow_choice(self) -> None:
        self._detail_waits = None
        self.show_detail()
        self.screen_app.refresh_frame()

    def on_resize(self) -> None:
        self.set_class(self.size.width >= 110, "-wide")
        self.call_after_refresh(self.refresh_view)

    def show_tab(self, tab: str) -> None:
        self._tab = tab
        self.show_detail()

    def do_why(self) -> None:
        self.show_tab("why")

    def do_state(self) -> None:
        self.show_tab("state")

    def do_preview(self) -> None:
        self.show_tab("preview")

    def do_step_history(self) -> None:
        self.show_tab("history")

    def do_next_tab(self) -> None:
        self._turn(1)

    def do_previous_tab(self) -> None:
        self._turn(-1)

    def _turn(self, by: int) -> None:
        names = [name for name, _ in TABS]
        self.show_tab(names[(names.index(self._tab) + by) % len(names)])

    def why_not_apply(self) -> str:
        known = self.screen_app.board
        if not self.chosen:
            return "No step is chosen."
        status = known.status(self.chosen)
        if not status:
            return f"{self.chosen} is still being checked."
        if self.chosen in BY_WINDOW:
            return ""
        if status in ("pass", "not-applicable", "manual", "attested"):
            return f"Nothing to apply: {self.chosen} is {STATUS_WORDS[status]}."
        return self.screen_app.why_not_change()

    def do_apply(self) -> None:
        if self.chosen in BY_WINDOW:
            self.screen_app.do_window()
        else:
            self.screen_app.begin_apply([self.chosen])

    def why_not_apply_stage(self) -> str:
        if not self.chosen:
            return "No step is chosen."
        known = self.screen_app.board
        if not known.open_of_stage(known.stage(self.chosen)):
            return "No step of this stage is open."
        return self.screen_app.why_not_change()

    def do_apply_stage(self) -> None:
        known = self.screen_app.board
        self.screen_app.begin_apply(known.open_of_stage(known.stage(self.chosen)))

    def why_not_roll_back(self) -> str:
        known = self.screen_app.board
        if not self.chosen:
            return "No step is chosen."
        if self.screen_app.why_not_change():
            return self.screen_app.why_not_change()
        if not known.records_known:
            return self.screen_app.why_unread() or "The history is not read yet."
        if not known.undoable(self.chosen):
            return f"Nothing to undo as last read (r looks again): {self.chosen}."
        return ""

    def do_roll_back(self) -> None:
        self.screen_app.begin_roll_back([self.chosen], self.chosen)

    def why_not_drift(self) -> str:
        known = self.screen_app.board
        if known.drift.problem:
            return ""  # d says why
        if not known.drift.things and self.screen_app.why_unread():
            return self.screen_app.why_unread()
        return self.screen_app.why_not_change() if known.drift.things else known.no_drift()

    def do_drift(self) -> None:
        """Of the chosen step; of everything where it concerns no drift."""
        known = self.screen_app.board
        if known.drift.problem:
            sentence = f"What drifted is not known: {known.drift.problem}"
            self.screen_app.refuse("Drift is not known", sentence)
            return
        rows = known.drifted(self.chosen)
        about = self.chosen if rows else ""
        self.screen_app.begin_settling(about, rows or list(known.drift.things))

    def why_not_skip(self) -> str:
        return self._why_not_answer()

    def do_skip(self) -> None:
        if self.screen_app.board.status(self.chosen) == "waived":
            self.screen_app.take_back(self.chosen)
        else:
            self.screen_app.ask_reason(self.chosen, "waive")

    def why_not_attest(self) -> str:
        status = self.screen_app.board.status(self.chosen) if self.chosen else ""
        if self.chosen and status not in ("manual", "attested"):
            return f"{self.chosen} is measured; only what is manual can be attested."
        return self._why_not_answer()

    def do_attest(self) -> None:
        self.screen_app.ask_reason(self.chosen, "attest")

    def _why_not_answer(self) -> str:
        return self.screen_app.why_not_change() if self.chosen else "No step is chosen."

    def why_not_next_open(self) -> str:
        known = self.screen_app.board
        return "" if known.next_open(self.chosen) else "No step is open: nothing is left to do."

    def do_next_open(self) -> None:
        found = self.screen_app.board.next_open(self.chosen)
        if not self.steps.choose(found):
            self.screen_app.end_filter()
            self.steps.choose(found)

    def why_not_edit(self) -> str:
        known: board.Board = self.screen_app.board
        info = known.infos.get(self.chosen)
        if info is None:
            return "The catalogue is not read yet."
        if not info.parameters:
            return f"{self.chosen} has no values to choose."
        return self.screen_app.why_not_change()

    def do_edit(self) -> None:
        self.screen_app.edit_values(self.chosen)

    def _widen(self, wide: bool) -> None:
        self.set_class(wide, "-wide-detail")
        (self.detail if wide else self.steps).focus()
        self.call_after_refresh(self.refresh_view)

    def do_wide(self) -> None:
        self._widen(not self.has_class("-wide-detail"))

    def do_back(self) -> None:
        if self.has_class("-wide-detail"):
            self._widen(False)
        else:
            self.screen_app.do_back()

    def do_switch_pane(self) -> None:
        if self.has_class("-wide-detail"):
            self._widen(False)
            return
        super().do_switch_pane()
        self.screen_app.refresh_rule()

    def choose(self, step_id: str) -> bool:
        """Jump to a step, from another place."""
        if self.steps.choose(step_id):
            return True
        self.screen_app.end_filter()
        return self.steps.choose(step_id)
