"""Transactions as rows and in full."""

from __future__ import annotations

from collections.abc import Container, Sequence

from snapshots.decision import called
from snapshots.model import TransactionRecord
from tui.board import Board
from tui.history_words import LET_GO, NOTHING_TOLD, chosen_for, left_to_it
from tui.text import BLANK, Line, Role, Row, aligned, counted, cut, fit, labelled, paragraph
from tui.views.preview import diff_lines
from tui.wire import SinceAnswer, TouchedItem, TransactionAnswer

_WORDS: dict[str, tuple[str, str, Role]] = {
    "open": ("»", "at work", "info"),
    "pending": ("!", "waits for confirmation", "warn"),
    "committed": ("✓", "applied", "ok"),
    "rolled-back": ("–", "failed, rolled back", "warn"),
    "undone": ("»", "undone", "dim"),
    "needs-person": ("!", "needs a person", "bad"),
    "under-way": ("»", "open now", "info"),
}


_LEFT_OVER: dict[str, tuple[str, str, Role]] = {
    "open": ("!", "interrupted", "bad"),
    "pending": ("!", "never confirmed", "bad"),
}


_OF_UNDO: dict[str, tuple[str, str, Role]] = {
    "committed": ("✓", "done", "ok"),
    "rolled-back": ("–", "failed, not undone", "warn"),
}


def how(record: TransactionRecord, left: Container[str] = ()) -> tuple[str, str, Role]:
    """Sign, words and role of a transaction's status; `left` are the ids of what R recovers."""
    if record.id in left:
        return _LEFT_OVER[record.status]
    if record.kind == "rollback" and record.status in _OF_UNDO:
        return _OF_UNDO[record.status]
    if record.kind == "drift" and record.status == "committed":
        return ("✓", "settled", "ok")
    if record.kind == "window" and record.status == "committed":
        return ("✓", "closed", "ok")
    return _WORDS[record.status]


def why_not_undone(record: TransactionRecord, left: Container[str] = ()) -> str:
    """Of one that cannot be undone by itself, in a sentence."""
    if record.id in left:
        return f"It cannot be undone: it was {_LEFT_OVER[record.status][1]}. R recovers it."
    if record.kind == "rollback" and record.status == "committed":
        return "This is an undo itself: apply the step again instead."
    if record.kind == "window" and record.status in ("committed", "under-way"):
        return "This is an update window: W, or `harden-tui window undo`, undoes it."
    return {
        "open": "It cannot be undone: it is not at its end yet.",
        "pending": "It cannot be undone: it waits for your confirmation. c answers that.",
        "rolled-back": "It cannot be undone: it failed and was rolled back, nothing of it is left.",
        "needs-person": "It cannot be undone: it needs a person. The reason below says why.",
    }.get(record.status, "It cannot be undone: it is undone already.")


def when(time: str) -> str:
    """ "2026-11-21 01:36" from ISO 8601 UTC."""
    return time[:16].replace("T", " ")


def record_line(record: TransactionRecord, width: int, left: Container[str] = ()) -> Line:
    sign, word, role = how(record, left)
    names = called(record)
    began = f"{when(record.started)}  "
    return aligned(
        ((began, "dim"), (f"{sign} {fit(word, 23)}", role), (cut(names, width), "")),
        ((record.user, "dim"),) if record.user and width >= 70 else (),
        width,
    )


def record_rows(record: TransactionRecord, width: int, left: Container[str] = ()) -> list[Line]:
    """A transaction in a narrow pane."""
    sign, word, role = how(record, left)
    if record.kind == "rollback":
        word = f"undo {word}"
    lines: list[Line] = [
        ((f"{sign} {word}", role), (f"  {when(record.started)} UTC", "dim")),
        *labelled("  by", record.user or "–", width, column=8),
        *labelled("  id", record.id, width, column=8),
    ]
    if record.reason:
        lines += paragraph(record.reason, width, "warn", indent=2)
    return lines


def rows(
    records: Sequence[TransactionRecord], width: int, wanted: str = "", left: Container[str] = ()
) -> list[Row]:
    """Newest first."""
    words = wanted.lower().split()
    return [
        Row(record.id, record_line(record, width - 2, left))
        for record in reversed(records)
        if all(
            word
            in f"{' '.join(record.steps)} {record.id} {how(record, left)[1]} {record.user}".lower()
            for word in words
        )
    ]


def header(board: Board, width: int) -> list[Line]:
    """How many there are, and why they may be more or otherwise by now."""
    if not board.records_known:
        return [(("Transactions", "bold"),)]
    count = counted(len(board.records), "transaction")
    lines: list[Line] = [((count, "bold"), ("  newest first, times in UTC", "dim"))]
    if board.records:
        lines += paragraph(board.about_records(), width, "warn") if board.records_problem else []
    return lines


def nothing(board: Board, width: int) -> list[Line]:
    """In place of a transaction where none is chosen."""
    if board.records_problem:
        return paragraph(board.about_records(), width, "warn")
    if not board.records_known:
        return [(("Reading the history…", "dim"),)]
    return [
        (("No transaction is chosen." if board.records else "Nothing was changed yet.", "dim"),)
    ]


def detail(
    record: TransactionRecord,
    shown: TransactionAnswer | str | None,
    width: int,
    left: Container[str] = (),
) -> list[Line]:
    """A transaction in full: record first, then what it touched, domain by domain.

    `shown` is the answer of `history show`, or why there is none.
    """
    sign, word, role = how(record, left)
    about = "Steps" if record.is_of_steps or not record.steps else "Concerns"
    lines: list[Line] = [
        ((record.title or ", ".join(record.steps) or record.id, "bold"),),
        ((f"{sign} {word}", role), (f" · {record.id}", "dim")),
        *labelled(about, ", ".join(record.steps) or "–", width, column=11),
        *labelled("Began", f"{when(record.started)} UTC", width, column=11),
        *labelled("By", record.user or "–", width, column=11),
    ]
    if record.undone_by:
        lines += labelled("Undone by", record.undone_by, width, column=11)
    if record.undoes:
        lines += labelled("Undoes", record.undoes, width, column=11)
    for chosen in chosen_for(record.resolved):
        lines += labelled("Chosen", chosen, width, column=11)
    if record.reason:
        lines += labelled("Reason", record.reason, width, role="warn", column=11)
    lines.append(BLANK)
    if shown is None:
        return [*lines, (("Reading what it touched…", "dim"),)]
    if isinstance(shown, str):
        return [*lines, *paragraph(shown, width, "warn")]
    if not shown.deltas:
        return [
            *lines,
            *paragraph(NOTHING_TOLD[shown.told], width, "dim"),
            *_since(shown.since, width),
        ]
    lines.append(((f"Touched {counted(len(shown.deltas), 'thing')}", "bold"),))
    lines += _items(shown.deltas, width)
    return [*lines, *_since(shown.since, width)]


def _since(since: SinceAnswer | None, width: int) -> list[Line]:
    lines: list[Line] = []
    if since is not None and since.deltas:
        lines += [BLANK, *paragraph(left_to_it(since.undone), width, "warn")]
        lines += _items(since.deltas, width)
    if since is not None and since.let_go:
        lines += [BLANK, *paragraph(LET_GO, width, "warn")]
        lines += _items(since.let_go, width)
    return lines


def _items(items: Sequence[TouchedItem], width: int) -> list[Line]:
    lines: list[Line] = []
    for item in items:
        lines += labelled(f"  {item.domain}", item.key, width, column=12)
        if item.diff:
            lines += [*diff_lines(item.diff, width), BLANK]
    return lines
