"""What an apply or an undo would do: diffs with line numbers, commands, refusals."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from snapshots.model import UndoHow, UndoItem, UndoPlan
from tui.resolving import later_text, since_title
from tui.text import BLANK, Line, Role, fold, labelled, paragraph, wrap
from tui.typed_word import insisting
from tui.views import guard
from tui.wire import PlanAnswer, PlannedChange, StepPlan

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


_ROLES: Final[dict[str, Role]] = {"+": "add", "-": "del"}


def diff_lines(diff: str, width: int) -> list[Line]:
    """A unified diff with old and new line numbers; long lines are folded, never cut off."""
    lines: list[Line] = []
    old = new = 0
    numbers = max([2, *(len(number) for hunk in _HUNK.findall(diff) for number in hunk)])
    room = width - 2 * numbers - 3
    in_hunk = False
    for text in diff.splitlines():
        hunk = _HUNK.match(text)
        if hunk:
            old, new = int(hunk.group(1)), int(hunk.group(2))
            in_hunk = True
            lines.append(((text[:width], "hunk"),))
            continue
        if not in_hunk or text.startswith("\\"):
            lines += _outside_hunks(text, width)
            continue
        kind = text[:1] or " "
        left = f"{old:>{numbers}}" if kind != "+" else " " * numbers
        right = f"{new:>{numbers}}" if kind != "-" else " " * numbers
        role = _ROLES.get(kind, "")
        for number, piece in enumerate(fold(text[1:], room)):
            gutter = f"{left} {right} " if number == 0 else " " * (2 * numbers + 2)
            lines.append(((gutter, "dim"), (f"{kind if number == 0 else '…'}{piece}", role)))
        old += kind != "+"
        new += kind != "-"
    return lines


def _outside_hunks(text: str, width: int) -> list[Line]:
    """File names, lists of packages, and sentences on owners and modes."""
    if text.startswith(("---", "+++")):
        return [((piece, "bold"),) for piece in fold(text, width)]
    if text.startswith(("+", "-")):
        role: Role = "add" if text.startswith("+") else "del"
        return [((piece, role),) for piece in fold(text, width)]
    return paragraph(text, width, "dim")


def command_lines(command: str, width: int) -> list[Line]:
    """A real command as typed, folded with a hanging indent."""
    pieces = wrap(command, width - 2, hanging=4) if command else []
    return [
        (("$ " if number == 0 else "  ", "dim"), (piece, "info"))
        for number, piece in enumerate(pieces)
    ]


def _titled(sign: str, text: str, width: int, role: Role = "bold") -> list[Line]:
    pieces = wrap(text, width - 2)
    return [((f"{sign} " if n == 0 else "  ", role), (p, role)) for n, p in enumerate(pieces)]


def change_lines(change: PlannedChange, width: int) -> list[Line]:
    lines = _titled("·", change.summary, width)
    if change.diff:
        lines += diff_lines(change.diff, width)
    lines += command_lines(change.command, width)
    return lines


def step_plan_lines(plan: StepPlan, width: int, window_s: int = 0) -> list[Line]:
    """One step's preview; with `window_s` it is guarded and waits for so long."""
    lines: list[Line] = []
    if window_s and plan.changes and not plan.refusals:
        lines += [*guard.notice(window_s, width), BLANK]
    for reason in plan.refusals:
        lines += [*_titled("!", "Refused: " + reason, width, "bad"), BLANK]
    for lockout in plan.lockouts:
        lines += [*_titled("!", "Locks out: " + lockout, width, "bad"), BLANK]
    if plan.lockouts and not plan.refusals:
        lines += [*paragraph(insisting(plan.id), width, "warn"), BLANK]
    for phrase in plan.irreversible:
        lines += [*_titled("!", "Cannot come back: " + phrase, width, "warn"), BLANK]
    if plan.changes:
        for change in plan.changes:
            lines += [*change_lines(change, width), BLANK]
        if plan.then:
            lines.append((("Then, to validate and activate", "bold"),))
            for command in plan.then:
                lines += command_lines(command, width)
            lines.append(BLANK)
    elif not plan.refusals and not plan.lockouts:
        lines += paragraph("An apply would change nothing here.", width)
        lines.append(BLANK)
    for note in plan.notes:
        lines += paragraph(note, width, "dim")
    return lines


def plan_lines(
    plan: PlanAnswer | str | None, width: int, guarded: Collection[str] = (), window_s: int = 0
) -> list[Line]:
    """The preview of a plan, of its problem, or of the wait for it.

    `guarded` are the steps whose change waits for a confirmation.
    """
    if plan is None:
        return [(("Asking the host what would change…", "dim"),)]
    if isinstance(plan, str):
        return paragraph(plan, width, "warn")
    lines: list[Line] = []
    waits = [step.id for step in plan.steps if step.id in guarded and step.changes]
    several = len(plan.steps) > 1
    if several and waits and not refusals(plan):
        lines += guard.notice_of_several(waits, window_s, width)
    for number, step in enumerate(plan.steps, 1):
        if several:
            place = f"{number} of {len(plan.steps)}  "
            if lines:
                lines.append((("─" * width, "dim"),))
            lines += [((place, "dim"), (step.title, "bold")), ((step.id, "dim"),), BLANK]
        lines += step_plan_lines(step, width, window_s if step.id in waits and not several else 0)
    return lines


def refusals(plan: PlanAnswer) -> list[str]:
    return [reason for step in plan.steps for reason in (*step.refusals, *step.lockouts)]


def refused_steps(plan: PlanAnswer) -> int:
    return sum(bool(step.refusals or step.lockouts) for step in plan.steps)


def can_change(plan: PlanAnswer) -> bool:
    """Whether a step that is not refused would change something."""
    return any(step.changes and not (step.refusals or step.lockouts) for step in plan.steps)


def changes(plan: PlanAnswer) -> int:
    return sum(len(step.changes) for step in plan.steps)


HOW = {
    "restore": "put back",
    "merge": "merge: your later edits are kept",
    "handed-over": "stays: what stays needs it",
    "already": "is so already",
    "regenerated": "package tools make it anew",
    "conflict": "CONFLICT",
    "kept": "stays, as you chose",
    "left": "stays: it may be yours",
}
"""What an undo does with a thing, in words."""

_FIRST: Mapping[UndoHow, int] = {"conflict": 0, "left": 1}


def undo_lines(
    plans: Sequence[UndoPlan],
    width: int,
    window_s: int = 0,
    began: Mapping[str, str] = MappingProxyType({}),
) -> list[Line]:
    """What an undo would do, why it cannot and conflicts first; with `window_s` it is guarded.

    `began`: when transactions did, by id; of several it tells them apart.
    """
    lines: list[Line] = []
    reasons = cannot(plans)
    for reason in reasons:
        lines += [*_titled("!", reason, width, "bad"), BLANK]
    if plans and window_s and not reasons:
        lines += [*guard.notice(window_s, width, undo=True), BLANK]
    for number, plan in enumerate(plans, 1):
        if len(plans) > 1:
            lines += _of_several(plan, f"{number} of {len(plans)}", began, width)
        if plan.left_out:
            lines += [*_titled("!", f"Left out: {plan.left_out}", width, "bad"), BLANK]
        if plan.later:
            lines += [*paragraph(later_text(plan), width, "warn"), BLANK]
        if plan.stays:
            lines += [*paragraph(plan.stays, width, "warn"), BLANK]
        for item in sorted(plan.items, key=lambda item: _FIRST.get(item.how, len(_FIRST))):
            lines += [*_undo_item(item, width), BLANK]
        if plan.commands:
            lines.append((("Then", "bold"),))
            for command in plan.commands:
                lines += command_lines(command, width)
            lines.append(BLANK)
    return lines or [(("Nothing to undo.", "dim"),)]


def cannot(plans: Sequence[UndoPlan]) -> list[str]:
    """Why an undo cannot be done now, whatever is chosen."""
    return list(dict.fromkeys(plan.cannot for plan in plans if plan.cannot))


def _of_several(plan: UndoPlan, place: str, began: Mapping[str, str], width: int) -> list[Line]:
    """Which change is undone here: a step may have been applied more than once."""
    between: list[Line] = [] if place.startswith("1 ") else [(("─" * width, "dim"),)]
    when = began.get(plan.transaction, "")
    about = f"{plan.transaction}, of {when} UTC" if when else plan.transaction
    return [
        *between,
        *labelled(place, plan.name, width, role="bold"),
        *paragraph(about, width, "dim"),
        BLANK,
    ]


def _undo_item(item: UndoItem, width: int) -> list[Line]:
    conflict = item.how == "conflict"
    how = HOW[item.how]
    if item.later:
        needs = "needs" if len(item.later) == 1 else "need"
        how = f"stays: {', '.join(item.later)} {needs} it and inherits the undo"
    chosen = " (you chose)" if item.chosen and item.how in ("restore", "merge") else ""
    lines = _titled(
        "!" if conflict else "·",
        f"{item.key}: {how}{chosen}",
        width,
        "bad" if conflict else "warn" if item.chosen else "bold",
    )
    if item.note:
        lines += paragraph(item.note, width, "dim", indent=2)
    if item.diff:
        lines += diff_lines(item.diff, width)
    if conflict or (item.chosen == "restore" and item.found_by):
        lines += _sides(item, width)
    return lines


def dispute_lines(item: UndoItem, width: int) -> list[Line]:
    """A conflict with its sides: what the step did, and what was changed since."""
    lines: list[Line] = [((piece, "bold"),) for piece in wrap(item.key, width)]
    if item.note:
        lines += paragraph(item.note, width, "dim")
    return [*lines, *_sides(item, width)]


def _sides(item: UndoItem, width: int) -> list[Line]:
    """What the step did, and what somebody else changed; of what is settled only the latter."""
    lines: list[Line] = []
    since = since_title(item).replace("->", "→")
    sides = [("what the step did (before → after)", item.did)] if item.how == "conflict" else []
    for title, diff in [*sides, (since, item.since)]:
        if not diff:  # nobody else changed it: what is kept of it is damaged
            continue
        heading = paragraph(f"{title[:1].upper()}{title[1:]}", width, "key")
        lines += [BLANK, *heading, *diff_lines(diff, width)]
    return lines
