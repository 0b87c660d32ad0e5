"""Recovering: what was interrupted is rolled back, and the log says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from host.base import HostError
from snapshots.model import Busy, TransactionRecord
from snapshots.recover import recover as roll_back_open
from steps.apply import GOOD, LOCK_WAIT_S, NEEDS_PERSON, REFUSED
from steps.listener import Listener
from steps.resource import StepError

if TYPE_CHECKING:
    from steps.engine import Engine


def recover(engine: Engine) -> tuple[int, str, list[str]]:
    """Exit status, a sentence, and the ids of the transactions that were closed."""
    try:
        with engine.state.lock("recover", LOCK_WAIT_S):
            listener = Listener(engine.emit, engine.redact)
            records = roll_back_open(engine.host, engine.state, listener)
            engine.facts.forget()
            for record in records:
                _tidy(engine, record)
    except Busy as error:
        return REFUSED, str(error), []
    left = []
    for record in records:
        name = ", ".join(record.steps) or record.id
        problem = engine.record(
            "recover",
            steps=list(record.steps),
            transaction=record.id,
            status=record.status,
            reason=record.reason,
        )
        if problem:
            left.append(problem)
        if record.status == "needs-person":
            left.append(f"{name}: {record.reason}")
            engine.say(name, "failed", record.reason, transaction=record.id)
        else:
            engine.say(name, "done", record.status, transaction=record.id)
    ids = [record.id for record in records]
    if left:
        return NEEDS_PERSON, f"Not everything could be brought back: {'; '.join(left)}", ids
    if not records:
        return GOOD, "Nothing was interrupted; there is nothing to recover.", ids
    names = ", ".join(", ".join(record.steps) or record.id for record in records)
    return GOOD, f"Brought back to the state before: {names}.", ids


def _tidy(engine: Engine, record: TransactionRecord) -> None:
    """What the proofs of a killed process left; the host is back where it was all the same."""
    for step_id in record.steps:
        step = engine.catalogue.steps.get(step_id)
        if step is None:
            continue
        try:
            for resource in engine.prepare(step).resources:
                resource.tidy(engine.ctx)
        except (HostError, StepError) as error:
            engine.say(step_id, "done", f"a probe it may have left was not looked for: {error}")
