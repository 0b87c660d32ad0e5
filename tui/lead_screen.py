"""A guided run over the whole screen: one step after the other, one page after the other.

What is done about a step is done by the same questions and screens as from the checklist; this
one only shows the way, and has it kept where one stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding

from snapshots.guide_model import Guide
from steps.model import Stage
from steps.window_model import BY_WINDOW
from tui import lead
from tui.board import DONE, STAGE_TITLES
from tui.full_screen import FullScreen
from tui.question import Draw
from tui.running import Work
from tui.text import Line
from tui.views import lead as view
from tui.widgets.lines import LinePane

ON_THE_CHANGE = "Enter decides nothing here: a makes the change, x leaves it out, l puts it off."


class LeadScreen(FullScreen):
    """Leaving it loses nothing: the run goes on from the same step."""

    BINDINGS: ClassVar = [
        Binding("enter,right", "on", show=False),
        Binding("left", "back", show=False),
        Binding("n", "next_step", show=False),
        Binding("l", "later", show=False),
        Binding("a", "take('apply')", show=False),
        Binding("x", "take('skip')", show=False),
        Binding("t", "take('attest')", show=False),
        Binding("e", "values_or_export", show=False),
        Binding("u", "take('roll-back')", show=False),
        Binding("b", "take('root')", show=False),
        Binding("d", "take('drift')", show=False),
        Binding("R", "take('recover')", show=False),
        Binding("o", "take('output')", show=False),
        Binding("T", "todo", show=False),
        Binding("g", "restart", show=False),
        Binding("c", "app.confirm", show=False),
        Binding("W", "app.window", show=False),
        Binding("q", "cancel", show=False),
    ]

    def __init__(self, stage: Stage, banner: Draw) -> None:
        super().__init__(banner)
        self._stage = stage
        self._step = ""
        self._page: lead.Page = "why"
        self._later: list[str] = []
        self._seen: set[str] = set()
        self._works: dict[str, Work] = {}
        self._work_before: Work | None = None
        self._over = False
        self._was_done = False

    @property
    def _order(self) -> list[str]:
        return lead.steps_of(self._app.board, self._stage)

    @property
    def _status(self) -> str:
        return self._app.board.status(self._step)

    @property
    def _pages(self) -> tuple[lead.Page, ...]:
        return lead.pages_of(self._step, self._status, tried=self._step in self._works)

    def on_mount(self) -> None:
        app = self._app
        self._work_before = app.work
        guide = app.board.guides.get(self._stage, Guide(checklist="", stage=self._stage))
        at = ""
        if guide.goes_on:
            at = guide.at
            self._later = list(guide.later)
            self.heard(view.resumed(guide))
        self._go(lead.resumes_at(app.board, self._order, at, self._later))

    def board_changed(self) -> None:
        """The host was asked again, something was decided, or work ended."""
        if not self.is_mounted:
            return
        work = self._app.work
        if work is not None and work is not self._work_before and self._step in work.title:
            self._works[self._step] = work
        done = self._status in DONE
        if self._step in BY_WINDOW:
            self._draw()
        elif (done and not self._was_done) or (self._page == "change" and self._ended()):
            self._was_done = done
            self._show("proof")
        elif self._page not in self._pages and not self._over:
            self._show(self._pages[-1])
        else:
            self._draw()

    def _ended(self) -> bool:
        work = self._works.get(self._step)
        return work is not None and work.is_over

    def _next(self) -> str:
        return lead.following(self._app.board, self._order, self._step, self._later, self._seen)

    def _go(self, step_id: str) -> None:
        """Stand at a step from now on, or at the end of the run."""
        app = self._app
        self._seen.add(step_id)
        self._step, self._over = step_id, not step_id
        self._was_done = not step_id or app.board.status(step_id) in DONE
        if step_id:
            app.shown_steps([step_id])
            app.keep_place("at", step_id)
            fresh = app.board.is_open(step_id) or step_id in BY_WINDOW
            self._show("why" if fresh else self._pages[-1])
        else:
            app.keep_place("end", self._stage)
            app.ask_todo(self._stage)
            self._draw(keep_place=False)

    def _show(self, page: lead.Page) -> None:
        self._page = page
        if page in ("state", "change") and self._status not in DONE:
            self._ask_plan()
        self._draw(keep_place=False)

    def _ask_plan(self) -> None:
        if self._step not in self._app.board.plans and self._status in ("fail", "unknown"):
            self._app.ask_plan(self._step)

    def _show_in(self, pane: LinePane, *, keep_place: bool) -> None:
        if self._page == "change" and not self._over:
            self._ask_plan()
        super()._show_in(pane, keep_place=keep_place)

    def _lines(self, width: int) -> list[Line]:
        app, board, step_id = self._app, self._app.board, self._step
        if self._over:
            later = [one for one in self._later if board.is_open(one)]
            todo = app.todos.get(self._stage)
            return view.end(board, self._stage, self._order, later, todo, width)
        if self._page == "why":
            return view.why(board, step_id, width)
        if self._page == "state":
            return view.state(board, step_id, width)
        if self._page == "proof":
            return view.proof(board, step_id, self._works.get(step_id), width)
        window_s = app.hands.options.confirm_within_s
        return view.change(board, step_id, width, app.guarded_of([step_id]), window_s)

    def _title(self, width: int) -> list[Line]:
        if not self._step and not self._over:
            return [((STAGE_TITLES[self._stage], "bold"),)]
        return view.title(
            self._app.board, self._stage, self._order, self._step, self._pages, self._page, width
        )

    def _keys(self) -> Sequence[tuple[str, str, bool]]:
        board = self._app.board
        info = board.infos.get(self._step)
        return view.keys(
            None if self._over else self._page,
            "window" if self._step in BY_WINDOW else self._status,
            undoable=bool(board.undoable(self._step)),
            parameters=bool(info and info.parameters),
        )

    def action_on(self) -> None:
        """The next page; after the last one the next step."""
        if self._over:
            self.dismiss(None)
            return
        decides = self._status not in DONE and self._step not in BY_WINDOW
        if self._page == "change" and decides:
            self.heard(ON_THE_CHANGE, warn=True)
            return
        self.heard("")
        pages = self._pages
        here = pages.index(self._page) if self._page in pages else len(pages) - 1
        if here + 1 < len(pages):
            self._show(pages[here + 1])
        else:
            self._go(self._next())

    def action_back(self) -> None:
        """The page before; before the first one the step before."""
        self.heard("")
        pages = self._pages
        if not self._over and self._page in pages[1:]:
            self._show(pages[pages.index(self._page) - 1])
            return
        found = lead.before(self._app.board, self._order, self._step)
        if found:
            self._go(found)
        else:
            self.heard("This is the first step.")

    def action_next_step(self) -> None:
        """On to the next open step, without a decision about this one."""
        if not self._over:
            self.heard("")
            self._go(self._next())

    def action_later(self) -> None:
        if self._over:
            return
        if self._status in DONE:
            self.heard(f"{self._step} is done: there is nothing to put off.", warn=True)
            return
        self._later.append(self._step)
        self._app.keep_place("later", self._step)
        self.heard(f"{self._step} is put off.")
        self._go(self._next())

    def action_restart(self) -> None:
        self._later.clear()
        self._seen.clear()
        self._app.keep_place("forget", self._stage)
        first = lead.following(self._app.board, self._order, "", ())
        self.heard("From the start." if first else "")
        self._go(first)

    def action_take(self, name: str) -> None:
        """An action of the checklist, about the step the run stands at."""
        if not self._over or name in ("root", "recover"):
            self.heard("")
            self._app.shown_steps([self._step])
            self._app.take(name)

    def action_values_or_export(self) -> None:
        if self._over:
            self._app.export_todo(self._stage)
        else:
            self.action_take("edit")

    def action_todo(self) -> None:
        self._app.show_todo(self._stage)
