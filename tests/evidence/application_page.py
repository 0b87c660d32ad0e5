"""What became of the applications, as a page for the documentation, a section for each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.evidence.application import Run
from tests.evidence.page import exposure, goal_table, problems, programs, table, what_happened
from tests.hosts.client import Phase

INTRODUCTION = """\
# Evidence: the applications, and whether their sites answer

Written by `make evidence-applications`, never by hand. A fresh Debian host gets an installation
shaped like i-doit's or TYPO3's (its directories, configuration and databases, with that many files;
the code is a stand-in that reads its real configuration and asks its real database), served by
Apache and PHP from MariaDB. Every step of its checklist is applied with default values, over SSH,
as an administrator would, who confirms what is guarded by a new login; then an update window is
opened, files are changed and added, and it is closed. All the while a visitor outside asks for the
first page every 100 ms, whether the request before was answered or not. Lost is what was not the
page with status 200 within 20 s; a redirection to https is followed. Where a package's own script
restarts Apache, a test host of trixie, which is a container, waits for its time limit of 10 s,
because systemd there does not see that Apache has ended. The same judges as in
[evidence.md](evidence.md) are asked before and after, each time after a restart.
"""


def page(sections: Mapping[str, str]) -> str:
    """The whole page; each section as `section` made it."""
    parts = [f"## {name}\n\n{text}\n" for name, text in sorted(sections.items())]
    return "\n".join([INTRODUCTION, *parts])


def name_of(run: Run) -> str:
    return f"{run.checklist} on {run.release.suite}"


def section(facts: Mapping[str, str], run: Run) -> str:
    """What one run found."""
    facts = {**facts, **programs(run.release), "Files of the application": f"{run.files:,}"}
    steps = run.release.steps
    good = sum(one.is_good for one in steps)
    lines = [
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
        *goal_table(run.release),
        *problems(run.release),
        "",
        "### Requests",
        "",
        f"{in_words(run.phases)} {good} of {len(steps)} steps are as they should be after the"
        " restart, or are not about this host; of the others it is said why.",
        "",
        *table(("While", "Before", "After", "Asked", "Lost", "Longest", "Why"), _rows(run)),
        "",
        *exposure(run.release),
    ]
    return "\n".join(lines).rstrip()


def in_words(phases: Sequence[Phase]) -> str:
    """How many requests were lost, and for how long at most."""
    asked, lost = (sum(n) for n in zip(*((p.asked, len(p.lost)) for p in phases), strict=True))
    longest = max((phase.longest_s for phase in phases), default=0.0)
    return (
        f"{lost} of {asked} requests were lost; the longest time without an answer was"
        f" {longest:.1f} s."
    )


def _rows(run: Run) -> list[tuple[str, ...]]:
    steps = {one.step: one for one in run.release.steps}
    rows: list[tuple[str, ...]] = []
    for phase in run.phases:
        step = steps.get(phase.name)
        reasons = [f"{phase.lost.count(why)} × {why}" for why in dict.fromkeys(phase.lost)]
        if step:
            reasons.append(what_happened(step))
        rows.append(
            (
                f"`{phase.name}`" if step else phase.name,
                step.before if step else "",
                step.after if step else "",
                str(phase.asked),
                str(len(phase.lost)),
                f"{phase.longest_s:.1f} s" if phase.lost else "",
                "; ".join(reason for reason in reasons if reason),
            )
        )
    return rows
