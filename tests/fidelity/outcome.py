"""What one step left behind, as data, and the share of steps that left nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

HEADS = ("Release", "Step", "What remained different", "Result")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One step on one release.

    `left` are the differences after the rollback, one line each; `problem` says why there was
    nothing to compare ("" where there was). `changed` counts the differences after the apply.
    `only_looks`: it changes nothing by itself, so there is nothing to take back. `unmeasured` says
    why a step that does change something can do nothing on these hosts: nothing is known of it.
    """

    suite: str
    step: str
    changed: int = 0
    left: tuple[str, ...] = ()
    problem: str = ""
    only_looks: bool = False
    unmeasured: str = ""

    @property
    def result(self) -> str:
        if self.problem:
            return "NOT MEASURED"
        if self.only_looks:
            return "only looks"
        if self.unmeasured:
            return "not measured here"
        return "different" if self.left else "identical"

    @property
    def is_identical(self) -> bool:
        return self.result == "identical"


def summary(outcomes: Sequence[Outcome]) -> str:
    """The figure, in words."""
    counted = [one for one in outcomes if _counts(one)]
    identical = sum(one.is_identical for one in counted)
    # Rounded down: 100 % is all of them.
    share = 100 * identical // len(counted) if counted else 0
    return f"{identical} of {len(counted)} measured steps came back identical: {share} %"


def beside(outcomes: Sequence[Outcome]) -> list[str]:
    """What the figure says nothing of, a sentence for each step."""
    suites: dict[tuple[str, str], list[str]] = {}
    for one in outcomes:
        if one.result == "not measured here":
            suites.setdefault((one.step, one.unmeasured), []).append(one.suite)
    return [
        f"Not measured: {step} ({', '.join(where)}), because {reason}"
        for (step, reason), where in suites.items()
    ]


def is_complete(outcomes: Sequence[Outcome]) -> bool:
    """100 %."""
    counted = [one for one in outcomes if _counts(one)]
    return bool(counted) and all(one.is_identical for one in counted)


def _counts(one: Outcome) -> bool:
    return one.result not in ("only looks", "not measured here")


def cells(one: Outcome) -> tuple[str, str, str, str]:
    """A row of the table; the first difference stands for all of them."""
    what = one.problem or f"nothing (of {one.changed} things that changed)"
    if one.only_looks:
        what = "nothing: it was applied, and changed nothing"
    elif one.unmeasured:
        what = f"not known: {one.unmeasured}"
    elif not one.problem and not one.changed:
        what = "nothing: it acts, and leaves nothing to take back"
    if one.left:
        more = f" and {len(one.left) - 1} more" if len(one.left) > 1 else ""
        what = f"{one.left[0]}{more}"
    return (one.suite, one.step, what, one.result)


def as_text(outcomes: Sequence[Outcome]) -> str:
    """Aligned columns, every difference on a line of its own below its step."""
    rows = [HEADS, *(cells(one) for one in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = []
    for row, one in zip(rows, (None, *outcomes), strict=True):
        front = "  ".join(cell.ljust(width) for cell, width in zip(row[:2], widths, strict=True))
        lines.append(f"{front}  {row[3]:<17}  {row[2]}")
        lines += [f"{'':{sum(widths) + 23}}{line}" for line in (one.left[1:] if one else ())]
    return "\n".join(lines)


def page(
    facts: Mapping[str, str],
    outcomes: Sequence[Outcome],
    left_out: Mapping[str, Mapping[str, str]],
    besides: Mapping[str, str],
    irreversible: Mapping[str, Sequence[str]],
) -> str:
    """The page of the documentation.

    `left_out`: heading -> what is not compared -> why; `besides`: tree -> for which steps it is.
    """
    table = [HEADS, ("---",) * len(HEADS), *(cells(one) for one in outcomes)]
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    declared = [f"- `{step}`: {phrase}." for step, said in irreversible.items() for phrase in said]
    return "\n".join(
        [
            INTRODUCTION,
            *(f"- {name}: {value}" for name, value in facts.items()),
            "",
            f"**{summary(outcomes)}.**",
            "",
            *(f"{sentence}.\n" for sentence in beside(outcomes)),
            *rows,
            "",
            "## What by nature cannot come back",
            "",
            "Declared by the steps and shown in their previews:",
            "",
            *(declared or ["- nothing"]),
            "",
            LEFT_OUT,
            *(line for heading, reasons in left_out.items() for line in _named(heading, reasons)),
            "Read with its content as well, for the steps that change something there:",
            "",
            *(f"- {tree}: {steps}" for tree, steps in besides.items()),
            "",
        ]
    )


def _named(heading: str, reasons: Mapping[str, str]) -> list[str]:
    """One line for each reason."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    lines = [f"- {reason}: {', '.join(names)}" for reason, names in by_reason.items()]
    return [f"{heading}:", "", *(lines or ["- nothing"]), ""]


INTRODUCTION = """\
# Evidence: what is different after an undo

Written by `make fidelity`, never by hand. Each step of the catalogue is applied and rolled back,
alone, on a fresh Debian host with Apache, PHP, MariaDB, CUPS and an application, over SSH, as an
administrator would. Before and after, everything is read from outside the program: /etc and the
application with content, owner, mode, ACLs, attributes and flags; every name on the rest of the
disk with owner and mode; packages and automatic marks; dpkg's alternatives, diversions and
overrides; crontabs; units, running and enabled; ports; kernel settings; the packet filter;
MariaDB's accounts. A step that only looks is applied as well, and must change nothing; what these
hosts cannot show of a step is said below, beside the figure. The command fails under 100 %.
"""

LEFT_OUT = """\
## What is left out of the comparison, by name

Of what is read, as said at the top, this is left out and nothing else; any other difference fails
the measurement.
"""
