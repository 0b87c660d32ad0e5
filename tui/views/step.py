"""One step: why, state, history."""

from __future__ import annotations

import re
from collections.abc import Sequence

from snapshots.model import TransactionRecord
from steps.drift_model import DriftRow
from steps.model import Finding, StepResult
from tui.board import Board
from tui.text import BLANK, Line, Role, labelled, paragraph, wrap
from tui.theme import (
    DRIFT_SIGN,
    DRIFT_WORD,
    STATUS_MEANINGS,
    STATUS_ROLES,
    STATUS_SIGNS,
    STATUS_WORDS,
)
from tui.views.drift import drift_lines
from tui.views.history import record_rows
from tui.wire import StepInfo

_LABEL = 10
_GIST_LINES = 3


def status_line(board: Board, step_id: str) -> Line:
    """ "✗ open · ssh.root-login"."""
    status = board.status(step_id)
    word = STATUS_WORDS[status] if status else "being checked"
    drift: Line = ((f" · {DRIFT_SIGN} {DRIFT_WORD}", "warn"),) if board.drifted(step_id) else ()
    return (
        (f"{STATUS_SIGNS[status]} {word}", STATUS_ROLES[status]),
        *drift,
        (f" · {step_id}", "dim"),
    )


def head(board: Board, step_id: str, width: int, *, narrow: bool) -> list[Line]:
    """Title and status, on top of every tab; the title alone where a list tells the status."""
    title: list[Line] = [
        ((piece, "bold"),) for piece in wrap(board.title(step_id) or step_id, width)
    ]
    return _exactly(2, title) if narrow else [*title, status_line(board, step_id)]


def why(board: Board, step_id: str, width: int) -> list[Line]:
    """What the step is for, what it breaks, what it needs, where it comes from."""
    info = board.infos.get(step_id)
    if info is None:
        return [(("Reading the catalogue…", "dim"),)]
    lines = paragraph(info.why, width)
    lines += [BLANK, *labelled("Breaks", info.breaks or "nothing known", width, column=_LABEL)]
    lines += _dangers(info, width)
    if info.after:
        lines += labelled("After", ", ".join(info.after), width, column=_LABEL)
    lines += _values(info, width)
    if info.source:
        lines += [BLANK, *labelled("Source", info.source, width, column=_LABEL)]
    for name, ids in info.references.items():
        lines += labelled(name, ", ".join(ids), width, column=_LABEL)
    return lines


def gist(board: Board, step_id: str, width: int) -> list[Line]:
    """The first sentences of `why`, for a pane beside the list on a small terminal.

    Whoever walks down the list over a slow line waits for half as many bytes.
    """
    info = board.infos.get(step_id)
    if info is None:
        return [(("Reading the catalogue…", "dim"),)]
    breaks = _first_sentence(info.breaks) or "nothing known"
    return [
        *_exactly(_GIST_LINES, paragraph(_first_sentence(info.why), width)),
        BLANK,
        *_exactly(_GIST_LINES, labelled("Breaks", breaks, width, column=_LABEL)),
        BLANK,
        (("Enter shows all of it.", "dim"),),
        BLANK,
        *_dangers(info, width),
    ]


def _dangers(info: StepInfo, width: int) -> list[Line]:
    lines: list[Line] = []
    if info.guard:
        what = {"login": "logins", "network": "network access"}[info.guard]
        lines += labelled(
            "Guarded",
            f"touches {what}; asks for a typed word, and is taken back unless confirmed",
            width,
            column=_LABEL,
        )
    for phrase in info.irreversible:
        lines += labelled("For good", phrase, width, role="warn", column=_LABEL)
    return lines


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", text, maxsplit=1)[0]


def _exactly(count: int, lines: list[Line]) -> list[Line]:
    """So many lines: what stands below stays in its place from step to step, and unpainted."""
    if len(lines) <= count:
        return lines + [BLANK] * (count - len(lines))
    *before, (text, role) = lines[count - 1]
    return [*lines[: count - 1], (*before, (f"{text} …", role))]


def _values(info: StepInfo, width: int) -> list[Line]:
    if not info.parameters:
        return []
    lines: list[Line] = [BLANK, (("Values", "bold"), (" (e edits)", "dim"))]
    for name, parameter in info.parameters.items():
        if name in info.missing:
            lines += labelled(f"  {name}", "needs a value", width, role="warn")
        elif parameter.kind == "secret":
            lines += labelled(f"  {name}", "asked for when applied, kept nowhere", width)
        else:
            lines += labelled(f"  {name}", shown_value(info.values.get(name)), width)
    return lines


def shown_value(value: object) -> str:
    """A parameter's value as a person writes it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)


def state(result: StepResult | None, width: int, drifted: Sequence[DriftRow] = ()) -> list[Line]:
    """Every finding in full: expected, running, after a reboot, and what decides.

    What drifted comes first, with its diffs.
    """
    if result is None:
        return [(("Being checked…", "dim"),)]
    lines: list[Line] = []
    meaning = STATUS_MEANINGS[result.status]
    lines += paragraph(f"{meaning[0].upper()}{meaning[1:]}.", width, "dim")
    if drifted:
        lines += [BLANK, *drift_lines(drifted, width, step=result.id)]
    if result.note:
        lines += [BLANK, *paragraph(result.note, width, "" if result.status == "pass" else "warn")]
    several = len({finding.resource for finding in result.findings}) > 1
    resource = ""
    for finding in result.findings:
        if several and finding.resource != resource:
            resource = finding.resource
            lines += [BLANK, ((resource, "bold"),)]
        lines += [BLANK, *finding_lines(finding, width)]
    if not result.findings and not result.note:
        lines += [BLANK, (("Nothing was measured.", "dim"),)]
    lines += [BLANK, ((f"Checked in {result.seconds * 1000:.0f} ms.", "dim"),)]
    return lines


_VERDICTS: dict[bool | None, tuple[str, str, Role]] = {
    True: ("✓", "as expected", "ok"),
    False: ("✗", "not as expected", "bad"),
    None: ("?", "not measured", "warn"),
}
_NOT_ABOUT_IT: tuple[str, str, Role] = ("–", "does not apply here", "dim")


def finding_lines(finding: Finding, width: int) -> list[Line]:
    """One setting: a sign with words, then its four answers, nothing cut off."""
    sign, word, role = _VERDICTS[finding.ok] if finding.applicable else _NOT_ABOUT_IT
    lines: list[Line] = [
        ((f"{sign} " if number == 0 else "  ", role), (piece, "bold"))
        for number, piece in enumerate(wrap(finding.setting, width - 2))
    ]
    lines += labelled("  is", word, width, role=role, column=16)
    for label, text in (
        ("expected", finding.expected or "–"),
        ("running", finding.running or "–"),
        ("after reboot", finding.persistent or "–"),
    ):
        lines += labelled(f"  {label}", text, width, column=16)
    if finding.origin:
        lines += labelled("  decided by", finding.origin, width, column=16)
    if finding.note:
        lines += labelled("  note", finding.note, width, column=16)
    return lines


def history(board: Board, step_id: str, width: int) -> list[Line]:
    """What was done for this step, newest first."""
    problem = paragraph(board.about_records(), width, "warn") if board.records_problem else []
    if not board.records_known:
        return problem or [(("Reading the history…", "dim"),)]
    records: Sequence[TransactionRecord] = board.records_of(step_id)
    if not records:
        return problem or [(("Nothing was ever changed for this step.", "dim"),)]
    lines: list[Line] = [*problem, BLANK] if problem else []
    for record in records:
        lines += [*record_rows(record, width, board.left_over()), BLANK]
    if board.undoable(step_id):
        lines += paragraph("u rolls it back; the diff is shown first.", width, "dim")
    return lines
