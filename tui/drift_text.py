"""What changed outside harden-tui, as the command line prints it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from steps.drift_model import DriftReport, DriftRow
from tui import output
from tui.drift_words import kind, title, verdicts, ways, whose
from tui.out import Out

SHOWN: Final = 10
"""Of what concerns no step a check names so many."""

_KIND_COLUMN: Final = 15


def only_of(report: DriftReport, steps: Iterable[str]) -> DriftReport:
    """The report with only what concerns these steps."""
    wanted = set(steps)
    rows = tuple(row for row in report.things if wanted & set(row.concerned))
    return msgspec.structs.replace(report, things=rows)


def section(out: Out, report: DriftReport) -> None:
    """What a check says of drift: nothing where there is none."""
    if report.problem:
        out.line()
        why = report.problem.rstrip(".")
        output.wrapped(out, f"What changed outside harden-tui: {why}.", indent=0)
        return
    if not report.things:
        return
    out.line()
    out.line(title(report), "bold")
    ours = [row for row in report.things if row.concerned]
    others = [row for row in report.things if not row.concerned]
    for row in [*ours, *others[:SHOWN]]:
        row_line(out, row)
    if len(others) > SHOWN:
        out.line(f"  ... and {len(others) - SHOWN} more that no step touched", "dim")
    how = "|".join(ways(report.things))
    out.line(f"See the diffs: harden-tui drift show. Settle: harden-tui drift {how}.")


def row_line(out: Out, row: DriftRow) -> None:
    """One thing, and under it what else is known of its origin, and who wins."""
    about = whose(row)
    beside = len(row.key) + len(about) + _KIND_COLUMN + 4 <= out.width
    more = f"  {about}" if beside else ""
    out.parts(
        ("  ", ""), (f"{kind(row):<{_KIND_COLUMN}}", "warn"), (row.key, ""), (more, "dim")
    )  # fmt: skip
    pad = " " * (_KIND_COLUMN + 2)
    if about and not beside:
        out.line(f"{pad}{about}", "dim")
    for sentence in row.told:
        output.wrapped(out, sentence, indent=len(pad))
    for line in verdicts(row):
        out.line(f"{pad}{line}", "dim")
    if row.cannot:
        output.wrapped(out, f"Cannot be put back here. {row.cannot}", indent=len(pad))
