"""What a check found that nobody was told yet. Pure, but for the file that remembers it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from host.names import visible
from snapshots.durable import write_durably
from snapshots.model import SnapshotError
from snapshots.state import StateDir
from steps.drift_model import DriftReport, DriftRow
from steps.model import Finding, StepResult

FILE = "told.json"
GOOD = ("pass", "attested", "waived", "not-applicable")


class Told(msgspec.Struct, frozen=True):
    """What was said last: step id -> status, and what had drifted ("files /etc/motd edited")."""

    statuses: dict[str, str] = {}
    drifted: tuple[str, ...] = ()


class News(msgspec.Struct, frozen=True):
    """What is different from what was told; empty where nothing is."""

    worse: tuple[StepResult, ...] = ()
    better: tuple[StepResult, ...] = ()
    drifted: tuple[DriftRow, ...] = ()
    settled: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.worse or self.better or self.drifted or self.settled)

    @property
    def headline(self) -> str:
        """A few words for a subject: "2 steps worse, 1 drifted"."""
        parts = [
            f"{count} {what}"
            for count, what in (
                (len(self.worse), "worse"),
                (len(self.drifted), "drifted"),
                (len(self.better), "good again"),
                (len(self.settled), "settled"),
            )
            if count
        ]
        return ", ".join(parts) or "nothing new"


def news(told: Told, results: Sequence[StepResult], drift: DriftReport) -> News:
    """What of a check is not as it was told. What was never told counts as good until now."""
    worse, better = [], []
    for result in results:
        was = told.statuses.get(result.id, "pass")
        if result.status not in GOOD and result.status != was:
            worse.append(result)
        elif result.status in GOOD and was not in GOOD:
            better.append(result)
    now = {_name(row): row for row in drift.things}
    return News(
        worse=tuple(worse),
        better=tuple(better),
        drifted=tuple(row for name, row in now.items() if name not in told.drifted),
        settled=tuple(name for name in told.drifted if name not in now and not drift.problem),
    )


def remembered(told: Told, results: Sequence[StepResult], drift: DriftReport) -> Told:
    """What is told now; steps that were not asked stay as they were told."""
    return Told(
        statuses=told.statuses | {result.id: result.status for result in results},
        drifted=told.drifted if drift.problem else tuple(map(_name, drift.things)),
    )


def read(state: StateDir) -> Told:
    """What was told last; nothing where nothing was. Raises `SnapshotError` for a broken file."""
    path = state.path / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Told)
    except FileNotFoundError:
        return Told()
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{path} cannot be read ({error}), so nobody knows what was mailed already; nothing"
            " was mailed. Remove it, and everything that is open is mailed once more."
        ) from None


def write(state: StateDir, told: Told) -> None:
    """Durable on return. Raises `SnapshotError`."""
    try:
        write_durably(state.path / FILE, msgspec.json.encode(told))
    except OSError as error:
        raise SnapshotError(
            f"What was mailed could not be noted in {state.path / FILE}: {error.strerror}."
        ) from None


def as_text(found: News, host: str, checklist: str) -> str:
    """The body of a mail, a paragraph for each kind of news."""
    blocks = []
    if found.worse:
        blocks.append("\n".join(["Not as it should be:", *map(_step, found.worse)]))
    if found.drifted:
        blocks.append("\n".join(["Changed outside harden-tui:", *map(_row, found.drifted)]))
    if found.better:
        blocks.append("\n".join(["Good again:", *(f"  {r.id}  {r.title}" for r in found.better)]))
    if found.settled:
        blocks.append("\n".join(["As it was left again:", *(f"  {n}" for n in found.settled)]))
    if not found:
        blocks.append("Nothing has changed since the last mail.")
    blocks.append(
        f"Checklist {checklist} on {host}. To look at it:\n"
        f"  sudo harden-tui check --checklist {checklist}\n"
        "  sudo harden-tui drift show\n"
        "Only what is new is mailed."
    )
    return "\n\n".join(blocks) + "\n"


def _step(result: StepResult) -> str:
    lines = [f"  {result.id}  {result.status}: {result.title}"]
    if result.note:
        lines.append(f"      {result.note}")
    lines += [f"      {_finding(one)}" for one in result.findings if one.ok is False][:3]
    return "\n".join(lines)


def _finding(one: Finding) -> str:
    where = f" ({one.origin})" if one.origin else ""
    return f"{one.setting}: expected {one.expected}, is {one.running or one.persistent}{where}"


def _row(row: DriftRow) -> str:
    more = [part for part in (row.when, row.owner, row.explained) if part]
    return f"  {row.key}  {row.kind}" + (f" ({', '.join(more)})" if more else "")


def _name(row: DriftRow) -> str:
    return visible(f"{row.domain} {row.key} {row.kind}")
