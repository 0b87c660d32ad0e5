"""Check, plan, apply and roll back: the one path that screen and command line share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from host.base import Host, HostError
from host.facts import Facts
from snapshots import uncaptured
from snapshots.answers import Answers
from snapshots.model import UNRESOLVED, Resolutions, SnapshotError
from snapshots.sessionlog import SessionLog
from snapshots.state import StateDir
from steps import window_store
from steps.catalog_load import Catalogue, Checklist, build_resources
from steps.check import applies, facts_needed, measure_step, with_answers
from steps.events import Emit, FindingEvent, StepEvent
from steps.guard_settings import Guarding
from steps.in_the_way import in_the_way
from steps.model import MeantAnswer, ParameterValue, Step, StepResult
from steps.parameters import convert, fill, how_to_give, resolve
from steps.plan import Plan, StepPlan, Work, combined_fingerprint, gather, step_plan
from steps.redact import Redactor
from steps.resource import Context, Resource, StepError


class Outcome(msgspec.Struct, frozen=True):
    """How an apply or a rollback ended; `exit` is the exit status of the command line."""

    exit: int
    summary: str
    transactions: tuple[str, ...] = ()


class Prepared(msgspec.Struct, frozen=True):
    """A step with its values and resources, ready to be asked."""

    step: Step
    values: dict[str, ParameterValue]
    missing: list[str]
    resources: list[Resource]


def with_meant_answers(one: Prepared, work: Work) -> Work:
    """The work, with what sites are meant to answer after it as the step's file says it, and says
    to whoever approves."""
    if not (one.step.answers and work.changes):
        return work
    meant = [
        MeantAnswer(site, tuple(statuses))
        for name, statuses in one.step.answers.items()
        for site in _names(fill(name, one.values))
    ]
    notes = [
        f"{'Every site' if one.site == '*' else one.site} may answer"
        f" {' or '.join(map(str, one.statuses))} for its first page afterwards"
        for one in meant
    ]
    return msgspec.structs.replace(
        work, answers=(*work.answers, *meant), notes=(*work.notes, *notes)
    )


def _names(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


class Engine:
    """One host, one checklist, one set of values.

    `values` maps step ids to values for their parameters, as given for this run; they win over
    the answers kept in the state directory, and those over the checklist's.
    """

    def __init__(
        self,
        host: Host,
        state: StateDir,
        catalogue: Catalogue,
        checklist: Checklist,
        values: Mapping[str, Mapping[str, Any]],
        emit: Emit,
        *,
        log: SessionLog,
        user: str = "",
        guarding: Guarding | None = None,
        answers: Answers | None = None,
    ) -> None:
        self.host = host
        self.state = state
        self.catalogue = catalogue
        self.checklist = checklist
        self.given = {step: dict(chosen) for step, chosen in values.items()}
        self.emit = emit
        self.log = log
        self.user = user
        self.guarding = guarding or Guarding()
        self.answers = answers or Answers(state)
        self.pinned: dict[str, dict[str, Any]] = {}
        """Values that win over all others and are not kept: those a seal is put back with."""
        self.works_on_window = False
        """Whether this run opens, closes or undoes a window, so that the window is no obstacle."""
        self.facts = Facts(host)
        self.ctx = Context(host, self.facts, host.session(), state)
        self._from_checklist = {choice.id: choice.set for choice in checklist.choices}
        for step_id in self.given:
            catalogue.step(step_id)
        self.redact = Redactor(self._secrets())

    def steps(self, ids: Sequence[str] = ()) -> list[Step]:
        """The named steps, or all of the checklist, in the checklist's order."""
        order = [choice.id for choice in self.checklist.choices]
        if not ids:
            return [self.catalogue.step(step_id) for step_id in order]
        chosen = [self.catalogue.step(step_id) for step_id in dict.fromkeys(ids)]
        place = {step_id: number for number, step_id in enumerate(order)}
        return sorted(chosen, key=lambda step: place.get(step.id, len(order)))

    def prepare(self, step: Step) -> Prepared:
        """The step's values (given, answered, from the checklist, the host or by default)."""
        chosen: dict[str, Any] = {
            **self._from_checklist.get(step.id, {}),
            **self._answered(step),
            **self.given.get(step.id, {}),
            **self.pinned.get(step.id, {}),
        }
        values, missing = resolve(step, chosen, self.ctx)
        resources = [] if missing else build_resources(step, values)
        return Prepared(step, values, missing, resources)

    def check(self, ids: Sequence[str] = ()) -> list[StepResult]:
        """Every chosen step, asked of the host; findings are emitted as they come."""
        results = []
        for result in self.results(ids):
            results.append(result)
            self.emit(FindingEvent(result=result))
        return results

    def results(self, ids: Sequence[str] = ()) -> Iterator[StepResult]:
        """The same one by one, for whoever tells of it in another way."""
        prepared = [self.prepare(step) for step in self.steps(ids)]
        self._prefetch(prepared)
        for one in prepared:
            yield self.measure(one)

    def measure(self, one: Prepared) -> StepResult:
        """One step's result, with waivers and attestations, and without secrets."""
        return self.judged(self.measured(one))

    def measured(self, one: Prepared, *, prove: bool = False) -> StepResult:
        """One step's result as the host gave it, whatever people said of the step."""
        return measure_step(one.step, one.resources, one.missing, self.ctx, prove=prove)

    def judged(self, measured: StepResult) -> StepResult:
        """A result with waivers and attestations laid over it, and without secrets."""
        return self._without_secrets(with_answers(measured, self.answers))

    def plan(self, ids: Sequence[str] = ()) -> Plan:
        """What applying the chosen steps would do; nothing on the host is changed."""
        prepared = [self.prepare(step) for step in self.steps(ids)]
        self._prefetch(prepared)
        plans = tuple(self.step_plan(one, self.work(one)) for one in prepared)
        return Plan(
            checklist=self.checklist.name, steps=plans, fingerprint=combined_fingerprint(plans)
        )

    def work(self, one: Prepared) -> Work:
        """What would have to be done for a step; why not, where it cannot."""
        if one.missing:
            names = ", ".join(one.missing)
            how = how_to_give(one.step, one.missing, f"--set {one.step.id}.{one.missing[0]}=…")
            return Work(refusals=(f"{one.step.id} needs a value first: {names} ({how}).",))
        if applies(one.step, self.ctx) is False:
            return Work()
        if one.step.seals and not self.works_on_window and window_store.read(self.state):
            return Work(
                refusals=(
                    f"{one.step.id} seals, and an update window is open. Close it instead"
                    " (`harden-tui window close`): that seals again.",
                )
            )
        try:
            work = gather([resource.plan(self.ctx) for resource in one.resources])
            obstacles = in_the_way(work.changes, self.host)
            obstacles = obstacles or uncaptured.refusals(self.host, work.changes, work.roots)
            if obstacles:
                return Work(refusals=obstacles)
            return self._rehearsed(one.step, with_meant_answers(one, work))
        except (HostError, OSError) as error:
            return Work(refusals=(str(error),))

    def _rehearsed(self, step: Step, work: Work) -> Work:
        """The work, with what it would do to the way in."""
        if work.refusals or not work.changes:
            return work
        from steps.guard import rehearse  # a check does without

        found = rehearse(self.ctx, step.guard, work.changes)
        return msgspec.structs.replace(
            work,
            lockouts=(*work.lockouts, *found.lockouts),
            notes=(*work.notes, *found.notes),
        )

    def step_plan(self, one: Prepared, work: Work) -> StepPlan:
        """The preview of that work."""
        return step_plan(
            step_id=one.step.id,
            stage=one.step.stage,
            title=one.step.title,
            irreversible=one.step.irreversible,
            work=work,
            host=self.host,
            redact=self.redact,
        )

    def apply(
        self,
        ids: Sequence[str],
        fingerprint: str | None = None,
        *,
        forced: bool = False,
        keep_going: bool = False,
    ) -> Outcome:
        """Bring the chosen steps about, each in a transaction of its own.

        `fingerprint`: what was approved; anything else is refused as stale (exit 3). `forced`: a
        person insists although a rehearsal says that somebody would be locked out. `keep_going`:
        what is refused or fails does not keep the next step from being applied.
        """
        from steps import apply  # a check, which is asked for far more often, does without (15 ms)

        exit_status, summary, transactions = apply.apply(
            self, ids, fingerprint, forced=forced, keep_going=keep_going
        )
        return Outcome(exit_status, self.redact(summary), tuple(transactions))

    def rollback(
        self,
        ids: Sequence[str],
        *,
        everything: bool = False,
        fingerprint: str | None = None,
        resolutions: Resolutions = UNRESOLVED,
    ) -> Outcome:
        """Undo the named steps or transactions (or all that is not undone yet).

        `resolutions`: what a person chose for what is in conflict.
        """
        from steps import rollback

        exit_status, summary, done = rollback.rollback(
            self, ids, everything, fingerprint, resolutions
        )
        return Outcome(exit_status, self.redact(summary), tuple(done))

    def say(self, step: str, phase: str, note: str = "", **more: Any) -> None:
        """Emit a step event."""
        self.emit(StepEvent(step=step, phase=phase, note=self.redact(note), **more))

    def shown_values(self, one: Prepared) -> dict[str, ParameterValue]:
        """The step's values that may be kept and shown."""
        return {
            name: value
            for name, value in one.values.items()
            if one.step.parameters[name].kind != "secret"
        }

    def record(self, kind: str, **fields: Any) -> str:
        """Write into the session log; why it could not be written, or empty.

        What was done to the host is done: the log must not turn it into something else.
        """
        try:
            self.log.append(kind, **fields)
        except SnapshotError as error:
            return str(error)
        return ""

    def keep_answers(self, one: Prepared) -> None:
        """Remember what a person chose for this step, so that later checks expect it."""
        shown = self.shown_values(one)
        pinned = self.pinned.get(one.step.id, {})
        for name in self.given.get(one.step.id, {}):
            if name in shown and name not in pinned:
                value = shown[name]
                kept = list(value) if isinstance(value, tuple) else value
                self.answers.set_value(one.step.id, name, kept)

    def _answered(self, step: Step) -> dict[str, Any]:
        """The kept values of a step. Raises `StepError` that names their file.

        One whose parameter the step no longer has, after an upgrade say, is left alone.
        """
        kept = self.answers.values_of(step.id)
        found = {name: value for name, value in kept.items() if name in step.parameters}
        for name, value in found.items():
            if name not in self.given.get(step.id, {}):
                try:
                    convert(step.id, name, step.parameters[name], value)
                except StepError as error:
                    raise StepError(
                        f"{self.answers.path}: {error}; `harden-tui steps set {step.id}.{name}=…`"
                        " mends it"
                    ) from None
        return found

    def _prefetch(self, prepared: Iterable[Prepared]) -> None:
        resources = [resource for one in prepared for resource in one.resources]
        self.facts.prefetch(facts_needed(resources))

    def _secrets(self) -> list[str]:
        found = []
        for step_id, chosen in self.given.items():
            for name, value in chosen.items():
                parameter = self.catalogue.step(step_id).parameters.get(name)
                if parameter is None:
                    raise StepError(f"{step_id} has no parameter {name!r}")
                convert(step_id, name, parameter, value)  # also of a step that nobody asks now
                if parameter.kind == "secret":
                    found.append(str(value))
        return found

    def _without_secrets(self, result: StepResult) -> StepResult:
        findings = tuple(
            msgspec.structs.replace(
                finding,
                expected=self.redact(finding.expected),
                running=self.redact(finding.running),
                persistent=self.redact(finding.persistent),
                note=self.redact(finding.note),
            )
            for finding in result.findings
        )
        return msgspec.structs.replace(result, findings=findings, note=self.redact(result.note))
