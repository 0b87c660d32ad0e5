"""Update windows as the command line prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from steps.window_model import (
    Changed,
    ClosePlan,
    OpenPlan,
    Window,
    WindowReport,
    WindowStatus,
    WindowUndoPlan,
)
from tui import output
from tui.out import Out

SHOWN: Final = 40
"""Of each kind of thing that changed; the transaction has all of them."""

_STATES: Final = {
    "opening": "is being opened",
    "open": "is open",
    "closing": "is being closed",
    "undoing": "is being undone",
}


def moment(stamp: str) -> str:
    """ "2026-11-26 14:03 UTC" """
    return f"{datetime.fromisoformat(stamp).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def left(seconds: float) -> str:
    """ "3 h 20 min", "4 min", "less than a minute"; of what is over "0 min"."""
    minutes = int(max(0.0, seconds)) // 60
    if 0 < seconds < 60:
        return "less than a minute"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def status_text(out: Out, status: WindowStatus) -> None:
    """How it stands, and what to do next."""
    window = status.window
    if window is None:
        out.line("No update window is open.")
        if status.last is not None:
            how = {"closed": "was closed", "deadline": "closed by itself", "undone": "was undone"}
            out.line(f"The last one {how[status.last.how]} at {moment(status.last.closed)}.")
            report_text(out, msgspec.to_builtins(status.last))
        return
    if status.interrupted:
        out.line(f"An update window {_STATES[window.state]}, and that was interrupted.", "bad")
        out.line("Run `harden-tui recover`; it is also taken up by itself within minutes.")
    else:
        out.line(f"An update window {_STATES[window.state]}.", "bold")
    window_text(out, window, status.left_s)


def window_text(out: Out, window: Window, left_s: float) -> None:
    rows = [
        ("opened", f"{moment(window.opened)} by {window.who or 'unknown'}"),
        ("until", f"{moment(window.deadline)} ({left(left_s)} left)"),
        ("lifted", ", ".join(window.steps) or "nothing"),
        ("trees", ", ".join(window.trees)),
        ("dumps", ", ".join(f"{d.database} ({d.bytes_ // 1024} KiB)" for d in window.dumps)),
        ("note", window.note),
        ("not closed", window.failed),
    ]
    for name, value in rows:
        if value:
            output.wrapped(out, f"{name:<11}{value}", indent=2)
    if window.waiting is not None:
        out.line("  The deadline has passed; it waits for:", "warn")
        for writer in window.waiting.writers[:SHOWN]:
            output.wrapped(out, writer, indent=4)
    out.line("  Close it: harden-tui window close")


def open_text(out: Out, planned: OpenPlan) -> None:
    """What opening would do."""
    out.line(f"Open an update window until {moment(planned.deadline)}", "bold")
    for seal in planned.seals:
        out.line(f"  lift {seal.step}: {', '.join(seal.roots)}")
    for database in planned.dumps:
        out.line(f"  dump the database {database}")
    for held in planned.holds:
        output.wrapped(out, f"meanwhile {held}", indent=2)
    for note in planned.notes:
        output.wrapped(out, note, indent=2, role="dim")
    for refusal in planned.refusals:
        output.wrapped(out, f"Refused: {refusal}", indent=2, role="bad")


def close_text(out: Out, planned: ClosePlan) -> None:
    """What closing would do."""
    steps = ", ".join(planned.window.steps) or "nothing"
    out.line(f"Close the update window of {moment(planned.window.opened)}", "bold")
    out.line(f"  seal again: {steps}; then check everything")
    for writer in planned.writers[:SHOWN]:
        output.wrapped(out, f"At work right now: {writer}", indent=2, role="warn")
    for refusal in planned.refusals:
        output.wrapped(out, f"Refused: {refusal}", indent=2, role="bad")


def undo_text(out: Out, planned: WindowUndoPlan) -> None:
    """What undoing would do."""
    out.line(f"Undo the update window of {moment(planned.opened)}", "bold")
    for step in planned.steps:
        out.line(f"  undo {step}, which was applied in it")
    for item in planned.items:
        out.line(f"  {item.key}: {output.HOW[item.how]}", "")
        if item.note:
            output.wrapped(out, item.note, indent=4, role="dim")
        output.diff(out, item.diff)
    for database in planned.databases:
        out.line(f"  put the database {database} back from its dump")
    for command in planned.commands:
        out.line(f"    $ {command}", "info")
    if not planned.items and not planned.databases:
        out.line("  nothing changed since it was opened")
    for refusal in planned.refusals:
        output.wrapped(out, f"Refused: {refusal}", indent=2, role="bad")


def report_text(out: Out, document: Mapping[str, Any]) -> None:
    """What changed during a window, from its report as JSON has it."""
    report = msgspec.convert(document, WindowReport)
    out.line(f"Window of {moment(report.opened)} to {moment(report.closed)}", "bold")
    for title, changes in (
        ("packages", report.packages),
        ("units", report.units),
        ("ports", report.ports),
        ("versions", report.versions),
    ):
        _changes(out, title, changes)
    for one in report.files:
        counts = [
            f"{number} {word}"
            for number, word in (
                (one.new, "new"),
                (one.gone, "gone"),
                (one.edited, "edited"),
                (one.attributes, "with another owner or mode"),
            )
            if number
        ]
        out.line(f"  files below {one.top}: {', '.join(counts)}")
        for path in one.examples:
            out.line(f"    {path}", "dim")
    if report.is_empty:
        out.line("  nothing changed")
    counted = ", ".join(f"{number} {word}" for word, number in report.checked.items())
    if counted:
        out.line(f"  checked: {counted}")
    for step in report.worse:
        output.wrapped(out, f"{step.step} is {step.status} now: {step.note}", indent=2, role="bad")
    out.line(f"  all diffs: harden-tui history show {report.transaction}", "dim")


def _changes(out: Out, title: str, changes: Sequence[Changed]) -> None:
    if not changes:
        return
    out.line(f"  {title}:")
    for one in changes[:SHOWN]:
        out.line(f"    {one.name}  {one.before or 'none'} -> {one.after or 'none'}")
    if len(changes) > SHOWN:
        out.line(f"    and {len(changes) - SHOWN} more")
