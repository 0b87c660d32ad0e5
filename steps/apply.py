"""Applying: each step in a transaction that proves its result or goes back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.base import HostError
from snapshots import guard as guards
from snapshots import opening, transaction
from snapshots.guard_switch import Switch
from snapshots.history import transactions
from snapshots.model import Busy, SnapshotError, Worked, WriteFile
from steps import guarding
from steps.events import ChangeEvent, FindingEvent, GuardEvent
from steps.guard import touches_way_in
from steps.guarding import GuardedRun
from steps.health import Meant
from steps.listener import Listener
from steps.model import Step, StepResult
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED, ROLLED_BACK, failure
from steps.plan import Plan, StepPlan, Work
from steps.watch import Unhealthy, Watch

if TYPE_CHECKING:
    from steps.engine import Engine, Prepared

LOCK_WAIT_S = 10.0

_BY_FORCE = " If it must be, `--force` does it all the same."
_AS_WANTED = ("pass", "attested", "waived", "not-applicable")


class _Unproved(HostError):
    """The change was made and the host does not answer as it should."""


def apply(
    engine: Engine, ids: Sequence[str], fingerprint: str | None, *, forced: bool = False
) -> tuple[int, str, list[str]]:
    """Exit status, a sentence, and the ids of the transactions that were committed.

    `forced`: what a rehearsal calls a lock-out is done all the same, and recorded.
    """
    done: list[str] = []
    guarded_run = GuardedRun(engine)
    try:
        with engine.state.lock("apply", LOCK_WAIT_S):
            refusal = interrupted(engine)
            if refusal:
                return REFUSED, refusal, done
            plan = engine.plan(ids)
            refusal = _refusal(engine, plan, fingerprint, forced=forced)
            if refusal:
                return REFUSED, refusal, done
            exit_status, sentence = _apply_all(
                engine, plan, done, guarded_run, exact=fingerprint is not None, forced=forced
            )
            return guarded_run.decide(exit_status, sentence, done)
    except Busy as error:
        return REFUSED, str(error), done


def interrupted(engine: Engine) -> str:
    """Why nothing may be changed now: an earlier change did not end, or waits; empty if none."""
    for record in transactions(engine.state):
        if record.status == "pending" and guarding.standing(engine) is not None:
            return guards.waiting(engine.state)
        if record.status == "open":
            what = ", ".join(record.steps) or record.id
            return (
                f"An earlier change ({what}, {record.started[:19]} UTC) was interrupted;"
                " nothing was changed now. Run `harden-tui recover` first."
            )
    return ""


def _refusal(engine: Engine, plan: Plan, fingerprint: str | None, *, forced: bool = False) -> str:
    problem = ""
    refused = [step for step in plan.steps if step.reasons(forced=forced)]
    for step in refused:
        reasons = step.reasons(forced=forced)
        engine.emit(GuardEvent(step=step.id, reasons=reasons))
        engine.say(step.id, "refused", reasons[0])
        problem = engine.record("refused", step=step.id, reasons=list(reasons))
    if refused:
        first = refused[0].reasons(forced=forced)[0]
        by_force = "" if any(step.refusals for step in refused) else _BY_FORCE
        return f"Refused, nothing was changed: {first}{by_force} {problem}".rstrip()
    if fingerprint is not None and fingerprint not in _acceptable(plan):
        return (
            "The host has changed since this preview; nothing was changed now."
            " Look at the preview again."
        )
    return ""


def _acceptable(plan: Plan) -> set[str]:
    """A plan for one step may be approved by that step's own fingerprint."""
    accepted = {plan.fingerprint}
    changing = [step for step in plan.steps if step.changes]
    if len(changing) == 1:
        accepted.add(changing[0].fingerprint)
    return accepted


def _apply_all(
    engine: Engine,
    plan: Plan,
    done: list[str],
    guarded_run: GuardedRun,
    *,
    exact: bool,
    forced: bool,
) -> tuple[int, str]:
    """`exact`: a person approved these very diffs. Otherwise the steps were asked for by name, and
    each is planned anew on the host as the steps before it left it."""
    chosen = {step.id: step for step in engine.steps([step.id for step in plan.steps])}
    changing = [step for step in plan.steps if step.changes]
    if not changing:
        return GOOD, _as_wanted(engine, list(chosen.values()))
    unmeasured = []
    watch = Watch(engine)
    for number, approved in enumerate(changing, 1):
        engine.say(approved.id, "applying", approved.title, index=number, of=len(changing))
        if number > 1:
            engine.facts.forget()
        one = engine.prepare(chosen[approved.id])
        work = engine.work(one)
        guarded = touches_way_in(one.step.guard, work.changes)
        if work.changes and not guarded and guarded_run.has_pending:
            ended, said = guarded_run.wait(done)
            if ended != GOOD or not engine.guarding.wait:
                return ended, f"{_so_far(done)}{said} {approved.id} was not begun."
            one = engine.prepare(chosen[approved.id])
            work = engine.work(one)
        planned = engine.step_plan(one, work)
        if exact and planned.fingerprint != approved.fingerprint:
            engine.say(approved.id, "refused", "the host has changed since the preview")
            return (
                REFUSED,
                f"{_so_far(done)}{approved.id} was not begun: what it would do has changed since"
                " the preview, because an earlier step changed the host. Look at it again.",
            )
        refusal = _refusal(
            engine, Plan(checklist="", steps=(planned,), fingerprint=""), None, forced=forced
        )
        if refusal:
            return REFUSED, f"{_so_far(done)}{refusal}"
        if not planned.changes:  # an earlier step of this run brought all of it
            engine.say(approved.id, "done", "nothing left to change")
            continue
        if planned.lockouts:
            problem = _record_force(engine, planned)
            if problem:
                return REFUSED, f"{_so_far(done)}{problem}"
        approved = planned
        before = len(done)
        switch = guarded_run.switch if guarded else None
        exit_status, sentence = _apply_one(engine, one, work, approved, done, watch, switch)
        if switch is not None and len(done) > before:
            guarded_run.covers(done[-1])
        if exit_status != GOOD:
            return exit_status, f"{_so_far(done)}{sentence}"
        if sentence:
            unmeasured.append(approved.id)
    names = ", ".join(step.id for step in changing)
    sentence = f"Applied and proved: {names}."
    if unmeasured:
        sentence += f" Not all of it could be measured, before or now: {', '.join(unmeasured)}."
    return GOOD, sentence


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


def _so_far(done: list[str]) -> str:
    return f"{len(done)} applied and kept. " if done else ""


def _apply_one(
    engine: Engine,
    one: Prepared,
    work: Work,
    approved: StepPlan,
    done: list[str],
    watch: Watch,
    switch: Switch | None,
) -> tuple[int, str]:
    """Exit status, and a sentence where there is more to say than that it is done."""
    listener = Listener(engine.emit, engine.redact, switch.alive if switch else None)
    with watch.looking() as look:
        unmeasured = _unmeasured(engine.measured(one))
        worked = look()
    listener.doing("capturing the state before")
    try:
        tx = _begin(engine, one, work, worked, listener, switch)
    except HostError as error:
        engine.say(one.step.id, "refused", str(error))
        return REFUSED, f"{one.step.id} was not begun, nothing of it was changed: {error}"
    try:
        for change, shown in zip(work.changes, approved.changes, strict=True):
            tx.perform(change)
            engine.emit(
                ChangeEvent(
                    step=one.step.id,
                    summary=shown.summary,
                    diff=shown.diff,
                    command=shown.command,
                    applied=True,
                )
            )
        tx.validate()
        tx.activate()
        listener.doing("proving the result")
        proving_since_s = time.monotonic()
        engine.facts.forget()
        with watch.looking_again() as require:
            measured = engine.measured(one, prove=True)
            result = engine.judged(measured)
            engine.emit(FindingEvent(result=result))
            # First: a daemon that died explains why it could not be asked.
            require(Meant(work.stops, work.answers))
        _require_proof(measured, unmeasured)
        record = tx.commit(proving_since_s)
    except (HostError, OSError) as error:
        return _go_back(engine, one, tx, watch, error)
    except BaseException:
        _go_back(engine, one, tx, watch, HostError("the program itself failed"))
        raise
    done.append(record.id)
    problem = _kept(engine, one) or engine.record(
        "apply",
        step=one.step.id,
        title=one.step.title,
        transaction=record.id,
        status=result.status,
        values={name: _plain(value) for name, value in engine.shown_values(one).items()},
    )
    engine.say(one.step.id, "done", result.status, transaction=record.id)
    if problem:
        return NEEDS_PERSON, f"{one.step.id} was applied, proved and kept. {problem}"
    return GOOD, "not all of it could be measured" if _unmeasured(measured) else ""


def _begin(
    engine: Engine,
    one: Prepared,
    work: Work,
    worked: Worked,
    listener: Listener,
    switch: Switch | None,
) -> transaction.Transaction:
    return opening.begin(
        engine.host,
        engine.state,
        steps=(one.step.id,),
        title=one.step.title,
        user=engine.user,
        roots=work.roots,
        validations=work.validations,
        activations=work.activations,
        packages=work.packages,
        claims=work.claims,
        secret_paths=tuple(c.path for c in work.changes if isinstance(c, WriteFile) and c.secret),
        worked=worked,
        progress=listener,
        switch=switch,
    )


def _kept(engine: Engine, one: Prepared) -> str:
    """Keep the values that were chosen; why that failed, or empty."""
    try:
        engine.keep_answers(one)
    except SnapshotError as error:
        return str(error)
    return ""


def _go_back(
    engine: Engine, one: Prepared, tx: transaction.Transaction, watch: Watch, error: Exception
) -> tuple[int, str]:
    reason = engine.redact(str(error))
    told = error.short if isinstance(error, Unhealthy) else reason
    engine.say(one.step.id, "rolling-back", told)
    record = tx.roll_back(reason)
    engine.facts.forget()
    problem = engine.record(
        "apply-failed",
        step=one.step.id,
        transaction=record.id,
        status=record.status,
        reason=reason,
        **(error.fields if isinstance(error, Unhealthy) else {}),
    )
    engine.emit(FindingEvent(result=engine.measure(one)))
    still = watch.still_lost() if record.status == "rolled-back" else ""
    if still:
        why = f"{reason}. {still}"
        engine.say(one.step.id, "failed", why, transaction=record.id)
        return NEEDS_PERSON, f"{one.step.id} failed: {why} {problem}".rstrip()
    if record.status == "rolled-back":
        engine.say(one.step.id, "failed", told, transaction=record.id)
        return failure(one.step.id, record, reason, problem)
    why = engine.redact(record.reason)
    engine.say(one.step.id, "failed", why, transaction=record.id)
    return failure(one.step.id, record, why, problem)


def _unmeasured(result: StepResult) -> set[tuple[str, str]]:
    return {(f.resource, f.setting) for f in result.findings if f.ok is None and f.applicable}


def _require_proof(result: StepResult, unmeasured_before: set[tuple[str, str]]) -> None:
    """Raise where the host does not answer as the step wants it."""
    wrong = [f for f in result.findings if f.ok is False and f.applicable]
    if wrong:
        first = wrong[0]
        raise _Unproved(
            f"after the change {first.setting} is {first.running or first.persistent or 'unset'},"
            f" not {first.expected}{f' ({first.note})' if first.note else ''}"
        )
    new = _unmeasured(result) - unmeasured_before
    if new:
        raise _Unproved(f"after the change {min(new)[1]} could not be measured")
    if result.note and result.status in (
        "unknown",
        "error",
    ):  # a measurement broke off: what was found before it proves nothing
        raise _Unproved(f"after the change it could not be measured: {result.note}")
    if not any(f.ok for f in result.findings if f.applicable):
        raise _Unproved("after the change nothing of it could be measured")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


__all__ = [
    "GOOD",
    "NEEDS_PERSON",
    "REFUSED",
    "ROLLED_BACK",
    "SnapshotError",
    "apply",
    "interrupted",
]
