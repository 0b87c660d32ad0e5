"""Sessions of the log and their entries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tui.text import BLANK, Line, Row, clean, cut, fit, paragraph, wrap
from tui.views.history import when

_FRAME: Final = frozenset({"time", "kind", "seq", "number", "hash", "previous", "prev", "session"})
"""Fields of an entry that are shown elsewhere or say nothing to a person."""


def session_id(session: Mapping[str, Any]) -> str:
    return str(session.get("session") or session.get("id") or "")


def session_rows(sessions: Sequence[Mapping[str, Any]], wanted: str, width: int) -> list[Row]:
    """Newest first."""
    words = wanted.lower().split()
    rows = []
    for session in reversed(sessions):
        text = json.dumps(session, ensure_ascii=False, default=str).lower()
        if all(word in text for word in words):
            rows.append(Row(session_id(session), _session_line(session, width - 2)))
    return rows


def _session_line(session: Mapping[str, Any], width: int) -> Line:
    began = when(str(session.get("started") or session.get("first") or session.get("time") or ""))
    count = session.get("entries", session.get("count", ""))
    user = clean(str(session.get("user", "")))
    what = clean(str(session.get("command") or session.get("title") or session_id(session)))
    return (
        (f"{began}  ", "dim"),
        (fit(f"{count} entries" if count != "" else "", 13), ""),
        (fit(user, 12) + " ", ""),
        (cut(what, width - 44), "dim"),
    )


def entry_lines(entries: Sequence[Mapping[str, Any]], width: int) -> list[Line]:
    """Every entry with all that it says."""
    lines: list[Line] = []
    for entry in entries:
        time = str(entry.get("time", ""))[11:19]
        kind = clean(str(entry.get("kind", "")))
        said = "; ".join(
            f"{name}: {_said(value)}"
            for name, value in entry.items()
            if name not in _FRAME and value not in ("", None, [], {})
        )
        pieces = wrap(said, width - 10) if said else []
        lines.append(((f"{time}  ", "dim"), (kind, "bold")))
        lines += [((" " * 10 + piece, ""),) for piece in pieces]
    return lines or [(("No entries.", "dim"),)]


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_said(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={_said(item)}" for name, item in value.items())
    return str(value)


def detail(session: Mapping[str, Any], shown: Any, width: int) -> list[Line]:
    """A session in full; `shown` is the answer of `log show`, or why there is none."""
    head: list[Line] = [((session_id(session), "bold"),), BLANK]
    if shown is None:
        return [*head, (("Reading its entries…", "dim"),)]
    if isinstance(shown, str):
        return [*head, *paragraph(shown, width, "warn")]
    return [*head, *entry_lines(shown.get("entries") or (), width)]
