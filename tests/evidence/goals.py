"""The goals, each with the figure before and after, and whether it was met. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tests.evidence.exposure import worse
from tests.evidence.measuring import Release, Side

INDEX = 85
CHECK_S = 1.5
PEAK_MB = 60.0
NOT_MEASURED = "not measured"


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the first table of a release."""

    what: str
    before: str
    after: str
    wanted: str
    met: bool

    @property
    def verdict(self) -> str:
        return "met" if self.met else "MISSED"


def goals(release: Release) -> list[Goal]:
    """What was not measured was not met."""
    before, after = release.before, release.after
    return [
        _lynis(before, after),
        _openscap(before, after),
        _ssh_audit(before, after),
        _exposure(before, after),
        _check(before, after),
        _memory(before, after),
    ]


def met(releases: Sequence[Release]) -> bool:
    return bool(releases) and all(goal.met for one in releases for goal in goals(one))


def _lynis(before: Side, after: Side) -> Goal:
    figures = [side.lynis.index if side.lynis else None for side in (before, after)]
    return Goal(
        what="Lynis, hardening index", before=_figure(figures[0]), after=_figure(figures[1]),
        wanted=f"at least {INDEX}", met=figures[1] is not None and figures[1] >= INDEX,
    )  # fmt: skip


def _openscap(before: Side, after: Side) -> Goal:
    first, last = (side.openscap.failures if side.openscap else None for side in (before, after))
    return Goal(
        what="OpenSCAP, ANSSI-BP-028 enhanced, rules that fail",
        before=_figure(first), after=_figure(last),
        wanted="at most half of those before",
        met=first is not None and last is not None and 2 * last <= first,
    )  # fmt: skip


def _ssh_audit(before: Side, after: Side) -> Goal:
    words = {True: "passes", False: "fails", None: NOT_MEASURED}
    first, last = (side.ssh_audit.passed if side.ssh_audit else None for side in (before, after))
    named = before.ssh_audit or after.ssh_audit
    policy = f", {named.policy}" if named else ""
    return Goal(
        what=f"ssh-audit{policy}", before=words[first], after=words[last], wanted="passes",
        met=bool(last),
    )  # fmt: skip


def _exposure(before: Side, after: Side) -> Goal:
    first, last = before.exposure, after.exposure
    more = worse(first, last) if first is not None and last is not None else None
    return Goal(
        what="systemd-analyze security, units",
        before=_figure(None if first is None else len(first)),
        after=NOT_MEASURED if more is None else f"{len(last or ())}, {len(more)} of them worse",
        wanted="none worse",
        met=more == [],
    )


def _check(before: Side, after: Side) -> Goal:
    figures = [side.speed.check_s if side.speed else None for side in (before, after)]
    steps = after.speed.steps if after.speed else 0
    return Goal(
        what=f"a check of all {steps} steps", before=_figure(figures[0], "s"),
        after=_figure(figures[1], "s"), wanted=f"at most {CHECK_S} s",
        met=all(figure is not None and figure <= CHECK_S for figure in figures),
    )  # fmt: skip


def _memory(before: Side, after: Side) -> Goal:
    figures = [side.speed.peak_mb if side.speed else None for side in (before, after)]
    return Goal(
        what="… and its memory", before=_figure(figures[0], "MB"), after=_figure(figures[1], "MB"),
        wanted=f"at most {PEAK_MB:.0f} MB",
        met=all(figure is not None and figure <= PEAK_MB for figure in figures),
    )  # fmt: skip


def _figure(value: float | None, unit: str = "") -> str:
    if value is None:
        return NOT_MEASURED
    return f"{value:.2f} {unit}" if unit == "s" else f"{value:.0f} {unit}".rstrip()
