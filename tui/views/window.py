"""An update window on the screen: the banner, how it stands, what opening or closing would do."""

from __future__ import annotations

from collections.abc import Sequence

from steps.window_model import (
    Changed,
    ClosePlan,
    OpenPlan,
    Window,
    WindowReport,
    WindowUndoPlan,
)
from tui.text import BLANK, Line, Role, aligned, counted, cut, labelled, paragraph
from tui.views.preview import HOW, command_lines, diff_lines
from tui.waiting import clock
from tui.window_text import SHOWN, left, moment

_COLUMN = 12

_DOING = {
    "opening": "An update window is being opened",
    "closing": "The update window is being closed",
    "undoing": "The update window is being undone",
}


def banner(window: Window, left_s: float, width: int) -> list[Line]:
    """One line above everything while a window is there: until when, how long still."""
    if window.state != "open":
        return [aligned((("! ", "warn"), (_DOING[window.state], "warn")), _key(), width)]
    if left_s <= 0:
        why = "something still writes" if window.waiting is not None else "it closes soon"
        if window.failed:
            why = "it could not be closed"
        said = f"The update window is past its deadline: {why}"
        return [aligned((("! ", "bad"), (said, "bad")), _key(), width)]
    said = f"Update window open until {window.deadline[11:16]} UTC, seals lifted"
    if not window.seals:
        said = f"Update window open until {window.deadline[11:16]} UTC"
    role: Role = "warn" if left_s >= 60 else "bad"
    return [
        aligned((("! ", role), (said, role)), ((time_left(left_s), "bold"), *_key(" · ")), width)
    ]


def _key(lead: str = "") -> Line:
    return ((lead, "dim"), ("W", "key"), (" window", ""))


def time_left(left_s: float) -> str:
    """ "2 h 14 min left"; in the last minute "0:42 left"."""
    return f"{clock(int(left_s))} left" if left_s < 60 else f"{left(left_s)} left"


def none_open(report: WindowReport | None, width: int) -> list[Line]:
    """What a window is for, and how the last one ended."""
    lines: list[Line] = paragraph("No update window is open.", width, "bold")
    if report is not None:
        lines += [BLANK, (("The last window", "bold"),), *report_lines(report, width)]
    lines += [
        BLANK,
        *paragraph(
            "A window is for updating the system and the application. Opening it takes a restore "
            "point, and dumps of databases if you name them; lifts the seals of application trees; "
            "and keeps needrestart from restarting services on its own. Closing it seals again, "
            "new files included, checks everything, and shows what changed. At its deadline it "
            "closes by itself, unless something still writes. If an update fails, undo brings "
            "files, packages and dumped databases back to the start.", width,
        ),
    ]  # fmt: skip
    return lines


def standing(window: Window, left_s: float, width: int, *, interrupted: bool) -> list[Line]:
    """How the window stands, and what there is to do in it."""
    past = left_s <= 0
    until = f"{moment(window.deadline)}, {'passed' if past else time_left(left_s)}"
    rows: list[tuple[str, str, Role]] = [
        ("Opened", f"{moment(window.opened)} by {window.who or 'unknown'}", ""),
        ("Until", until, "bad" if past else ""),
        ("Note", window.note, ""),
        ("Lifted", ", ".join(window.steps) or "no seal stood", ""),
        ("Trees", ", ".join(window.trees), ""),
        ("Dumps", ", ".join(f"{d.database} ({d.bytes_ // 1024} KiB)" for d in window.dumps), ""),
        ("Not closed", window.failed, "bad"),
    ]
    lines: list[Line] = []
    if interrupted:
        lines += [*paragraph(
            f"{_DOING.get(window.state, 'This')}, and that was interrupted: R recovers it; it is "
            "also taken up by itself within minutes.", width, "bad",
        ), BLANK]  # fmt: skip
    elif window.state != "open":
        lines += [*paragraph(f"{_DOING[window.state]}: o shows the work.", width, "warn"), BLANK]
    for name, text, role in rows:
        if text:
            lines += labelled(name, text, width, role=role, column=_COLUMN)
    if window.waiting is not None:
        lines += [BLANK, *paragraph(
            "The deadline has passed. It is tried again every few minutes, and waits for:",
            width, "bad",
        )]  # fmt: skip
        for writer in window.waiting.writers[:SHOWN]:
            lines += paragraph(writer, width, indent=2)
    if window.state == "open":
        lines += [BLANK, *_what_to_do(width)]
    return lines


def _what_to_do(width: int) -> list[Line]:
    lines: list[Line] = [(("In this order", "bold"),)]
    for number, key, text in (
        ("1", "p", "Upgrade packages: what waits is shown first, then apt's own output."),
        ("2", "s", "Update the application in a shell of yours; exit comes back here."),
        ("3", "r", "Restart what still runs the old code."),
        ("4", "c", "Close the window: seal, check, and see what changed."),
        (" ", "u", "If the update failed: undo brings back how it was at the start."),
    ):
        rest = labelled("", text, width - 8)
        lines.append(((f"  {number} ", ""), (f"{key}  ", "key"), (rest[0][1][0], "")))
        lines += [((" " * 7, ""), (line[-1][0], "")) for line in rest[1:]]
    return lines


def open_lines(plan: OpenPlan, width: int) -> list[Line]:
    """What opening would do, refusals first."""
    lines: list[Line] = []
    for refusal in plan.refusals:
        lines += [*paragraph(f"Refused: {refusal}", width, "bad"), BLANK]
    lines += labelled("Until", moment(plan.deadline), width, column=_COLUMN)
    for seal in plan.seals:
        lines += labelled("Lifts", f"{seal.step}: {', '.join(seal.roots)}", width, column=_COLUMN)
    for database in plan.dumps:
        lines += labelled("Dumps", database, width, column=_COLUMN)
    for held in plan.holds:
        lines += labelled("Meanwhile", held, width, column=_COLUMN)
    for note in plan.notes:
        lines += [BLANK, *paragraph(note, width, "dim")]
    return lines


def close_lines(plan: ClosePlan, width: int) -> list[Line]:
    """What closing would do, and who is at work."""
    lines: list[Line] = []
    for refusal in plan.refusals:
        lines += [*paragraph(f"Refused: {refusal}", width, "bad"), BLANK]
    for writer in plan.writers[:SHOWN]:
        lines += paragraph(f"At work in a tree right now: {writer}", width, "warn")
    if plan.writers:
        lines.append(BLANK)
    steps = ", ".join(plan.window.steps)
    lines += labelled("Seals", steps or "nothing was sealed before", width, column=_COLUMN)
    lines += labelled("Then", "checks the whole checklist, and lists what changed: packages, "
                      "files, units, ports, versions", width, column=_COLUMN)  # fmt: skip
    return lines


def undo_lines(plan: WindowUndoPlan, width: int) -> list[Line]:
    """What undoing the window would put back."""
    lines: list[Line] = []
    for refusal in plan.refusals:
        lines += [*paragraph(f"Refused: {refusal}", width, "bad"), BLANK]
    for step in plan.steps:
        lines += paragraph(f"First {step} is undone, which was applied in it.", width, "warn")
    for item in plan.items:
        lines += [((cut(f"· {item.key}: {HOW.get(item.how, item.how)}", width), "bold"),)]
        if item.note:
            lines += paragraph(item.note, width, "dim", indent=2)
        if item.diff:
            lines += diff_lines(item.diff, width)
    for database in plan.databases:
        lines += paragraph(f"The database {database} is put back from its dump.", width)
    for command in plan.commands:
        lines += command_lines(command, width)
    if not (plan.items or plan.databases or plan.steps or plan.refusals):
        lines += paragraph("Nothing changed since it was opened; it is only sealed again.", width)
    return lines


def report_lines(report: WindowReport, width: int) -> list[Line]:
    """What changed during a window, and how the checks stood after it."""
    how = {"closed": "closed", "deadline": "closed by itself", "undone": "undone"}[report.how]
    span = f"{moment(report.opened)} to {moment(report.closed)}, {how}"
    lines = labelled("When", span, width, column=_COLUMN)
    for name, text in (("By", report.who), ("Note", report.note),
                       ("Sealed", ", ".join(report.sealed))):  # fmt: skip
        if text:
            lines += labelled(name, text, width, column=_COLUMN)
    if report.is_empty:
        lines += labelled("Changed", "nothing", width, column=_COLUMN)
    for name, changes in (("Packages", report.packages), ("Units", report.units),
                          ("Ports", report.ports), ("Versions", report.versions)):  # fmt: skip
        lines += _changes(name, changes, width)
    for one in report.files:
        counts = [
            f"{number:,} {word}"
            for number, word in ((one.new, "new"), (one.gone, "gone"), (one.edited, "edited"),
                                 (one.attributes, "with another owner or mode"))
            if number
        ]  # fmt: skip
        lines += labelled("Files", f"{one.top}: {', '.join(counts)}", width, column=_COLUMN)
        for path in one.examples:
            lines += paragraph(path, width, "dim", indent=_COLUMN + 2)
    counted_ = ", ".join(f"{number} {word}" for word, number in report.checked.items())
    if counted_:
        lines += labelled("Checked", counted_, width, column=_COLUMN)
    for step in report.worse:
        text = f"{step.step} was as wanted before, and is {step.status} now. {step.note}"
        lines += labelled("Worse", text.strip(), width, role="bad", column=_COLUMN)
    if not report.worse and report.checked:
        lines += labelled("Worse", "no step that was as wanted before", width, column=_COLUMN)
    diffs = f"harden-tui history show {report.transaction}"
    return [*lines, *labelled("All diffs", diffs, width, role="dim", column=_COLUMN)]


def _changes(name: str, changes: Sequence[Changed], width: int) -> list[Line]:
    lines: list[Line] = []
    for number, one in enumerate(changes[:SHOWN]):
        text = f"{one.name}: {one.before or 'not there'} → {one.after or 'gone'}"
        lines += labelled(name if number == 0 else "", text, width, column=_COLUMN)
    if len(changes) > SHOWN:
        more = counted(len(changes) - SHOWN, "more thing")
        lines += labelled("", f"and {more}", width, column=_COLUMN)
    return lines


KEYS_OPEN = (
    ("p", "packages"), ("s", "shell"), ("r", "restart"), ("+", "more time"), ("c", "close it"),
    ("u", "undo"), ("Esc", "leave it open"),
)  # fmt: skip
KEYS_NONE = (("o", "open one"), ("u", "undo the last"), ("Esc", "back"))
