"""Rolling back: any step or transaction, in any order, at any later time."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.base import HostError
from snapshots import staying, undo
from snapshots.capture import Keeper
from snapshots.decision import name_of
from snapshots.guard_switch import Switch
from snapshots.history import open_for_step, transactions
from snapshots.model import UNRESOLVED, Busy, Conflict, Resolutions, TransactionRecord, UndoPlan
from snapshots.records import Records
from snapshots.typed import by_number
from snapshots.undo_plan import refusal
from steps import window_store
from steps.apply import LOCK_WAIT_S, interrupted
from steps.events import FindingEvent, GuardEvent
from steps.guard import decides_way_in
from steps.guarding import GuardedRun
from steps.listener import Listener
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED, failure, not_begun
from steps.resource import StepError
from steps.undo_told import Told
from steps.watch import Unhealthy, Watch

if TYPE_CHECKING:
    from steps.engine import Engine


def chosen(engine: Engine, ids: Sequence[str], everything: bool) -> list[TransactionRecord]:
    """The transactions to undo, newest first. Raises `StepError` for an id that is neither.

    What put back or merged somebody's edit is undone only by its own id: `everything` means every
    step.
    """
    records = {record.id: record for record in transactions(engine.state)}
    wanted: set[str] = set()
    if everything:
        wanted = {r.id for r in records.values() if r.kind == "apply" and not undo.why_not(r)}
    for name in ids:
        if name in records:
            why = undo.why_not(records[name])
            if why:
                raise StepError(why)
            wanted.add(name)
            continue
        of_step = [record.id for record in open_for_step(engine.state, name)]
        if not of_step and name not in engine.catalogue.steps:
            raise StepError(
                f"{engine.catalogue.no_step(name)} No transaction is called so either;"
                " `history list` has them."
            )
        wanted |= set(of_step)
    return [records[key] for key in sorted(wanted, reverse=True)]


def plans(
    engine: Engine,
    ids: Sequence[str],
    everything: bool = False,
    resolutions: Resolutions = UNRESOLVED,
) -> list[UndoPlan]:
    """What undoing would do, each transaction on what the ones before it leave; asks only.

    Of `everything` that stays which needs something damaged, and its plan says so.
    """
    tx_ids = [record.id for record in chosen(engine, ids, everything)]
    return undo.plan_undos(engine.host, engine.state, tx_ids, resolutions, leave_out=everything)


def strangers(undo_plans: Sequence[UndoPlan], resolutions: Resolutions) -> list[str]:
    """What something was chosen for although it is not in conflict."""
    disputed = {item.key for plan in undo_plans for item in plan.disputed}
    return [key for key in resolutions.single if key not in disputed]


def refusal_of(undo_plans: Sequence[UndoPlan], resolutions: Resolutions) -> str:
    """Why these cannot be undone as they are: what is left in conflict; empty if nothing is."""
    return next(filter(None, (refusal(plan, resolutions) for plan in undo_plans)), "")


def told_left_out(undo_plans: Sequence[UndoPlan]) -> str:
    """What of all stays, and why, in sentences; empty where nothing does."""
    reasons = [plan.left_out for plan in undo_plans if plan.left_out]
    if not reasons:
        return ""
    stays = by_number(reasons, "stays", "stay")
    count = f"{len(reasons)} of {len(undo_plans)}"
    return " ".join([f"Not all can be undone, {count} {stays} in force.", *reasons])


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
            reason = _undone_since(engine, ids) if fingerprint is not None else ""
            if reason:
                return REFUSED, reason, done
            records = chosen(engine, ids, everything)
            reason = _of_a_window(engine, records)
            if reason:
                return REFUSED, reason, done
            if not records and fingerprint is not None:
                return REFUSED, _is_undone_since(", ".join(ids) or "All that was shown"), done
            if not records:
                return GOOD, nothing_left(ids), done
            left = ""
            if fingerprint is not None or everything or len(records) > 1:
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
                left = told_left_out(planned)
                records = _tell_left_out(engine, records, planned)
            if not records:
                return REFUSED, f"Nothing was undone. {left}", done
            told = Told()
            exit_status, sentence = _undo_all(engine, records, done, resolutions, guarded_run, told)
            exit_status, sentence, done = guarded_run.decide(exit_status, sentence, done)
            return exit_status or (REFUSED if left else GOOD), f"{sentence} {left}".rstrip(), done
    except Busy as error:
        return REFUSED, str(error), done


def _tell_left_out(
    engine: Engine, records: Sequence[TransactionRecord], undo_plans: Sequence[UndoPlan]
) -> list[TransactionRecord]:
    """Tell what stays to whoever listens and to the session log; what is undone."""
    left = {plan.transaction: plan.left_out for plan in undo_plans if plan.left_out}
    for record in records:
        if record.id in left:
            note = "left out, it stays in force: something that its undo needs is damaged"
            engine.say(name_of(record), "refused", note, transaction=record.id)
            engine.record(
                "rollback-refused",
                steps=_about(record),
                transaction=record.id,
                reason=left[record.id],
            )
    return [record for record in records if record.id not in left]


def _undone_since(engine: Engine, ids: Sequence[str]) -> str:
    """Which of those that a preview showed is undone since; empty for none."""
    records = {record.id: record for record in transactions(engine.state)}
    for tx_id in ids:
        record = records.get(tx_id)
        if record is not None and record.status == "undone":
            return _is_undone_since(name_of(record))
    return ""


def _is_undone_since(what: str) -> str:
    return f"{what} was undone since this preview, in another session; nothing was changed now."


def nothing_left(ids: Sequence[str]) -> str:
    """Why an undo of these has nothing to do."""
    return f"Nothing to undo: no change of {', '.join(ids) or 'any step'} is in force."


def _of_a_window(engine: Engine, records: Sequence[TransactionRecord]) -> str:
    """Why these must not be undone by themselves; empty where they may."""
    if engine.works_on_window:
        return ""
    if any(record.kind == "window" for record in records):
        return (
            "An update window is undone by `harden-tui window undo`, which lifts the seals for it"
            " and brings its databases back too; nothing was undone."
        )
    window = window_store.read(engine.state)
    if window is not None and any(record.id < window.id for record in records):
        return (
            "An update window is open, and its start is what `harden-tui window undo` goes back to:"
            " what was applied before it is undone once it is closed (`harden-tui window close`)."
            " Nothing was undone."
        )
    return ""


def _undo_all(
    engine: Engine,
    records: Sequence[TransactionRecord],
    done: list[str],
    resolutions: Resolutions,
    guarded_run: GuardedRun,
    told: Told,
) -> tuple[int, str]:
    watch = Watch(engine)
    for number, record in enumerate(records, 1):
        name = name_of(record)
        guarded = is_guarded(engine, record)
        if guarded_run.has_pending and not guarded:
            ended, said = guarded_run.wait(done)
            if ended != GOOD or not engine.guarding.wait:
                ahead = [*dict.fromkeys(name_of(one) for one in records[number - 1 :])]
                return ended or REFUSED, f"{said} {not_begun(ahead, of='The undo of ')}"
        title = record.title if record.is_of_steps else ""
        engine.say(name, "rolling-back", title, index=number, of=len(records))
        switch = guarded_run.switch if guarded else None
        exit_status, sentence = _undo_one(
            engine, record, done, resolutions, watch, told, guarded_run, switch
        )
        if exit_status != GOOD:
            kept = [f"{len(done)} undone.", *told.all()] if done else []
            return exit_status, " ".join([*kept, sentence])
    names = ", ".join(dict.fromkeys(name_of(record) for record in records))
    return GOOD, " ".join([f"Undone: {names}.", *told.all()])


def is_guarded(engine: Engine, record: TransactionRecord) -> bool:
    """Undoing what guards the way in can shut it as well; so may a step that cannot be read now,
    and one of which it is not known any more what it wrote. A window's undo goes on with databases
    and seals, which cannot wait for a confirmation.
    """
    if record.kind == "window":
        return False
    steps, may_guard = engine.catalogue.steps, engine.catalogue.lacks_steps
    if any(steps[name].guard if name in steps else may_guard for name in record.steps):
        return True
    records = Records(engine.state)
    return bool(records.doubt(record)) or decides_way_in(records.named_paths(record.id))


def _about(record: TransactionRecord) -> list[str]:
    """Its steps for the session log, or its title where it is not theirs."""
    return list(record.steps) if record.is_of_steps else [name_of(record)]


def _told_refusal(engine: Engine, records: Sequence[TransactionRecord], reason: str) -> str:
    """The refusal, after telling it to whoever listens and to the session log."""
    steps = [name for record in records for name in _about(record)]
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
    watch: Watch,
    told: Told,
    guarded_run: GuardedRun,
    switch: Switch | None,
) -> tuple[int, str]:
    """Exit status, and a sentence where it is not good; what else is to be said goes to `told`."""
    listener = Listener(engine.emit, engine.redact, switch.alive if switch else None)
    name = name_of(record)
    began_s = time.monotonic()
    harm: list[Unhealthy] = []
    gone: list[str] = []
    keeper = Keeper(engine.host, engine.state)
    stays: dict[str, str] = {}
    with contextlib.suppress(HostError):  # the undo itself will say why nothing can be asked
        stays = staying.staying(keeper, record)

    def prove() -> None:
        engine.facts.forget()
        try:
            lost = watch.require_after_undo(record.worked)
        except Unhealthy as error:
            harm.append(error)
            raise
        if lost:
            gone.append(lost)

    try:
        with watch.looking() as look:
            ended = undo.undo(
                engine.host,
                engine.state,
                record.id,
                expect_fingerprint=None,
                user=engine.user,
                progress=listener,
                resolutions=resolutions,
                ready=look,
                prove=prove,
                switch=switch,
            )
    except (HostError, OSError) as error:  # what had begun ends with a record
        sentence = f"The undo of {name} was not begun, nothing of it was changed: {error}"
        if isinstance(error, Conflict):
            sentence = str(error)
            engine.emit(GuardEvent(step=name, reasons=(sentence,)))
        engine.say(name, "refused", str(error), transaction=record.id)
        problem = engine.record(
            "rollback-refused", steps=_about(record), transaction=record.id, reason=str(error)
        )
        return REFUSED, f"{sentence} {problem}".rstrip()
    # What the undo saw last of a tree proved it: nothing was changed after that.
    engine.facts.forget(seen_since_s=began_s)
    if ended.status not in ("committed", "undone", "pending"):
        problem = engine.record(
            "rollback-failed", steps=_about(record), transaction=record.id,
            reason=ended.reason, **(harm[0].fields if harm else {}),
        )  # fmt: skip
        still = watch.still_lost() if ended.status == "rolled-back" else ""
        if still:
            return NEEDS_PERSON, f"The undo of {name} failed: {ended.reason} {still} {problem}"
        return failure(f"The undo of {name}", ended, ended.reason, problem)
    done.append(record.id)
    if ended.reason:
        told.sentences.append(ended.reason)
    told.chosen |= ended.resolved
    with contextlib.suppress(HostError):  # it is undone all the same
        told.sentences += staying.sentences(keeper, stays)
    if ended.status == "pending":
        guarded_run.covers(ended.id, record.id)
    more: dict[str, object] = {"resolved": dict(ended.resolved)} if ended.resolved else {}
    if gone:
        told.sentences.append(f"Since {name} is undone: {gone[0]}.")
        more["lost"] = gone
    problem = engine.record(
        "rollback", steps=_about(record), transaction=ended.id, undoes=record.id, **more
    )
    engine.say(name, "done", "undone", transaction=ended.id)
    for step_id in record.steps:
        if step_id not in engine.catalogue.steps:
            continue
        try:
            result = engine.measure(engine.prepare(engine.catalogue.step(step_id)))
            engine.emit(FindingEvent(result=result))
        except (HostError, StepError) as error:  # it is undone all the same
            engine.say(step_id, "done", f"how it stands now was not measured: {error}")
    if problem:
        return NEEDS_PERSON, f"{name} was undone. {problem}"
    return GOOD, ""
