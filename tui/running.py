"""A piece of work as the screen follows it: what it does now, what it said, how it ended."""

from __future__ import annotations

from collections import deque
from typing import Final

from steps.events import (
    ChangeEvent,
    CommandEvent,
    Done,
    Event,
    GuardEvent,
    OutputEvent,
    ProgressEvent,
    Started,
    StepEvent,
)
from tui.text import BLANK, Line, Role, clean, fold, paragraph, wrap
from tui.views.preview import command_lines

LARGEST_LINES: Final = 5000
"""Lines of output kept for showing; the run's own file has them all."""

_ENDINGS: Final[dict[int, tuple[str, Role]]] = {
    0: ("done", "ok"),
    3: ("refused", "warn"),
    4: ("failed and rolled back", "bad"),
    5: ("failed, needs a person", "bad"),
}

_WAITING: Final = "waiting "
"""How the progress begins while nothing can be done before somebody else ends."""

_PHASES: Final = {
    "checking": "checking",
    "planning": "planning",
    "applying": "applying",
    "forced": "forced although",
    "rolling-back": "rolling back",
    "done": "done",
    "refused": "refused",
    "failed": "failed",
}


class Work:
    """One run. `title` is what the person asked for."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.run = ""
        self.now = "starting"
        self.progress = ""
        self._held_up = False
        """The progress is that it waits for somebody else to end."""
        self.waits = False
        self.done: Done | None = None
        self._said: deque[tuple[str, str]] = deque(maxlen=LARGEST_LINES)

    @property
    def is_over(self) -> bool:
        return self.done is not None

    def take(self, event: Event) -> None:
        """Something happened."""
        self._held_up = isinstance(event, ProgressEvent) and event.what.startswith(_WAITING)
        if isinstance(event, Started):
            self.run = event.run
            if not self.title:
                self.title = f"{event.command} {', '.join(event.steps)}".strip()
        elif isinstance(event, StepEvent):
            self._step(event)
        elif isinstance(event, ProgressEvent):
            count = f" {event.done:,}" if event.done else ""
            total = f" of {event.total:,}" if event.total else ""
            self.progress = f"{event.what}{count}{total}"
        elif isinstance(event, CommandEvent):
            self._said.append(("command", event.command))
        elif isinstance(event, OutputEvent):
            self._said.append(("output", event.line))
        elif isinstance(event, ChangeEvent):
            self._said.append(("change", event.summary))
        elif isinstance(event, GuardEvent):
            self._guard(event)
        elif isinstance(event, Done):
            self.done = event
            self.progress = ""

    def _guard(self, event: GuardEvent) -> None:
        """A login is seen again whenever the deadline is moved: it is said once."""
        self.waits = event.phase in ("waiting", "login")
        said: list[tuple[str, str]] = [("guard", reason) for reason in event.reasons]
        if event.phase == "waiting":
            until = f"{event.deadline[11:19]} UTC"
            wait = "wait" if ", " in event.step else "waits"
            said = [("guard", f"{event.step}: {wait} for your confirmation until {until}")]
        elif event.phase == "login":
            said = [("change", f"{event.step}: new login of {event.login}")]
        elif event.phase == "kept":
            said = [("change", f"{event.step}: confirmed and kept")]
        elif event.phase == "armed":
            said = [("armed", f"{event.step}: guarded from here on")]
        self._said.extend(one for one in said if one not in self._said)

    def _step(self, event: StepEvent) -> None:
        phase = _PHASES.get(event.phase, event.phase)
        place = f"{event.index}/{event.of} " if event.of > 1 else ""
        self.now = f"{place}{phase} {event.step}"
        self.progress = ""
        self._said.append((event.phase, f"{event.step}: {phase}" + _dash(event.note)))

    def state_line(self) -> str:
        """What the header says of it."""
        if self.done is not None:
            return ending(self.done.exit)[0]
        if self.waits:
            return "waiting for your confirmation"
        if self._held_up:
            return self.progress.partition(" (")[0]
        return f"running {self.now}"

    def lines(self, width: int) -> list[Line]:
        """Everything it said, with the real commands, and how it ended."""
        lines: list[Line] = []
        for kind, text in self._said:
            if kind == "command":
                lines += command_lines(text, width)
            elif kind == "output":
                lines += [(("  │ ", "dim"), (piece, "")) for piece in fold(text, width - 4)]
            elif kind == "change":
                lines += [((piece, "ok"),) for piece in wrap(f"✓ {text}", width, hanging=2)]
            elif kind == "guard":
                lines += [((piece, "warn"),) for piece in wrap(f"! {text}", width, hanging=2)]
            else:
                role: Role = "bad" if kind in ("failed", "refused") else "bold"
                lines += [((piece, role),) for piece in wrap(text, width, hanging=2)]
        if self.done is not None:
            word, role = ending(self.done.exit)
            lines += [BLANK, ((word[:1].upper() + word[1:], role),)]
            lines += paragraph(self.done.summary, width)
        elif self.progress:
            lines += [BLANK, ((f"… {clean(self.progress)}"[:width], "info"),)]
        return lines or [(("Starting…", "dim"),)]


def ending(exit_status: int) -> tuple[str, Role]:
    """How an exit status is said."""
    return _ENDINGS.get(exit_status, (f"ended with exit status {exit_status}", "bad"))


def while_away(exit_status: int, *, root: bool = True) -> str:
    """The same of a run that nobody looked on at, in the 32 cells that the header has for it;
    without `root` it must not hide that there is none."""
    short = {0: "done", 3: "refused", 4: "rolled back", 5: "needs a person"}
    how = short.get(exit_status, f"exit status {exit_status}")
    if not root:
        return f"not root · {how} (o)"
    return f"{'while away' if exit_status else 'finished while away'}: {how} (o)"


def _dash(note: str) -> str:
    return f" – {note}" if note else ""
