"""What changed outside harden-tui, in words: for the command line and for the screen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from steps.drift_model import DriftReport, DriftRow
from tui import output
from tui.out import Out

SHOWN: Final = 10
"""Of what concerns no step a check names so many."""

_KIND_COLUMN: Final = 15

_KINDS: Final = {
    "new": "new",
    "gone": "gone",
    "edited": "edited",
    "attributes": "mode or owner",
    "replaced": "replaced",
    "value": "changed",
}


def kind(row: DriftRow) -> str:
    """What happened to it, in one or two words."""
    return _KINDS.get(row.kind, row.kind)


def moment(stamp: str) -> str:
    """ "2026-11-25 14:02:11 UTC" from ISO 8601 UTC."""
    return f"{stamp[:19].replace('T', ' ')} UTC" if stamp else ""


def whose(row: DriftRow) -> str:
    """When and by whom: "2026-11-25 14:02:11 UTC, owner root, upgrade of cups 2.4.2-3 -> 2.4.2-4".

    Of what is gone, when its directory last changed; nobody keeps more.
    """
    when = moment(row.when)
    parts = [f"by {when}" if row.kind == "gone" and when else when]
    parts += [f"owner {row.owner}"] if row.owner else []
    if row.explained:
        parts.append(row.explained)
    elif row.package:
        parts.append(f"a file of {row.package}")
    return ", ".join(part for part in parts if part)


def verdicts(row: DriftRow) -> list[str]:
    """How the steps it concerns stand, and who wins; a line each."""
    lines = []
    known = {one.step: one for one in row.verdicts}
    for step in row.concerned:
        one = known.get(step)
        if one is None:
            lines.append(f"{step} wrote it; it was not checked now")
            continue
        word = "still passes" if one.status == "pass" else f"is {one.status} now"
        lines.append(f"{step} {word}")
        lines += [f"  {who} decides" for who in one.decided_by]
    return lines


def title(report: DriftReport) -> str:
    """ "Changed outside harden-tui since 2026-11-25 14:02:11 UTC (3)"."""
    return f"Changed outside harden-tui since {moment(report.since)} ({len(report.things)})"


def only_of(report: DriftReport, steps: Iterable[str]) -> DriftReport:
    """The report with only what concerns these steps."""
    wanted = set(steps)
    rows = tuple(row for row in report.things if wanted & set(row.concerned))
    return msgspec.structs.replace(report, things=rows)


def section(out: Out, report: DriftReport) -> None:
    """What a check says of drift: nothing where there is none."""
    if report.problem:
        out.line()
        output.wrapped(out, f"What changed outside harden-tui: {report.problem}.", indent=0)
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
    out.line("See the diffs: harden-tui drift show. Settle: harden-tui drift accept|restore|merge.")


def row_line(out: Out, row: DriftRow) -> None:
    """One thing, and under it who wins."""
    about = whose(row)
    beside = len(row.key) + len(about) + _KIND_COLUMN + 4 <= out.width
    more = f"  {about}" if beside else ""
    out.parts(
        ("  ", ""), (f"{kind(row):<{_KIND_COLUMN}}", "warn"), (row.key, ""), (more, "dim")
    )  # fmt: skip
    pad = " " * (_KIND_COLUMN + 2)
    if about and not beside:
        out.line(f"{pad}{about}", "dim")
    for line in verdicts(row):
        out.line(f"{pad}{line}", "dim")
