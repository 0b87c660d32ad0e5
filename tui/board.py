"""What the screen knows of the checklist, and what can be read from it. No Textual, no effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from snapshots.guide_model import Guide
from snapshots.model import TransactionRecord
from snapshots.unfinished import to_recover
from steps.drift_model import DriftReport, DriftRow
from steps.model import STAGES, Stage, Status, StepResult
from tui.wire import AtWork, PlanAnswer, StepInfo

STAGE_TITLES: dict[Stage, str] = {
    "pre-install": "Before the application",
    "post-install": "After the application",
    "update-window": "Update window",
    "surroundings": "Surroundings",
}

DONE: frozenset[Status] = frozenset({"pass", "attested", "waived", "not-applicable"})


class Counts(msgspec.Struct, frozen=True):
    """How a group of steps stands; `waiting` were not checked yet."""

    total: int = 0
    done: int = 0
    open: int = 0
    unknown: int = 0
    error: int = 0
    manual: int = 0
    waiting: int = 0

    def sentence(self) -> str:
        """ "7 of 12 done · 4 open · 1 unknown"."""
        if not self.total:
            return ""
        parts = [f"{self.done} of {self.total} done"]
        for number, word in (
            (self.open, "open"),
            (self.unknown, "unknown"),
            (self.error, "error" if self.error == 1 else "errors"),
            (self.manual, "to attest"),
            (self.waiting, "being checked"),
        ):
            if number:
                parts.append(f"{number} {word}")
        return " · ".join(parts)


class Board:
    """Steps in the checklist's order with their results, plans and transactions."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.infos: dict[str, StepInfo] = {}
        self.results: dict[str, StepResult] = {}
        self.plans: dict[str, PlanAnswer | str] = {}
        """Per step its plan, or the sentence why it could not be had; missing: not asked."""
        self.records: tuple[TransactionRecord, ...] = ()
        self.records_known = False
        self.records_problem = ""
        """Why they are not known, or only as they were last read; a sentence."""
        self.at_work: AtWork | None = None
        """Who changed the host when the records were read."""
        self.changed_by_others = False
        """Another session changed the host since the last check of everything began."""
        self._guarded = False
        self.drift = DriftReport()
        """What changed outside harden-tui, as the last check saw it."""
        self.drift_seen = ""
        """When that was, as "14:48 UTC"; empty where nobody has looked yet."""
        self.guides: dict[str, Guide] = {}
        """By stage, where guided runs through this checklist stand."""
        self.checking = False
        self.problem = ""

    def take_order(self, ids: Sequence[str]) -> None:
        """The whole checklist is being checked; results of before stay until new ones come."""
        self.order = list(ids)

    def take_infos(self, infos: Iterable[StepInfo]) -> None:
        listed = list(infos)
        self.infos = {info.id: info for info in listed}
        if listed:
            self.order = [info.id for info in listed]

    def take_guides(self, guides: Iterable[Guide]) -> None:
        """Where these runs stand now; the others stand where they stood."""
        self.guides |= {guide.stage: guide for guide in guides}

    def take_result(self, result: StepResult) -> None:
        if result.id not in self.order:
            self.order.append(result.id)
        if self.results.get(result.id) != result:
            self.plans.pop(result.id, None)
        self.results[result.id] = result

    def take_drift(self, report: DriftReport, asked: Iterable[str]) -> None:
        """What a check of some steps saw; what is known of the other steps stays known."""
        asked = set(asked)
        known = {(row.domain, row.key): row for row in self.drift.things}
        rows = []
        for row in report.things:
            before = known.get((row.domain, row.key))
            kept = before.verdicts if before is not None and before.diff == row.diff else ()
            others = tuple(one for one in kept if one.step not in asked)
            rows.append(msgspec.structs.replace(row, verdicts=(*row.verdicts, *others)))
        self.drift = msgspec.structs.replace(report, things=tuple(rows))

    def forget_drift(self, problem: str) -> None:
        """It was looked for, and is not known: what was known before may be settled or more."""
        self.drift = DriftReport(problem=problem)

    def no_drift(self) -> str:
        """Why there is none to settle: it is being looked for, or was not there."""
        if self.checking or not self.drift_seen:
            return "Drift is still being looked for."
        if not self.drift.transaction:
            return "harden-tui changed nothing here, so nothing can have drifted."
        return f"No drift, as the check of {self.drift_seen} saw it; r looks again."

    def drifted(self, step_id: str) -> list[DriftRow]:
        """What concerns a step and is not as it was left."""
        return self.drift.about(step_id)

    def drifted_elsewhere(self) -> list[DriftRow]:
        """What concerns no step of the checklist."""
        listed = set(self.order)
        return [row for row in self.drift.things if not listed & set(row.concerned)]

    def take_records(
        self,
        records: Sequence[TransactionRecord],
        *,
        guarded: bool = False,
        at_work: AtWork | None = None,
    ) -> None:
        """`guarded`: what is pending waits for its confirmation, and is not left over."""
        self.records = tuple(records)
        self.at_work = at_work
        self._guarded = guarded
        self.records_known = True
        self.records_problem = ""

    def miss_records(self, problem: str) -> None:
        """They could not be read now: what is known of them stays, and is said to be older."""
        self.records_problem = problem

    def about_records(self) -> str:
        """Why what is shown of them may be older, or is nothing; "" where they are known."""
        older = "As last read. " if self.records_known else ""
        return f"{older}{self.records_problem}" if self.records_problem else ""

    def forget_plans(self) -> None:
        """The host was changed, or a value was: every preview is stale."""
        self.plans.clear()

    def title(self, step_id: str) -> str:
        if step_id in self.infos:
            return self.infos[step_id].title
        return self.results[step_id].title if step_id in self.results else ""

    def stage(self, step_id: str) -> Stage:
        if step_id in self.infos:
            return self.infos[step_id].stage
        return self.results[step_id].stage if step_id in self.results else STAGES[0]

    def status(self, step_id: str) -> str:
        """The status, or "" where the step was not checked yet."""
        result = self.results.get(step_id)
        return result.status if result else ""

    def is_open(self, step_id: str) -> bool:
        """Something is left to do for a person or for an apply."""
        status = self.status(step_id)
        return bool(status) and status not in DONE

    def counts(self, ids: Iterable[str] | None = None) -> Counts:
        statuses = [self.status(step_id) for step_id in (self.order if ids is None else ids)]
        return Counts(
            total=len(statuses),
            done=sum(status in DONE for status in statuses),
            open=statuses.count("fail"),
            unknown=statuses.count("unknown"),
            error=statuses.count("error"),
            manual=statuses.count("manual"),
            waiting=statuses.count(""),
        )

    def stages(self) -> list[tuple[Stage, list[str]]]:
        """Stages that have steps, in order."""
        grouped = [(stage, [s for s in self.order if self.stage(s) == stage]) for stage in STAGES]
        return [(stage, ids) for stage, ids in grouped if ids]

    def matching(self, wanted: str) -> set[str]:
        """Ids whose id, title or status word holds every word of `wanted`."""
        words = wanted.lower().split()
        found = set()
        for step_id in self.order:
            status = self.status(step_id)
            shown = "open" if status == "fail" else status
            drifted = "drifted" if self.drifted(step_id) else ""
            text = f"{step_id} {self.title(step_id)} {shown} {drifted}".lower()
            if all(word in text for word in words):
                found.add(step_id)
        return found

    def next_open(self, after: str) -> str:
        """The next step with something left to do, from `after` on and round; empty if none."""
        start = self.order.index(after) + 1 if after in self.order else 0
        around = self.order[start:] + self.order[:start]
        return next((step_id for step_id in around if self.is_open(step_id)), "")

    def open_of_stage(self, stage: Stage) -> list[str]:
        """Steps of a stage that an apply could bring about."""
        return [
            step_id
            for step_id in self.order
            if self.stage(step_id) == stage and self.status(step_id) == "fail"
        ]

    def records_of(self, step_id: str) -> list[TransactionRecord]:
        """The transactions of a step, newest first."""
        return [record for record in reversed(self.records) if step_id in record.steps]

    def undoable(self, step_id: str) -> list[TransactionRecord]:
        return [r for r in self.records_of(step_id) if r.kind == "apply" and is_undoable(r)]

    def interrupted(self) -> list[TransactionRecord]:
        """What must be recovered first: it was cut off, or never confirmed and guarded no more.

        Nothing is, as far as can be told, while somebody is at work.
        """
        if self.at_work is not None:
            return []
        left = {"open"} if self._guarded else {"open", "pending"}
        return [record for record in self.records if record.status in left]

    def left_over(self) -> frozenset[str]:
        """The ids of these."""
        return frozenset(record.id for record in self.interrupted())

    def recoverable(self) -> list[TransactionRecord]:
        """The same, and what could not be taken back before, where that can be tried again."""
        if self.at_work is not None:
            return []
        left = self.interrupted()
        tried = [record for record in to_recover(self.records) if record.status == "needs-person"]
        return [record for record in self.records if record in left or record in tried]


def has_news(known: Sequence[TransactionRecord], now: Sequence[TransactionRecord]) -> bool:
    """Whether anything happened; a window, which closes by itself, is told in a way of its own."""
    return [record for record in known if record.kind != "window"] != [
        record for record in now if record.kind != "window"
    ]


def outdated(
    known: Sequence[TransactionRecord], now: Sequence[TransactionRecord]
) -> frozenset[str]:
    """The ids of what is known no longer in full: it, or one after it, is new or not as it was."""
    standing = {record.id: record for record in now}
    if standing.keys() - {record.id for record in known}:
        return frozenset(record.id for record in known)
    changed = [n for n, record in enumerate(known) if standing.get(record.id) != record]
    return frozenset(record.id for record in known[: max(changed, default=-1) + 1])


def is_undoable(record: TransactionRecord) -> bool:
    """By itself; a window is undone in a way of its own."""
    standing = record.status == "committed" and not record.undone_by
    return standing and record.kind not in ("rollback", "window")
