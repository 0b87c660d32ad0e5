"""What changed outside harden-tui, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from snapshots.drift_moment import spoken
from steps.drift_model import DriftReport, DriftRow

_KINDS: Final = {
    "new": "new",
    "gone": "gone",
    "edited": "edited",
    "attributes": "mode or owner",
    "replaced": "replaced",
    "value": "changed",
}

_WAYS: Final = ("accept", "restore", "merge")

_VERDICTS: Final = {"pass": "still passes", "fail": "does not pass now"}


def kind(row: DriftRow) -> str:
    """What happened to it, in one or two words."""
    return _KINDS.get(row.kind, row.kind)


def whose(row: DriftRow) -> str:
    """When and by whom: "2026-11-25 14:02:11 UTC, owner root, at the upgrade of cups 2.4 -> 2.5".

    Of what is gone, when its directory last changed; of a unit, since when it is in its state.
    Nobody keeps more.
    """
    when = spoken(row.when)
    if when and row.kind == "gone" and row.domain == "files":
        when = f"by {when}"
    elif when and row.domain == "units":
        when = f"since {when}"
    parts = [when]
    parts += [f"owner {row.owner}"] if row.owner else []
    if row.explained:
        parts.append(f"at the {row.explained}")
    elif row.package:
        parts.append(f"a file of {row.package}")
    return ", ".join(part for part in parts if part)


def verdicts(row: DriftRow, *, only: str = "") -> list[str]:
    """How the steps it concerns (or one of them) stand, and who wins; a line each."""
    lines = []
    known = {one.step: one for one in row.verdicts}
    for step in row.concerned:
        if only not in ("", step):
            continue
        one = known.get(step)
        if one is None:
            lines.append(f"{step} wrote it; it was not checked now")
            continue
        word = _VERDICTS.get(one.status, f"is {one.status} now")
        if one.elsewhere:
            word = "asks for it" if one.decided_by else "wrote it; what does not pass is elsewhere"
        lines.append(f"{step} {word}")
        lines += [f"  {who} decides" for who in one.decided_by]
    return lines


def ways(rows: Iterable[DriftRow]) -> list[str]:
    """How these can be settled: each way that one of them allows."""
    possible = {choice for row in rows for choice in row.choices}
    return [choice for choice in _WAYS if choice in possible]


def title(report: DriftReport) -> str:
    """ "Changed outside harden-tui since 2026-11-25 14:02:11 UTC (3)"."""
    return f"Changed outside harden-tui since {spoken(report.since)} ({len(report.things)})"
