"""Applying: each step in a transaction that proves its result or goes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from snapshots import guard as guards
from snapshots.decision import name_of
from snapshots.history import transactions
from snapshots.model import Busy
from snapshots.records import Records
from steps import guarding, window_store
from steps.apply_one import apply_one
from steps.events import GuardEvent
from steps.guard import touches_way_in
from steps.guarding import GuardedRun
from steps.model import Step
from steps.outcome import GOOD, REFUSED, ROLLED_BACK, not_begun
from steps.plan import Plan, StepPlan
from steps.watch import Watch

if TYPE_CHECKING:
    from steps.engine import Engine

LOCK_WAIT_S = 10.0

_BY_FORCE = " If it must be, `--force` does it all the same."
_AS_WANTED = ("pass", "attested", "waived", "not-applicable")


class _Stop(Exception):
    """The run ends here, whatever else was asked for: an exit status and a sentence."""

    def __init__(self, exit_status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.exit_status = exit_status
        self.sentence = sentence


def apply(
    engine: Engine,
    ids: Sequence[str],
    fingerprint: str | None,
    *,
    forced: bool = False,
    keep_going: bool = False,
) -> tuple[int, str, list[str]]:
    """Exit status, a sentence, and the ids of the transactions that were committed.

    `forced`: what a rehearsal calls a lock-out is done all the same, and recorded. `keep_going`:
    after a step that was refused, or failed and was rolled back, the next one is begun.
    """
    done: list[str] = []
    left = Left()
    guarded_run = GuardedRun(engine)
    try:
        with engine.state.lock("apply", LOCK_WAIT_S):
            refusal = interrupted(engine)
            if refusal:
                return REFUSED, refusal, done
            plan = engine.plan(ids)
            refusal = "" if keep_going else _refused(engine, plan.steps, forced=forced)
            refusal = refusal or _moved_on(plan, fingerprint)
            if refusal:
                return REFUSED, refusal, done
            exit_status, sentence = _apply_all(
                engine,
                plan,
                done,
                guarded_run,
                left if keep_going else None,
                exact=fingerprint is not None,
                forced=forced,
            )
            return guarded_run.decide(exit_status, sentence, done)
    except Busy as error:
        return REFUSED, str(error), done


def interrupted(engine: Engine) -> str:
    """Why nothing may be changed now: an earlier change did not end, or waits; empty if none."""
    if not engine.works_on_window:
        window = window_store.read(engine.state)
        if window is not None and window.state != "open":
            # We hold the lock, so whoever worked on it does not any more.
            return (
                f"{window_store.WHAT[window.state]} was interrupted; nothing was changed now. Run"
                " `harden-tui recover` first."
            )
    unfinished = guards.unfinished(engine.state)
    if unfinished:
        return unfinished
    for record in transactions(engine.state):
        if record.status == "pending" and guarding.standing(engine) is not None:
            return guards.waiting(engine.state)
        if record.status == "open":
            what = name_of(record)
            return (
                f"An earlier change ({what}, {record.started[:19]} UTC) was interrupted;"
                " nothing was changed now. Run `harden-tui recover` first."
            )
    return ""


def _refused(engine: Engine, steps: Sequence[StepPlan], *, forced: bool = False) -> str:
    """Why not all of these may be applied, told to whoever listens; empty where they may."""
    problem = ""
    refused = [step for step in steps if step.reasons(forced=forced)]
    for step in refused:
        reasons = step.reasons(forced=forced)
        engine.emit(GuardEvent(step=step.id, reasons=reasons))
        engine.say(step.id, "refused", reasons[0])
        problem = engine.record("refused", step=step.id, reasons=list(reasons))
    if not refused:
        return ""
    first = refused[0].reasons(forced=forced)[0]
    by_force = "" if any(step.refusals for step in refused) else _BY_FORCE
    return f"Refused, nothing was changed: {first}{by_force} {problem}".rstrip()


def _moved_on(plan: Plan, fingerprint: str | None) -> str:
    """Why what was approved is not what would be done now; empty where it is."""
    if fingerprint is None or fingerprint in _acceptable(plan):
        return ""
    return (
        "The host has changed since this preview; nothing was changed now."
        " Look at the preview again."
    )


def _acceptable(plan: Plan) -> set[str]:
    """A plan for one step may be approved by that step's own fingerprint."""
    accepted = {plan.fingerprint}
    changing = [step for step in plan.steps if step.changes]
    if len(changing) == 1:
        accepted.add(changing[0].fingerprint)
    return accepted


class Left:
    """Steps of a run that were passed over."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.failed: list[str] = []

    def add(self, step_id: str, exit_status: int) -> None:
        (self.refused if exit_status == REFUSED else self.failed).append(step_id)

    def ended(self, sentence: str) -> tuple[int, str]:
        """How the whole run ended: exit status and a sentence."""
        said = [sentence]
        if self.failed:
            said.append(f"Failed and rolled back: {', '.join(self.failed)}.")
        if self.refused:
            said.append(f"Refused, for the reasons above: {', '.join(self.refused)}.")
        exit_status = ROLLED_BACK if self.failed else REFUSED if self.refused else GOOD
        return exit_status, " ".join(said)

    def broken_off(self, exit_status: int, sentence: str) -> tuple[int, str]:
        """The same of a run that could not go on: the worse of both exit statuses."""
        ended, said = self.ended(sentence)
        return max(exit_status, ended), said


def _apply_all(
    engine: Engine,
    plan: Plan,
    done: list[str],
    guarded_run: GuardedRun,
    left: Left | None,
    *,
    exact: bool,
    forced: bool,
) -> tuple[int, str]:
    """`exact`: a person approved these very diffs. Otherwise the steps were asked for by name, and
    each is planned anew on the host as the steps before it left it, also where it had nothing to
    change at first: a redirect to HTTPS comes of use once there is a certificate. Without `left`
    the first that is refused or fails ends the run."""
    chosen = {step.id: step for step in engine.steps([step.id for step in plan.steps])}
    changing = [one for one in plan.steps if one.changes or one.reasons(forced=forced)]
    if not changing:
        return GOOD, _as_wanted(engine, list(chosen.values()))
    others = [] if exact else [one for one in plan.steps if one not in changing]
    unmeasured, applied = [], []
    watch = Watch(engine)
    asked_after = 0
    for number, approved in enumerate([*changing, *others], 1):
        if number <= len(changing):
            engine.say(approved.id, "applying", approved.title, index=number, of=len(changing))
        if len(done) != asked_after:
            engine.facts.forget()
        before = asked_after = len(done)
        try:
            exit_status, sentence = _next(
                engine, chosen[approved.id], approved, done, guarded_run, watch,
                exact=exact, forced=forced,
            )  # fmt: skip
        except _Stop as error:
            ahead = [one.id for one in changing[number:]]
            said = f"{_so_far(engine, done)}{error.sentence} {not_begun([approved.id, *ahead])}"
            if left is not None:
                return left.broken_off(error.exit_status, said)
            return error.exit_status, said
        if exit_status == GOOD:
            if len(done) > before or (left is None and number <= len(changing)):
                applied.append(approved.id)
            if sentence:
                unmeasured.append(approved.id)
        elif left is not None and exit_status in (REFUSED, ROLLED_BACK):
            left.add(approved.id, exit_status)
        else:
            return exit_status, f"{_so_far(engine, done)}{sentence}"
    sentence = f"Applied and proved: {', '.join(applied) or 'nothing'}."
    if unmeasured:
        sentence += f" Not all of it could be measured, before or now: {', '.join(unmeasured)}."
    sentence = " ".join([sentence, *_remarks(engine, done)])
    return left.ended(sentence) if left is not None else (GOOD, sentence)


def _next(
    engine: Engine,
    step: Step,
    approved: StepPlan,
    done: list[str],
    guarded_run: GuardedRun,
    watch: Watch,
    *,
    exact: bool,
    forced: bool,
) -> tuple[int, str]:
    """One step of a run, planned anew: exit status, and a sentence where there is more to say.

    Raises `_Stop` where a guarded change before it is not kept (yet).
    """
    one = engine.prepare(step)
    work = engine.work(one)
    guarded = touches_way_in(one.step.guard, work.changes)
    if work.changes and not guarded and guarded_run.has_pending:
        ended, said = guarded_run.wait(done)
        if ended != GOOD or not engine.guarding.wait:
            raise _Stop(ended or REFUSED, said)
        one = engine.prepare(step)
        work = engine.work(one)
    planned = engine.step_plan(one, work)
    if exact and planned.fingerprint != approved.fingerprint:
        engine.say(approved.id, "refused", "the host has changed since the preview")
        return (
            REFUSED,
            f"{approved.id} was not begun: what it would do has changed since the preview, because"
            " an earlier step changed the host. Look at it again.",
        )
    refusal = _refused(engine, (planned,), forced=forced)
    if refusal:
        return REFUSED, refusal
    if not planned.changes:  # an earlier step of this run brought all of it
        if approved.changes:
            engine.say(approved.id, "done", "nothing left to change")
        return GOOD, ""
    if not approved.changes and not approved.reasons(forced=forced):
        engine.say(approved.id, "applying", approved.title)
    if planned.lockouts:
        problem = _record_force(engine, planned)
        if problem:
            return REFUSED, problem
    before = len(done)
    switch = guarded_run.switch if guarded else None
    exit_status, sentence = apply_one(engine, one, work, planned, done, watch, switch)
    if switch is not None and len(done) > before:
        guarded_run.covers(done[-1])
    return exit_status, sentence


def _record_force(engine: Engine, planned: StepPlan) -> str:
    """Write down who insisted on what; why that cannot be done, or empty."""
    problem = engine.record("guard", what="forced", step=planned.id, reasons=list(planned.lockouts))
    if problem:
        return f"{planned.id} was not begun: what is forced must be in the session log. {problem}"
    for lockout in planned.lockouts:
        engine.say(planned.id, "forced", lockout)
    return ""


def _as_wanted(engine: Engine, chosen: Sequence[Step]) -> str:
    """What is said where nothing would be changed: measured, not concluded from the plan."""
    results = [engine.measure(engine.prepare(step)) for step in chosen]
    left = [f"{one.id} ({one.status})" for one in results if one.status not in _AS_WANTED]
    if left:
        return (
            f"Nothing was changed: there is nothing that could be, but {', '.join(left)} is not as"
            " wanted or not known; `harden-tui check` shows why."
        )
    return "Nothing to change: the host is as the steps want it."


def _remarks(engine: Engine, done: list[str]) -> list[str]:
    """What there is to know of changes that were made: what others did meanwhile."""
    records = Records(engine.state)
    reasons = (records.read(tx_id).reason for tx_id in done)
    return list(dict.fromkeys(engine.redact(reason) for reason in reasons if reason))


def _so_far(engine: Engine, done: list[str]) -> str:
    """What waits for its confirmation is not kept yet: whoever waits for it says so."""
    records = Records(engine.state)
    kept = [tx_id for tx_id in done if records.read(tx_id).status != "pending"]
    return f"{len(kept)} applied and kept. " if kept else ""
