"""Recovering: what was interrupted is rolled back, and the words and the log say where the host is.

A working process may be killed at any moment: before its change began, in the middle, or when all
was done and only the last words were missing. Each has its own sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from host.base import HostError
from snapshots import guard as guards
from snapshots.decision import name_of
from snapshots.going_back import sentence
from snapshots.history import transactions
from snapshots.model import Busy, TransactionRecord
from snapshots.recover import recover as roll_back_open
from snapshots.recover import says_more
from steps.apply import LOCK_WAIT_S
from steps.listener import Listener
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED, ROLLED_BACK
from steps.private_copy import remove_left
from steps.resource import StepError
from steps.window_settle import recover as recover_window
from steps.window_work import Ended

if TYPE_CHECKING:
    from steps.engine import Engine

NOTHING = "Nothing was interrupted; there is nothing to recover."

SWITCHED_OFF = (
    "What the dead-man's switch remembered could not be read, so nothing counted as confirmed; it"
    " is off."
)


class CutOff(msgspec.Struct, frozen=True):
    """Work whose process ended before it did. `started` is ISO 8601 UTC; `steps` are as asked for,
    steps or transactions, none for all."""

    command: str
    steps: tuple[str, ...]
    pid: int
    started: str
    last: str | None = None
    """The last transaction there was when it began (empty: none), where that is known."""

    def has_made(self, record: TransactionRecord) -> bool:
        """The last transaction tells where the clock was set back since, or a pid is used again."""
        if self.last is None:
            return record.pid == self.pid and record.started >= self.started[:19]
        return record.pid == self.pid and record.id > self.last


def recover(engine: Engine, cut_off: Sequence[CutOff] = ()) -> tuple[int, str, list[str]]:
    """Exit status, a sentence, and the ids of the transactions that were closed."""
    try:
        with engine.state.lock("recover", LOCK_WAIT_S):
            damaged = guards.is_damaged(engine.state)
            listener = Listener(engine.emit, engine.redact)
            records = roll_back_open(engine.host, engine.state, listener)
            engine.facts.forget()
            known = {record.id: record for record in transactions(engine.state)}
            concerned = {step for record in records for step in record.steps}
            for work in cut_off:
                for name in work.steps:  # an update window has no steps
                    concerned |= set(known[name].steps) if name in known else {name}
            _tidy(engine, concerned)
            window: Ended = (GOOD, "", [])
            if all(record.status == "rolled-back" for record in records):
                window = recover_window(engine)
    except Busy as error:
        return REFUSED, str(error), []
    left = []
    for record in records:
        problem = _log(engine, record)
        if problem:
            left.append(problem)
        if record.status == "needs-person":
            left.append(f"{_name(record)}: {record.reason}")
            engine.say(_name(record), "failed", record.reason, transaction=record.id)
        else:
            engine.say(_name(record), "done", record.status, transaction=record.id)
    ids = [*(record.id for record in records), *window[2]]
    if window[0] not in (GOOD, ROLLED_BACK):
        left.append(window[1])
    back = [record for record in records if record.status == "rolled-back"]
    told = [record.reason for record in back if says_more(record.reason)]
    if left:
        said = f"Not everything could be brought back: {'; '.join(left)}"
        return NEEDS_PERSON, " ".join([sentence(said) if told else said, *told]), ids
    sentences = []
    if records:
        names = ", ".join(_name(record) for record in records)
        sentences.append(f"Brought back to the state before: {names}.")
        sentences += told
    if damaged:
        sentences.append(SWITCHED_OFF)
    if window[1]:
        sentences.append(window[1])
    for work in cut_off:
        sentences += _elsewhere(engine, work, list(known.values()), ids)
    return GOOD, " ".join(sentences) or NOTHING, ids


def _elsewhere(
    engine: Engine, work: CutOff, records: Iterable[TransactionRecord], recovered: Sequence[str]
) -> list[str]:
    """A sentence for each change of cut-off work that needed no recovering."""
    if work.command.startswith("window "):
        return []
    if work.command == "recover":
        return [
            f"{_name(record)} had been brought back before the interruption: the host is in the"
            " state before it."
            for record in records
            if record.status == "rolled-back"
            and record.ended >= work.started[:19]
            and record.id not in recovered
        ]
    own = [record for record in records if work.has_made(record)]
    sentences = []
    for record in own:
        if record.id in recovered:
            continue
        if record.status in ("committed", "undone"):
            _log(engine, record)  # the process may have been killed before it did
            sentences.append(
                f"{_name(record)} was complete before the interruption and is kept: the host is in"
                " the state after it."
            )
        else:
            sentences.append(
                f"{_name(record)} had been taken back before the interruption: the host is in the"
                " state before it."
            )
    if not own:
        what = ", ".join(work.steps) or "what was asked for"
        of = f"the undo of {what}" if work.command == "rollback" else what
        sentences.append(f"Nothing of {of} had begun: the host is in the state before it.")
    return sentences


def _name(record: TransactionRecord) -> str:
    name = name_of(record)
    return f"the undo of {name}" if record.kind == "rollback" else name


def _log(engine: Engine, record: TransactionRecord) -> str:
    return engine.record(
        "recover",
        steps=list(record.steps),
        transaction=record.id,
        status=record.status,
        reason=record.reason,
    )


def _tidy(engine: Engine, step_ids: Iterable[str]) -> None:
    """What rehearsals and proofs left, of a killed process or behind a failing disk.

    The host is back all the same.
    """
    try:
        remove_left(engine.host)
    except HostError as error:
        engine.say("recover", "done", f"a copy that a rehearsal left is still there: {error}")
    for step_id in sorted(step_ids):
        step = engine.catalogue.steps.get(step_id)
        if step is None:
            continue
        try:
            for resource in engine.prepare(step).resources:
                resource.tidy(engine.ctx)
        except (HostError, StepError) as error:
            engine.say(step_id, "done", f"a probe it may have left was not looked for: {error}")
