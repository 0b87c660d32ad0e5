"""One step in its transaction: changed, proved, and kept or taken back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from host.base import HostError
from snapshots import opening, transaction
from snapshots.execute import path_of
from snapshots.guard_switch import Switch
from snapshots.model import SnapshotError, Worked, secret_path
from steps.events import ChangeEvent, FindingEvent
from steps.health import Meant
from steps.listener import Listener
from steps.model import StepResult
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED, failure
from steps.plan import StepPlan, Work, fingerprint
from steps.watch import Unhealthy, Watch

if TYPE_CHECKING:
    from steps.engine import Engine, Prepared


class _Unproved(HostError):
    """The change was made and the host does not answer as it should."""


def apply_one(
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
    try:
        with watch.looking() as look:
            unmeasured = _unmeasured(engine.measured(one))
            listener.doing("capturing the state before")
            tx = _begin(
                engine, one, work, _as_planned(engine, work, approved, look), listener, switch
            )
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


def _as_planned(
    engine: Engine, work: Work, approved: StepPlan, look: Callable[[], Worked]
) -> Callable[[], Worked]:
    """`look`, with the locks held: whoever held them before us may have written the same files."""

    def looked() -> Worked:
        if fingerprint(work, engine.host) != approved.fingerprint:
            raise SnapshotError(
                "what it would change has changed since it was planned. Look at the preview again."
            )
        return look()

    return looked


def _begin(
    engine: Engine,
    one: Prepared,
    work: Work,
    look: Callable[[], Worked],
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
        secret_paths=tuple(filter(None, map(secret_path, work.changes))),
        named=tuple(filter(None, map(path_of, work.changes))),
        worked=look,
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
        return failure(one.step.id, record, engine.redact(record.reason), problem)
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
