"""Rolling back: any step or transaction, in any order, at any later time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.base import HostError
from snapshots import undo
from snapshots.guard_switch import Switch
from snapshots.history import open_for_step, transactions
from snapshots.model import UNRESOLVED, Busy, Conflict, Resolutions, TransactionRecord, UndoPlan
from snapshots.undo_plan import refusal
from steps.apply import (
    GOOD,
    LOCK_WAIT_S,
    NEEDS_PERSON,
    REFUSED,
    ROLLED_BACK,
    decided,
    interrupted,
)
from steps.events import FindingEvent, GuardEvent
from steps.guarding import GuardedRun
from steps.listener import Listener
from steps.resource import StepError

if TYPE_CHECKING:
    from steps.engine import Engine


def chosen(engine: Engine, ids: Sequence[str], everything: bool) -> list[TransactionRecord]:
    """The transactions to undo, newest first. Raises `StepError` for an id that is neither.

    What put back or merged somebody's edit is undone only by its own id: `everything` means every
    step.
    """
    records = {record.id: record for record in transactions(engine.state)}
    undoable = {r.id for r in records.values() if r.kind != "rollback" and r.status == "committed"}
    wanted: set[str] = {r for r in undoable if records[r].kind == "apply"} if everything else set()
    for name in ids:
        if name in records:
            if name not in undoable:
                raise StepError(f"{name} cannot be undone: it is {records[name].status}.")
            wanted.add(name)
            continue
        of_step = [record.id for record in open_for_step(engine.state, name)]
        if not of_step and name not in engine.catalogue.steps:
            engine.catalogue.step(name)
        wanted |= set(of_step)
    return [records[key] for key in sorted(wanted, reverse=True)]


def plans(
    engine: Engine,
    ids: Sequence[str],
    everything: bool = False,
    resolutions: Resolutions = UNRESOLVED,
) -> list[UndoPlan]:
    """What undoing would do, each transaction on what the ones before it leave; asks only."""
    tx_ids = [record.id for record in chosen(engine, ids, everything)]
    return undo.plan_undos(engine.host, engine.state, tx_ids, resolutions)


def strangers(undo_plans: Sequence[UndoPlan], resolutions: Resolutions) -> list[str]:
    """What something was chosen for although it is not in conflict."""
    disputed = {item.key for plan in undo_plans for item in plan.disputed}
    return [key for key in resolutions.single if key not in disputed]


def refusal_of(undo_plans: Sequence[UndoPlan], resolutions: Resolutions) -> str:
    """Why these cannot be undone as they are: what is left in conflict; empty if nothing is."""
    return next(filter(None, (refusal(plan, resolutions) for plan in undo_plans)), "")


def fingerprint_of(undo_plans: Sequence[UndoPlan]) -> str:
    """What a person approves: one plan's own fingerprint, or that of all together."""
    if len(undo_plans) == 1:
        return undo_plans[0].fingerprint
    joined = "\n".join(plan.fingerprint for plan in undo_plans)
    return hashlib.sha256(joined.encode()).hexdigest()


def rollback(
    engine: Engine,
    ids: Sequence[str],
    everything: bool,
    fingerprint: str | None,
    resolutions: Resolutions = UNRESOLVED,
) -> tuple[int, str, list[str]]:
    """Exit status, a sentence, and the ids of the transactions that were undone."""
    done: list[str] = []
    guarded_run = GuardedRun(engine)
    try:
        with engine.state.lock("rollback", LOCK_WAIT_S):
            reason = interrupted(engine)
            if reason:
                return REFUSED, reason, done
            records = chosen(engine, ids, everything)
            if not records:
                return GOOD, "Nothing to undo: none of these was applied.", done
            if fingerprint is not None or len(records) > 1:
                planned = plans(engine, ids, everything, resolutions)
                if fingerprint not in (None, fingerprint_of(planned)):
                    return (
                        REFUSED,
                        "The host has changed since this preview; nothing was undone."
                        " Look at the preview again.",
                        done,
                    )
                conflict = refusal_of(planned, resolutions)
                if conflict:
                    return REFUSED, _told_refusal(engine, records, conflict), done
            exit_status, sentence = _undo_all(engine, records, done, resolutions, guarded_run)
            return decided(guarded_run, exit_status, sentence, done)
    except Busy as error:
        return REFUSED, str(error), done


def _undo_all(
    engine: Engine,
    records: Sequence[TransactionRecord],
    done: list[str],
    resolutions: Resolutions,
    guarded_run: GuardedRun,
) -> tuple[int, str]:
    for number, record in enumerate(records, 1):
        name = ", ".join(record.steps) or record.id
        guarded = _is_guarded(engine, record)
        if guarded_run.has_pending and not guarded:
            ended, said, gone = guarded_run.wait()
            done[:] = [one for one in done if one not in gone]
            if ended != GOOD or not engine.guarding.wait:
                return ended, f"{said} The undo of {name} was not begun."
        engine.say(name, "rolling-back", record.title, index=number, of=len(records))
        switch = guarded_run.switch if guarded else None
        exit_status, sentence = _undo_one(engine, record, done, resolutions, switch, guarded_run)
        if exit_status != GOOD:
            kept = f"{len(done)} undone. " if done else ""
            return exit_status, f"{kept}{sentence}"
    names = ", ".join(", ".join(record.steps) or record.id for record in records)
    return GOOD, f"Undone: {names}."


def _is_guarded(engine: Engine, record: TransactionRecord) -> bool:
    """Undoing what guards the way in can shut it as well."""
    steps = engine.catalogue.steps
    return any(name in steps and steps[name].guard for name in record.steps)


def _told_refusal(engine: Engine, records: Sequence[TransactionRecord], reason: str) -> str:
    """The refusal, after telling it to whoever listens and to the session log."""
    steps = [step for record in records for step in record.steps]
    engine.emit(GuardEvent(step=", ".join(steps), reasons=(reason,)))
    problem = engine.record(
        "rollback-refused",
        steps=steps,
        transaction=", ".join(record.id for record in records),
        reason=reason,
    )
    return f"{reason} {problem}".rstrip()


def _undo_one(
    engine: Engine,
    record: TransactionRecord,
    done: list[str],
    resolutions: Resolutions,
    switch: Switch | None,
    guarded_run: GuardedRun,
) -> tuple[int, str]:
    listener = Listener(engine.emit, engine.redact, switch.alive if switch else None)
    name = ", ".join(record.steps) or record.id
    began_s = time.monotonic()
    try:
        ended = undo.undo(
            engine.host,
            engine.state,
            record.id,
            expect_fingerprint=None,
            user=engine.user,
            progress=listener,
            resolutions=resolutions,
            switch=switch,
        )
    except Conflict as error:
        engine.emit(GuardEvent(step=name, reasons=(str(error),)))
        engine.say(name, "refused", str(error), transaction=record.id)
        problem = engine.record(
            "rollback-refused", steps=list(record.steps), transaction=record.id, reason=str(error)
        )
        return REFUSED, f"{error} {problem}".rstrip()
    except (HostError, OSError) as error:
        engine.say(name, "failed", str(error), transaction=record.id)
        problem = engine.record(
            "rollback-failed", steps=list(record.steps), transaction=record.id, reason=str(error)
        )
        return (
            ROLLED_BACK,
            f"The undo of {name} failed, the host is as before it: {error} {problem}".rstrip(),
        )
    # What the undo saw last of a tree proved it: nothing was changed after that.
    engine.facts.forget(seen_since_s=began_s)
    if ended.status not in ("committed", "undone", "pending"):
        problem = engine.record(
            "rollback-failed", steps=list(record.steps), transaction=record.id, reason=ended.reason
        )
        exit_status = ROLLED_BACK if ended.status == "rolled-back" else NEEDS_PERSON
        return exit_status, f"The undo of {name} failed: {ended.reason} {problem}".rstrip()
    done.append(record.id)
    if ended.status == "pending":
        guarded_run.covers(ended.id, record.id)
    resolved = {"resolved": dict(ended.resolved)} if ended.resolved else {}
    problem = engine.record(
        "rollback", steps=list(record.steps), transaction=ended.id, undoes=record.id, **resolved
    )
    engine.say(name, "done", "undone", transaction=ended.id)
    for step_id in record.steps:
        if step_id in engine.catalogue.steps:
            result = engine.measure(engine.prepare(engine.catalogue.step(step_id)))
            engine.emit(FindingEvent(result=result))
    if problem:
        return NEEDS_PERSON, f"{name} was undone. {problem}"
    return GOOD, ""
