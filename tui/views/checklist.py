"""The checklist as rows, and the header's counts."""

from __future__ import annotations

from steps.model import Stage
from tui.board import STAGE_TITLES, Board
from tui.text import BLANK, Line, Row, aligned, cells, counted, cut, fit
from tui.theme import DRIFT_SIGN, DRIFT_WORD, STATUS_ROLES, STATUS_SIGNS, STATUS_WORDS

STATUS_COLUMN = 10


def heading(stage: Stage, board: Board, ids: list[str], width: int) -> Line:
    """A stage with how much of it is done."""
    counts = board.counts(ids)
    return aligned(
        ((STAGE_TITLES[stage], "bold"),), ((f"{counts.done}/{counts.total} done", "dim"),), width
    )


def step_line(board: Board, step_id: str, width: int) -> Line:
    """Sign, status in words, id; the title too where there is room."""
    status = board.status(step_id)
    role = STATUS_ROLES[status]
    word = STATUS_WORDS[status]
    left = f"{STATUS_SIGNS[status]} {fit(word, STATUS_COLUMN - 2)}"
    drift = _drift_mark(board, step_id, width - cells(left) - cells(step_id))
    room = width - cells(left) - cells(drift)
    name = cut(step_id, room)
    rest = room - cells(name) - 2
    line: Line = (
        (left, role),
        (name, "dim" if status == "not-applicable" else ""),
        (drift, "warn"),
    )
    title = board.title(step_id)
    if rest >= 24 and title:
        line = (*line, ("  " + cut(title, rest), "dim"))
    return line


def _drift_mark(board: Board, step_id: str, room: int) -> str:
    """The sign of a step whose things drifted, with the word where there is room."""
    if not board.drifted(step_id):
        return ""
    mark = f" {DRIFT_SIGN} {DRIFT_WORD}"
    return mark if cells(mark) <= room else f" {DRIFT_SIGN}"


def rows(board: Board, wanted: str, width: int) -> list[Row]:
    """Stages as headings, their steps below; only those that match `wanted`."""
    shown = board.matching(wanted)
    found: list[Row] = []
    for stage, ids in board.stages():
        matching = [step_id for step_id in ids if step_id in shown]
        if not matching:
            continue
        if found:
            found.append(Row("", BLANK))
        found.append(Row("", heading(stage, board, ids, width)))
        found.extend(Row(step_id, step_line(board, step_id, width - 2)) for step_id in matching)
    outside = _outside(board)
    if found and outside and not wanted:
        said = f"{DRIFT_SIGN} {outside}: d"
        found += [Row("", BLANK), Row("", ((cut(said, width), "warn"),))]
    if not found:
        found.append(Row("", ((_nothing(board, wanted), "dim"),)))
    return found


def _outside(board: Board) -> str:
    """What drifted and concerns no step of the list, or that it is not known; empty for nothing."""
    if board.drift.problem:
        return "drift is not known"
    elsewhere = board.drifted_elsewhere()
    return f"{counted(len(elsewhere), 'other change')} outside" if elsewhere else ""


def _nothing(board: Board, wanted: str) -> str:
    if wanted and board.order:
        return f"No step matches “{wanted}”."
    if board.problem:
        return "Nothing could be checked."
    return "Asking the host…" if board.checking else "No steps."
