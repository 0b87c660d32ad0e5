"""Transactions as rows and in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snapshots.model import TransactionRecord
from tui.text import BLANK, Line, Role, Row, aligned, cut, fit, labelled, paragraph
from tui.views.preview import diff_lines

_WORDS: dict[str, tuple[str, str, Role]] = {
    "open": ("!", "interrupted", "bad"),
    "committed": ("✓", "applied", "ok"),
    "rolled-back": ("–", "failed, rolled back", "warn"),
    "undone": ("»", "undone", "dim"),
    "needs-person": ("!", "needs a person", "bad"),
}


def how(record: TransactionRecord) -> tuple[str, str, Role]:
    """Sign, words and role of a transaction's status."""
    if record.kind == "rollback" and record.status == "committed":
        return ("»", "rolled back", "info")
    return _WORDS[record.status]


def when(time: str) -> str:
    """ "2026-11-21 01:36" from ISO 8601 UTC."""
    return time[:16].replace("T", " ")


def record_line(record: TransactionRecord, width: int) -> Line:
    sign, word, role = how(record)
    names = ", ".join(record.steps) or record.title or record.id
    left = f"{when(record.started)}  "
    return aligned(
        ((left, "dim"), (f"{sign} {fit(word, 20)}", role), (cut(names, width), "")),
        ((record.user, "dim"),) if record.user and width >= 70 else (),
        width,
    )


def record_rows(record: TransactionRecord, width: int) -> list[Line]:
    """A transaction in a narrow pane."""
    sign, word, role = how(record)
    lines: list[Line] = [
        ((f"{sign} {word}", role), (f"  {when(record.started)} UTC", "dim")),
        *labelled("  by", record.user or "–", width, column=8),
        *labelled("  id", record.id, width, column=8),
    ]
    if record.reason:
        lines += paragraph(record.reason, width, "warn", indent=2)
    return lines


def rows(records: Sequence[TransactionRecord], width: int, wanted: str = "") -> list[Row]:
    """Newest first."""
    words = wanted.lower().split()
    return [
        Row(record.id, record_line(record, width - 2))
        for record in reversed(records)
        if all(
            word in f"{' '.join(record.steps)} {record.id} {how(record)[1]} {record.user}".lower()
            for word in words
        )
    ]


def detail(
    record: TransactionRecord, shown: Mapping[str, Any] | str | None, width: int
) -> list[Line]:
    """A transaction in full: record first, then what it touched, domain by domain.

    `shown` is the answer of `history show` (or why there is none); see `deltas_of`.
    """
    sign, word, role = how(record)
    lines: list[Line] = [
        ((record.title or ", ".join(record.steps) or record.id, "bold"),),
        ((f"{sign} {word}", role), (f" · {record.id}", "dim")),
        *labelled("Steps", ", ".join(record.steps) or "–", width, column=10),
        *labelled("Began", f"{when(record.started)} UTC", width, column=10),
        *labelled("By", record.user or "–", width, column=10),
    ]
    if record.undone_by:
        lines += labelled("Undone by", record.undone_by, width, column=10)
    if record.undoes:
        lines += labelled("Undoes", record.undoes, width, column=10)
    if record.reason:
        lines += labelled("Reason", record.reason, width, role="warn", column=10)
    lines.append(BLANK)
    if shown is None:
        return [*lines, (("Reading what it touched…", "dim"),)]
    if isinstance(shown, str):
        return [*lines, *paragraph(shown, width, "warn")]
    touched = deltas_of(shown)
    if not touched:
        return [*lines, (("It touched nothing.", "dim"),)]
    lines.append(((f"Touched {len(touched)} things", "bold"),))
    for domain, key, diff in touched:
        lines += labelled(f"  {domain}", key, width, column=12)
        if diff:
            lines += [*diff_lines(diff, width), BLANK]
    return lines


def deltas_of(shown: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(domain, key, diff) of everything a transaction touched, from `history show`."""
    found = []
    for item in shown.get("deltas") or shown.get("items") or ():
        delta = item.get("delta", item)
        found.append(
            (str(delta.get("domain", "")), str(delta.get("key", "")), str(item.get("diff") or ""))
        )
    return found
