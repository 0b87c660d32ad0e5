"""Guided runs and the list of what is left, from the key to the hands that keep them."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from steps.model import Stage
from tui.board import STAGE_TITLES
from tui.guarded import Guarded
from tui.lead import of_window
from tui.messages import Answered
from tui.text import paragraph
from tui.wire import GuidesAnswer, HandsError

if TYPE_CHECKING:
    from steps.todo import Todo
    from tui.places.base import PlaceView

FORMS: Final = {".md": "markdown", ".txt": "text", ".json": "json"}


class Leading(Guarded):
    """The flow behind the keys for a guided run and for what is left."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.todos: dict[str, Todo | str] = {}
        """By stage ("" for all), what is left, or why it is not known."""
        self._to_keep: list[tuple[str, ...]] = []
        self._keeping = threading.Lock()

    @property
    def view(self) -> PlaceView:
        raise NotImplementedError

    def stage_here(self) -> Stage | None:
        """The stage of the chosen step; without one the first that has something open."""
        chosen = getattr(self.view, "chosen", "")
        if chosen:
            return self.board.stage(chosen)
        stages = self.board.stages()
        open_ones = [stage for stage, ids in stages if any(map(self.board.is_open, ids))]
        return open_ones[0] if open_ones else None

    def why_not_lead(self) -> str:
        if not self.board.infos:
            return "The catalogue is not read yet."
        stage = self.stage_here()
        if stage is None:
            return "No step is open: nothing is left to lead through."
        ids = [one for one in self.board.order if self.board.stage(one) == stage]
        if not all(map(self.board.status, ids)):
            return "Wait: the host is still being asked."
        if not any(map(self.board.is_open, ids)) and not set(ids) & of_window(self.board):
            return f"No step of “{STAGE_TITLES[stage]}” is open: nothing is left to do there."
        return ""

    def do_lead(self) -> None:
        from tui.lead_screen import LeadScreen

        stage = self.stage_here()
        if stage is not None:
            self.push_screen(LeadScreen(stage, self.banner_lines))

    def why_not_todo(self) -> str:
        return "" if self.board.order else "The checklist is not read yet."

    def do_todo(self) -> None:
        self.show_todo("")

    def show_todo(self, stage: str) -> None:
        """What is left of a stage, or of everything."""
        from tui.todo_screen import TodoScreen

        self.ask_todo(stage)
        self.push_screen(TodoScreen(stage, self.banner_lines))

    def ask_todo(self, stage: str) -> None:
        from steps.todo import Todo  # most screens never show the list

        self.todos.pop(stage, None)
        arguments = ["todo", *(["--stage", stage] if stage else [])]
        self.ask("todo", stage, arguments, Todo)

    def _answered_todo(self, message: Answered) -> None:
        self.todos[message.about] = message.problem if message.answer is None else message.answer

    def export_todo(self, stage: str) -> None:
        """Ask for a file and write the list there, as the person at the screen."""
        from tui import exporting
        from tui.dialogs import Ask

        text = "Markdown (.md), plain text (.txt) or JSON (.json). It is made from a check of now."
        name = f"harden-tui-todo-{stage or 'all'}-{date.today().isoformat()}.md"

        def given(path: str | None) -> None:
            if path:
                self._write_todo(stage, os.path.expanduser(path))

        self.push_screen(
            Ask(
                "Write what is left to which file?",
                lambda width: paragraph(text, width),
                value=os.path.join(os.getcwd(), name),
                problem=lambda path: exporting.problem_of(path, FORMS),
                verb="write",
            ),
            given,
        )

    def _write_todo(self, stage: str, path: str) -> None:
        from tui import exporting

        arguments = ["todo", *(["--stage", stage] if stage else []), "--output", "-"]
        form = exporting.form_of(path, FORMS)

        def run() -> None:
            problem = exporting.export(self.hands, arguments, form, path, good=(0, 1))
            self.post_message(Answered("exported", path, None, problem))

        self.say("Asking the host what is left…")
        self.spawn(run)

    def keep_place(self, *words: str) -> None:
        """Have it kept where a run stands: one after the other, so that the last one counts."""
        with self._keeping:
            self._to_keep.append(words)
            begins = len(self._to_keep) == 1
        if begins:
            self.spawn(self._keep_places)

    def _keep_places(self) -> None:
        """In a thread: what is to be kept, until there is no more; what was passed by is not."""
        while True:
            with self._keeping:
                while [one[0] for one in self._to_keep[:2]] == ["at", "at"]:
                    del self._to_keep[0]
                words = self._to_keep[0]
            try:
                answer: Any = self.hands.ask(["guide", *words], GuidesAnswer)
                problem = ""
            except HandsError as error:
                answer, problem = None, str(error)
            self.post_message(Answered("placed", " ".join(words), answer, problem))
            with self._keeping:
                del self._to_keep[0]
                if not self._to_keep:
                    return

    def _answered_placed(self, message: Answered) -> None:
        if message.answer is not None:
            self.board.take_guides(message.answer.guides)
        else:
            self.say(message.problem, warn=True)

    def shown_steps(self, steps: Sequence[str]) -> None:
        """Make the first of these the chosen one below, so that its keys mean it."""
        choose = getattr(self.view, "choose", None)
        if choose is not None and steps:
            choose(steps[0])
