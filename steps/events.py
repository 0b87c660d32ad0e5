"""What a run says while it goes on: one JSON object a line, `event` names its kind.

The screen, `harden-tui follow` and other programs read these; fields are only ever added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from steps.drift_model import DriftReport
from steps.model import StepResult
from steps.window_model import Window, WindowReport


class Started(msgspec.Struct, frozen=True, tag="started", tag_field="event", kw_only=True):
    """The first event. `time` is ISO 8601 UTC."""

    run: str
    command: str
    steps: tuple[str, ...] = ()
    time: str = ""
    pid: int = 0
    practice: bool = False
    user: str = ""


class StepEvent(msgspec.Struct, frozen=True, tag="step", tag_field="event", kw_only=True):
    """Work on a step begins or ends.

    `phase`: checking, planning, applying, forced (`note` is the lock-out that a person insisted
    on), rolling-back, done, refused, failed.
    """

    step: str
    phase: str
    index: int = 0
    of: int = 0
    note: str = ""
    transaction: str = ""


class FindingEvent(msgspec.Struct, frozen=True, tag="finding", tag_field="event", kw_only=True):
    """A step was checked."""

    result: StepResult


class ChangeEvent(msgspec.Struct, frozen=True, tag="change", tag_field="event", kw_only=True):
    """A change of a plan (`applied` false) or one that was just made (true).

    `diff` is a unified diff, `command` what runs, as typed; secrets are masked.
    """

    step: str
    summary: str
    diff: str = ""
    command: str = ""
    applied: bool = False


class ProgressEvent(msgspec.Struct, frozen=True, tag="progress", tag_field="event", kw_only=True):
    """`total` 0 means: not known."""

    what: str
    done: int = 0
    total: int = 0


class CommandEvent(msgspec.Struct, frozen=True, tag="command", tag_field="event", kw_only=True):
    """A real command runs now."""

    command: str


class OutputEvent(msgspec.Struct, frozen=True, tag="output", tag_field="event", kw_only=True):
    """A line that the running command printed."""

    line: str


GuardPhase = Literal["", "armed", "waiting", "login", "kept", "taken-back"]


class GuardEvent(msgspec.Struct, frozen=True, tag="guard", tag_field="event", kw_only=True):
    """A guard spoke: `reasons` why a change was refused, or how it stands with a guarded one.

    `phase`: "armed" (the dead-man's switch is, nothing was changed yet), "waiting" (for the
    confirmation, also each time the deadline was moved), "login" (`login` says which new one was
    seen), "kept", "taken-back". `deadline` is ISO 8601 UTC for a person; `until_s` the same in
    seconds since boot (CLOCK_BOOTTIME), which no clock that is set can move. `attempt` is the
    command to try from a second terminal.
    """

    step: str
    reasons: tuple[str, ...] = ()
    deadline: str = ""
    phase: GuardPhase = ""
    until_s: float = 0.0
    attempt: str = ""
    login: str = ""


class DriftEvent(msgspec.Struct, frozen=True, tag="drift", tag_field="event", kw_only=True):
    """What changed outside harden-tui; a check says it once, at its end, where there is a
    transaction since which anything could have changed.

    `asked`: the steps that were checked; of others there is no verdict in it.
    """

    drift: DriftReport
    asked: tuple[str, ...] = ()


class WindowEvent(msgspec.Struct, frozen=True, tag="window", tag_field="event", kw_only=True):
    """An update window came to be, changed, or ended (`window` is null then, and `report` says
    what changed in it)."""

    window: Window | None
    report: WindowReport | None = None


class Done(msgspec.Struct, frozen=True, tag="done", tag_field="event", kw_only=True):
    """The last event. `exit` is the exit status; `summary` one sentence for a person."""

    exit: int
    summary: str
    transactions: tuple[str, ...] = ()
    seconds: float = 0.0


Event = (
    Started
    | StepEvent
    | FindingEvent
    | ChangeEvent
    | ProgressEvent
    | CommandEvent
    | OutputEvent
    | GuardEvent
    | DriftEvent
    | WindowEvent
    | Done
)

Emit = Callable[[Event], None]
