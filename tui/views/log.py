"""Sessions of the log and their entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui.text import BLANK, Line, Row, clean, counted, cut, fit, paragraph, wrap
from tui.views.history import when
from tui.wire import EntriesAnswer, LogEntry, LogSession, LogVerdict


def header(sessions: Sequence[LogSession], verdict: LogVerdict | None) -> list[Line]:
    """How many sessions there are, and whether the log is as it was written."""
    line: Line = (
        (counted(len(sessions), "session"), "bold"),
        ("  newest first, times in UTC  ", "dim"),
    )
    if verdict is None or not sessions:
        return [line]
    if verdict.ok:
        return [(*line, ("✓ the chain of hashes is whole", "ok"))]
    return [line, ((f"! The log was changed: {clean(verdict.problem)}.", "bad"),)]


def session_rows(sessions: Sequence[LogSession], wanted: str, width: int) -> list[Row]:
    """Newest first."""
    words = wanted.lower().split()
    rows = []
    for session in reversed(sessions):
        counts = ", ".join(f"{number} {kind}" for kind, number in session.counts.items())
        text = f"{session.id} {session.user} {session.host} {when(session.start)} {counts}".lower()
        if all(word in text for word in words):
            line: Line = (
                (f"{when(session.start)}  ", "dim"),
                (fit(clean(f"{session.user}@{session.host}"), 22) + "  ", ""),
                (cut(clean(counts), width - 44), ""),
            )
            rows.append(Row(session.id, line))
    return rows


def entry_lines(entries: Sequence[LogEntry], width: int) -> list[Line]:
    """Every entry with all that it says."""
    lines: list[Line] = []
    for entry in entries:
        fields = dict(entry.fields)
        about = fields.pop("step", None) or fields.pop("steps", None) or ""
        lines.append(
            (
                (f"{entry.time[11:19]}  ", "dim"),
                (clean(entry.kind), "bold"),
                (f"  {clean(_said(about))}", ""),
                (f"  {clean(entry.user)}", "dim"),
            )
        )
        said = "; ".join(
            f"{name}: {_said(value)}"
            for name, value in fields.items()
            if value not in ("", None, [], {})
        )
        if said:
            lines += [((" " * 10 + piece, ""),) for piece in wrap(said, width - 10)]
    return lines or [(("No entries.", "dim"),)]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_said(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={_said(item)}" for name, item in value.items())
    return str(value)


def detail(session: LogSession, shown: EntriesAnswer | str | None, width: int) -> list[Line]:
    """A session in full; `shown` is the answer of `log show`, or why there is none."""
    head: list[Line] = [
        ((session.id, "bold"), (f"  until {when(session.end)}", "dim")),
        BLANK,
    ]
    if shown is None:
        return [*head, (("Reading its entries…", "dim"),)]
    if isinstance(shown, str):
        return [*head, *paragraph(shown, width, "warn")]
    return [*head, *entry_lines(shown.entries, width)]
