"""What is left to a person on this host: read off a check, the plans of what is open, and answers.

Nothing is kept of it: a list that is made anew each time cannot be out of date.
"""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from host.names import visible
from snapshots.guide_model import Later
from snapshots.typed import TYPED, by_number
from steps.drift_model import DriftReport
from steps.events import GuardEvent
from steps.model import STAGES, Stage, StepResult
from steps.parameters import by_standard_input
from steps.window_model import BY_WINDOW, Window

if TYPE_CHECKING:
    from snapshots.answers import Waiver

TodoKind = Literal["first", "choose", "attest", "refused", "unmeasured", "open", "left-out"]

KINDS: Final[tuple[TodoKind, ...]] = (
    "first", "choose", "attest", "refused", "unmeasured", "open", "left-out",
)  # fmt: skip

TITLES: Final[dict[TodoKind, str]] = {
    "first": "Before anything else",
    "choose": "Choices to make",
    "attest": "To look at and answer for",
    "refused": "Refused for now",
    "unmeasured": "Could not be measured",
    "open": "Open, and harden-tui can do it",
    "left-out": "Left out on purpose",
}


class TodoItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing left to do. `step` is empty where it is about no step of the checklist.

    `why` are sentences: the question, the reasons of a refusal, what lacks. `do` is the command,
    `Todo.command` how it is typed. `put_off`: who left it for later in a guided run, and when
    (ISO 8601 UTC).
    """

    kind: TodoKind
    title: str
    step: str = ""
    stage: Stage | Literal[""] = ""
    why: tuple[str, ...] = ()
    do: str = ""
    put_off: str = ""


class Todo(msgspec.Struct, frozen=True, kw_only=True):
    """The list of one host. `made` is ISO 8601 UTC; `checked`: how many steps were asked.

    `named`: whether a command has to name the checklist, because another one is meant without; a
    step applied by the wrong checklist would get that one's values. `program`: what is typed to
    start harden-tui for this host and state, with sudo where the host is a real one.
    """

    host: str
    checklist: str
    made: str
    practice: bool = False
    program: str = TYPED
    named: bool = False
    checked: int = 0
    items: tuple[TodoItem, ...] = ()

    @property
    def left(self) -> list[TodoItem]:
        """What waits for a person; what was left out on purpose does not."""
        return [item for item in self.items if item.kind != "left-out"]

    def command(self, item: TodoItem) -> str:
        """What to type for it."""
        program = self.program
        if self.named:
            program += f" --checklist {shlex.quote(self.checklist)}"
        return item.do.replace("harden-tui", program, 1)

    def of(self, kind: TodoKind) -> list[TodoItem]:
        return [item for item in self.items if item.kind == kind]


def items(
    results: Sequence[StepResult],
    *,
    missing: Mapping[str, Sequence[str]],
    questions: Mapping[str, Sequence[str]],
    refused: Mapping[str, Sequence[str]],
    waivers: Mapping[str, Waiver],
    later: Mapping[str, Later],
    drift: DriftReport,
    secret: Container[str] = (),
) -> tuple[TodoItem, ...]:
    """What is left of these steps, by kind and in the checklist's order.

    `missing`: the parameters of a step that have no value; `questions`: what a person is asked who
    answers for it; `refused`: why it cannot be applied now; `secret`: the steps of which one of the
    missing values is a secret.
    """
    found = [
        item
        for result in results
        for item in [
            _of_step(
                result,
                missing=missing.get(result.id, ()),
                secret=result.id in secret,
                questions=questions.get(result.id, ()),
                refused=refused.get(result.id, ()),
                waiver=waivers.get(result.id),
                put_off=_put_off(later.get(result.id)),
            )
        ]
        if item is not None
    ]
    found += _drifted(drift)
    return sorted_items(found)


def sorted_items(found: Iterable[TodoItem]) -> tuple[TodoItem, ...]:
    """By kind, then by stage; what stood before stays before."""
    stages: dict[str, int] = {stage: number for number, stage in enumerate(STAGES)}

    def place(item: TodoItem) -> tuple[int, int]:
        return KINDS.index(item.kind), stages.get(item.stage, len(STAGES))

    return tuple(sorted(found, key=place))


def _of_step(
    result: StepResult,
    *,
    missing: Sequence[str],
    secret: bool,
    questions: Sequence[str],
    refused: Sequence[str],
    waiver: Waiver | None,
    put_off: str,
) -> TodoItem | None:
    def item(kind: TodoKind, why: Iterable[str], do: str) -> TodoItem:
        return TodoItem(
            kind=kind, title=result.title, step=result.id, stage=result.stage,
            why=tuple(why), do=do, put_off=put_off,
        )  # fmt: skip

    if result.status == "waived":
        return item("left-out", [_waived(result, waiver)], f"harden-tui steps unwaive {result.id}")
    if result.status == "manual":
        do = f"harden-tui steps attest {result.id} --note '…'"
        return item("attest", questions or [result.note], do)
    if missing and result.status in ("unknown", "fail"):
        settings = " ".join(f"{result.id}.{name}=…" for name in missing)
        do = by_standard_input(result.id, missing) if secret else f"harden-tui steps set {settings}"
        return item("choose", [f"It needs a value for {', '.join(missing)}."], do)
    if result.status in ("unknown", "error"):
        return item("unmeasured", _unmeasured(result), f"harden-tui check {result.id} --verbose")
    if result.status == "fail":
        if result.id in BY_WINDOW:
            return item("open", _reasons(result), f"harden-tui window {BY_WINDOW[result.id]}")
        if refused:
            return item("refused", refused, f"harden-tui apply {result.id}")
        return item("open", (), f"harden-tui apply {result.id}")
    return None


def _waived(result: StepResult, waiver: Waiver | None) -> str:
    if waiver is None:
        return result.note
    until = f", until {waiver.until}" if waiver.until else ""
    return f"{waiver.text} ({waiver.by}, {waiver.when[:10]}{until})"


def _unmeasured(result: StepResult) -> list[str]:
    notes = [f"{one.setting}: {one.note}" for one in result.findings if one.ok is None and one.note]
    return list(dict.fromkeys([result.note, *notes] if result.note else notes)) or [
        "It was asked, and there was no answer."
    ]


def _reasons(result: StepResult) -> list[str]:
    """What was found wrong, and the notes of it."""
    wrong = [one for one in result.findings if one.applicable and one.ok is False]
    return [f"{one.setting}: {one.running}{f'; {one.note}' if one.note else ''}" for one in wrong]


def _put_off(later: Later | None) -> str:
    return f"{later.by}, {later.when}" if later is not None else ""


def _drifted(drift: DriftReport) -> list[TodoItem]:
    """Each thing that changed outside harden-tui: what becomes of it is a person's choice."""
    return [
        TodoItem(
            kind="choose",
            title=f"{row.key} was changed outside harden-tui",
            step=row.concerned[0] if row.concerned else "",
            why=(
                *([f"It can be settled by: {', '.join(row.choices)}."] if row.choices else []),
                *([row.cannot] if row.cannot else []),
            ),
            do=f"harden-tui drift show {shlex.quote(visible(row.key))}",
        )
        for row in drift.things
    ]


def before_all(
    guard: GuardEvent | None, interrupted: Sequence[str], window: Window | None = None
) -> list[TodoItem]:
    """What cannot wait: a guard, a change that was cut off, an update window that is open."""
    if window is not None:
        until = f"{window.deadline[:16].replace('T', ' ')} UTC"
        title = f"An update window is open until {until}"
        what = ", ".join(window.steps)
        why = f"Meanwhile {what} is not in force." if what else "It closes by itself then."
        do = "harden-tui window close"
        opened = [TodoItem(kind="first", title=title, why=(why,), do=do)]
        return [*before_all(guard, interrupted), *opened]
    if guard is not None and guard.step:
        until = f" until {guard.deadline[11:19]} UTC" if guard.deadline else ""
        steps = guard.step.split(", ")
        title = f"{guard.step} {by_number(steps, 'waits', 'wait')} for your confirmation{until}"
        it_is = by_number(steps, "it is", "they are")
        why, do = f"Without one {it_is} taken back by itself.", "harden-tui confirm"
    elif interrupted:
        title = f"The change of {', '.join(interrupted)} was interrupted"
        why, do = "Nothing else can be changed before it is brought back.", "harden-tui recover"
    else:
        return []
    return [TodoItem(kind="first", title=title, why=(why,), do=do)]
