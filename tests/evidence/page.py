"""The result as a page for the documentation, a section for each release. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.evidence import openscap
from tests.evidence.applying import Applied
from tests.evidence.finding import Deviation, Finding, reason
from tests.evidence.goals import goals
from tests.evidence.measuring import Release
from tests.evidence.notes import FOREIGN_CONTENT, INTRODUCTION, NOTES

OPEN = "**open**"


def page(sections: Mapping[str, str]) -> str:
    """The whole page; each section as `section` made it."""
    parts = [f"## {suite}\n\n{text}\n" for suite, text in sorted(sections.items())]
    return "\n".join([INTRODUCTION, *parts, NOTES])


def section(facts: Mapping[str, str], release: Release, known: Sequence[Deviation]) -> str:
    """What one run found on one release."""
    lines = [
        *(f"- {name}: {value}" for name, value in {**facts, **programs(release)}.items()),
        "",
        *goal_table(release),
        *problems(release),
        "",
        *_steps(release.steps),
        "",
        *_findings(release, known),
        "",
        *_points(release, known),
        *exposure(release),
    ]
    return "\n".join(lines).rstrip()


def as_text(release: Release) -> str:
    """For the terminal: the goals, aligned."""
    rows = [("", "before", "after", "goal", ""), *_goal_rows(release)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def programs(release: Release) -> dict[str, str]:
    side = release.after
    named = [
        f"Lynis {side.lynis.version}, {side.lynis.tests} tests" if side.lynis else "",
        side.openscap.content if side.openscap else "",
        side.ssh_audit.program if side.ssh_audit else "",
    ]
    foreign = release.suite != openscap.JUDGES
    return {
        "Judges": "; ".join(name for name in named if name),
        **({"Content of OpenSCAP": FOREIGN_CONTENT} if foreign else {}),
    }


def _goal_rows(release: Release) -> list[tuple[str, ...]]:
    return [
        (goal.what, goal.before, goal.after, goal.wanted, goal.verdict) for goal in goals(release)
    ]


def goal_table(release: Release) -> list[str]:
    return table(("What", "Before", "After", "Goal", ""), _goal_rows(release))


def problems(release: Release) -> list[str]:
    sides = (("before", release.before), ("after", release.after))
    lines = [
        f"- {judge} was not measured {name}: {_cell(words)}"
        for name, side in sides
        for judge, words in side.problems.items()
    ]
    return ["", *lines] if lines else []


def _steps(steps: Sequence[Applied]) -> list[str]:
    rows = [(f"`{one.step}`", one.before, one.after, what_happened(one)) for one in steps]
    good = sum(one.is_good for one in steps)
    return [
        "### The steps",
        "",
        f"{good} of {len(steps)} are as they should be after the restart, or are not about this"
        " host; of the others it is said why.",
        "",
        *table(("Step", "Before", "After", "Why"), rows),
    ]


def what_happened(one: Applied) -> str:
    if one.is_good:
        return one.note
    return "; ".join(part for part in (one.summary if one.exit_status else "", one.note) if part)


def _findings(release: Release, known: Sequence[Deviation]) -> list[str]:
    left = release.after.findings
    told = [(one, reason(one, release.suite, known)) for one in left]
    still_open = [one for one, why in told if not why]
    gone = [one for one in release.before.findings if one not in left]
    rows = [(one.judge, f"`{one.id}`", one.text, why or OPEN) for one, why in told]
    return [
        "### What the judges still find",
        "",
        f"{len(release.before.findings)} findings before, {len(gone)} of them gone, {len(left)}"
        f" now: {len(left) - len(still_open)} with a reason, {len(still_open)} open.",
        "",
        *table(("Judge", "Id", "What", "Why it stays"), rows),
    ]


def _points(release: Release, known: Sequence[Deviation]) -> list[str]:
    """The hardening index is made of points, which are not the suggestions."""
    lynis = release.after.lynis
    if not lynis:
        return []
    first = release.before.lynis.lost if release.before.lynis else {}
    by_loss = sorted(lynis.lost.items(), key=lambda pair: (pair[1][0] - pair[1][1], pair[0]))
    said = {finding.id for finding in lynis.findings}
    rows = [
        (
            f"`{test}`",
            _of(first.get(test)),
            _of(pair),
            str(pair[1] - pair[0]),
            "see above" if test in said else reason(silent(test), release.suite, known) or OPEN,
        )
        for test, pair in by_loss
    ]
    return [
        "### Points of Lynis's index that are not given",
        "",
        *table(("Test", "Before", "After", "Missing", "Why"), rows),
        "",
    ]


def _of(pair: tuple[int, int] | None) -> str:
    return f"{pair[0]} of {pair[1]}" if pair else ""


def exposure(release: Release) -> list[str]:
    first, last = release.before.exposure or {}, release.after.exposure or {}
    units = sorted(first.keys() | last.keys())
    changed = [unit for unit in units if first.get(unit) != last.get(unit)]
    rows = [(f"`{unit}`", _exposed(first.get(unit)), _exposed(last.get(unit))) for unit in changed]
    return [
        "### Exposure of units",
        "",
        f"{len(units) - len(changed)} units are as exposed as they were; the others (0 is best,"
        " 10 is worst):",
        "",
        *table(("Unit", "Before", "After"), rows),
    ]


def _exposed(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [heads, ("---",) * len(heads), *(tuple(map(_cell, row)) for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def open_findings(release: Release, known: Sequence[Deviation]) -> list[Finding]:
    return [one for one in all_findings(release) if not reason(one, release.suite, known)]


def all_findings(release: Release) -> list[Finding]:
    """What the judges say at the end, and the tests of Lynis that keep points back in silence."""
    found = list(release.after.findings)
    said = {one.id for one in found}
    lost = release.after.lynis.lost if release.after.lynis else {}
    return [*found, *(silent(test) for test in sorted(lost) if test not in said)]


def silent(test: str) -> Finding:
    """A test of Lynis that keeps points back and says nothing of it in its report."""
    return Finding("lynis", test)
