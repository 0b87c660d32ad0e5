"""What changed outside harden-tui, and what settling it would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from steps.drift_model import DriftRow
from tui.drift_words import kind, verdicts, ways, whose
from tui.text import BLANK, Line, Role, cells, paragraph, wrap
from tui.theme import DRIFT_SIGN
from tui.views.preview import command_lines, diff_lines
from tui.wire import SettleAnswer

MEANINGS: Final = {
    "accept": "what stands now is expected from then on, also after an undo",
    "restore": "back to how it was after the last transaction",
    "merge": "the step's lines come back, your other edits stay",
}
"""What each way of settling does, in a few words."""

_HOW: Final = {"accept": "accept as it stands", "restore": "put back", "merge": "merge"}


def drift_lines(rows: Sequence[DriftRow], width: int, *, step: str = "") -> list[Line]:
    """The State tab's part: everything that drifted and concerns `step`."""
    lines: list[Line] = [(("Drifted: changed outside harden-tui", "bold"),)]
    for row in rows:
        lines += [*row_lines(row, width, step=step), BLANK]
    *others, last = ways(rows) or [""]
    how = f"{', '.join(others)} or {last}" if others else last
    return [*lines, *paragraph(f"d settles it: {how}.", width, "dim")]


def row_lines(row: DriftRow, width: int, *, step: str = "") -> list[Line]:
    """One thing: what happened to it, when, whose it is, who wins, and the diff."""
    lines = titled(f"{row.key}: {kind(row)}", width, "warn")
    for text in filter(None, (whose(row), *row.told)):
        lines += paragraph(text, width, "dim", indent=2)
    for text in verdicts(row, only=step):
        lines += [((f"  {piece}", ""),) for piece in wrap(text, width - 2, hanging=2)]
    if row.cannot:
        lines += paragraph(f"Cannot be put back here. {row.cannot}", width, "dim", indent=2)
    return [*lines, *diff_lines(_unnamed(row.diff), width)]


def _unnamed(diff: str) -> str:
    """A diff without the names of its files, which the title above it says."""
    head, hunk, rest = diff.partition("@@ ")
    kept = [text for text in head.splitlines() if not text.startswith(("--- ", "+++ "))]
    return "\n".join([*kept, hunk + rest]) if hunk else diff


def titled(text: str, width: int, role: Role) -> list[Line]:
    """A sign and a title, folded beside it."""
    room = width - cells(DRIFT_SIGN) - 1
    return [
        ((f"{DRIFT_SIGN} " if number == 0 else "  ", role), (piece, "bold"))
        for number, piece in enumerate(wrap(text, room))
    ]


def settle_lines(answer: SettleAnswer, width: int) -> list[Line]:
    """What one way of settling would do, refusals first."""
    lines = paragraph(f"{MEANINGS[answer.choice].capitalize()}.", width, "dim")
    lines.append(BLANK)
    for item in sorted(answer.items, key=lambda item: not item.refused):
        lines += titled(f"{item.key}: {_HOW[answer.choice]}", width, "warn")
        if item.refused:
            lines += paragraph(f"Refused: {item.refused}", width, "bad", indent=2)
        lines += [*diff_lines(_unnamed(item.diff), width), BLANK]
    if answer.commands:
        lines.append((("Then, to validate and activate", "bold"),))
        for command in answer.commands:
            lines += command_lines(command, width)
    return lines
