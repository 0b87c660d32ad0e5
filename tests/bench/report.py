"""The result as a table for the terminal and as a page for the documentation. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tests.bench.figures import Row

HEADS = ("What", "harden-tui", "The other", "Ratio", "Goal", "")

INTRODUCTION = """\
# Evidence: how fast and how small it is

Written by `make bench`, never by hand. Every ratio was measured in one run on one machine, both
sides in turn, and is the median of what each round says; the times are medians too. Machines
differ, ratios less so.
"""


def cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "met", False: "MISSED", None: ""}[row.met]
    return (row.what, row.ours, row.other, row.ratio, row.goal, verdict)


def as_text(rows: Sequence[Row]) -> str:
    """Aligned columns."""
    lines = [HEADS, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def page(sections: Mapping[str, str]) -> str:
    """The page, with a section for each Debian release."""
    parts = [f"## {suite}\n\n{section}\n" for suite, section in sorted(sections.items())]
    return "\n".join([INTRODUCTION, *parts, NOTES])


def section(facts: Mapping[str, str], rows: Sequence[Row]) -> str:
    """What one run found."""
    lines = [*(f"- {name}: {value}" for name, value in facts.items()), "", *_table(rows)]
    return "\n".join(lines)


def sections_of(text: str, suites: Iterable[str]) -> dict[str, str]:
    """The sections of a page that was written before."""
    found = {}
    for suite in suites:
        there = re.search(rf"^## {suite}\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
        if there:
            found[suite] = there[1].strip()
    return found


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [HEADS, ("---",) * len(HEADS), *(cells(row) for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


NOTES = """\
## How

- **Check**: `harden-tui check --checklist i-doit` on a fresh Debian host with
  Apache, PHP, MariaDB and CUPS, started as root inside; `lynis audit system --quick` and
  `oscap xccdf eval` (SCAP Security Guide's debian12 content, ANSSI BP-028 enhanced) on the same
  host.
- **First paint**: the installed program and a Textual application that shows one word, each in a
  pseudo-terminal of 80×24, from its start until a terminal emulator shows the first character.
- **Bytes**: all that is written to the terminal until it is quiet again.
- **Restore points**: a capture of /etc with every content proved again, when all of it is stored
  already; a hundred transactions that each change a file, with both restore points of each.
- **Sealing**: `harden-tui apply app.tree` and `rollback app.tree`, as typed: checking, the restore
  points, sealing or unsealing, proving, all of it. Against `find -exec chmod {} \\;` there and
  back, and against `chmod -R` and `chattr -R` there and back, which keep no way back and prove
  nothing. Each begins with nothing left to be written, on the file system named above, which real
  servers have, not on the test host's overlay.
- **Memory**: the largest resident set of any of its processes (of the worker and the screen: the
  process itself).
"""
