"""Drift as an administrator meets it: which steps it concerns, who wins, and settling it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast, get_args

import msgspec

from host.facts.statoverride import FILE as STATOVERRIDE
from host.names import visible
from snapshots import drift_plan, drift_settle
from snapshots.drift import Choice
from snapshots.drift_look import Drift, Seen
from snapshots.drift_plan import SettlePlan
from snapshots.model import Busy, DomainName, Key, SnapshotError, TransactionRecord, Worked
from steps.apply import LOCK_WAIT_S, interrupted
from steps.drift_model import DriftReport, DriftRow, Verdict
from steps.events import ChangeEvent, FindingEvent, GuardEvent
from steps.guarding import GuardedRun
from steps.health import Meant
from steps.listener import Listener
from steps.model import Finding, Status, StepResult
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED, failure
from steps.watch import Watch

if TYPE_CHECKING:
    from steps.engine import Engine, Prepared

DIFFS_LIMIT = 1024 * 1024
"""Characters of diffs in one report: an upgrade of half the host is not read as a diff."""

_WAS_GOOD = ("pass", "not-applicable")
_DONE = {"restore": "Put back", "merge": "Merged", "accept": "Accepted"}


def report(engine: Engine, drift: Drift, results: Iterable[StepResult]) -> DriftReport:
    """What was seen, with how the steps it concerns stand and without secrets."""
    results = list(results)
    rows = []
    room = DIFFS_LIMIT
    for seen in drift.seen:
        diff = engine.redact(seen.diff)
        if len(diff) > room:
            name = shlex.quote(visible(seen.thing.key))
            diff = f"too long for here: `harden-tui drift show {name}`"
        room -= len(diff)
        rows.append(_row(seen, diff, results, engine.redact))
    return DriftReport(
        since=drift.since,
        transaction=drift.transaction,
        problem=drift.problem,
        things=tuple(sorted(rows, key=lambda row: not row.concerned)),
    )


def plan(engine: Engine, choice: Choice, keys: Sequence[Key]) -> SettlePlan:
    """What settling would do; nothing is changed. Raises `HostError`."""
    planned = drift_plan.plan(engine.host, engine.state, choice, keys)
    items = [msgspec.structs.replace(item, diff=engine.redact(item.diff)) for item in planned.items]
    if choice != "accept" and not planned.refusals:
        shut_out = _guarded(engine, planned.steps)
        if shut_out:
            items[0] = msgspec.structs.replace(items[0], refused=shut_out)
    return msgspec.structs.replace(planned, items=tuple(items))


def accept(
    engine: Engine, keys: Sequence[Key], fingerprint: str | None
) -> tuple[int, str, list[str]]:
    """Expect things as they stand; exit status, a sentence, and no transaction."""
    try:
        with engine.state.lock("drift accept", LOCK_WAIT_S):
            planned = drift_settle.accept(
                engine.host,
                engine.state,
                keys,
                expect_fingerprint=fingerprint,
                user=engine.user,
            )
    except SnapshotError as error:
        return REFUSED, str(error), []
    names = [item.key for item in planned.items]
    problem = engine.record("drift-accept", steps=list(planned.steps), things=names)
    sentence = f"Accepted as it stands: {', '.join(names)}. {problem}".rstrip()
    return NEEDS_PERSON if problem else GOOD, sentence, []


def settle(
    engine: Engine, choice: Choice, keys: Sequence[Key], fingerprint: str | None
) -> tuple[int, str, list[str]]:
    """Put back or merge; exit status, a sentence, and the transaction that did it."""
    name = ", ".join(key for _, key in keys)
    try:
        with engine.state.lock(f"drift {choice}", LOCK_WAIT_S):
            refusal = interrupted(engine)
            if refusal:
                return REFUSED, refusal, []
            planned = plan(engine, choice, keys)
            if planned.refusals:
                return _refused(engine, choice, name, planned.refusals)
            guarded_run = GuardedRun(engine)
            ended = _settle(engine, choice, keys, planned, fingerprint, guarded_run)
            return guarded_run.decide(*ended)
    except (Busy, SnapshotError) as error:
        return REFUSED, str(error), []


def keys_of(words: Iterable[str]) -> list[Key]:
    """ "files /etc/hosts" -> ("files", "/etc/hosts"). Raises `SnapshotError`."""
    found: list[Key] = []
    for word in words:
        domain, _, key = word.partition(" ")
        if domain not in get_args(DomainName) or not key:
            raise SnapshotError(f"{word!r} names nothing that can drift; nothing was changed.")
        found.append((cast(DomainName, domain), key))
    return found


def _settle(
    engine: Engine,
    choice: Choice,
    keys: Sequence[Key],
    planned: SettlePlan,
    fingerprint: str | None,
    guarded_run: GuardedRun,
) -> tuple[int, str, list[str]]:
    name = ", ".join(item.key for item in planned.items)
    engine.say(name, "applying", f"{choice} what changed outside harden-tui")
    concerned = [
        engine.prepare(engine.catalogue.step(step_id))
        for step_id in planned.steps
        if step_id in engine.catalogue.steps
    ]
    stops = tuple(item.key for item in planned.items if item.domain == "units")
    guarded = any(one.step.guard for one in concerned)
    switch = guarded_run.switch if guarded else None
    listener = Listener(engine.emit, engine.redact, switch.alive if switch else None)
    prove, worked, stands = _proof(engine, concerned, stops)
    record = drift_settle.settle(
        engine.host,
        engine.state,
        choice,
        keys,
        expect_fingerprint=fingerprint,
        user=engine.user,
        prove=prove,
        worked=worked,
        progress=listener,
        switch=switch,
    )
    engine.facts.forget()
    if record.status == "pending":
        guarded_run.covers(record.id)
    return _ended(engine, choice, name, planned, record, stands)


def _ended(
    engine: Engine,
    choice: Choice,
    name: str,
    planned: SettlePlan,
    record: TransactionRecord,
    stands: Mapping[str, Status],
) -> tuple[int, str, list[str]]:
    things = [item.key for item in planned.items]
    steps = list(planned.steps)
    if record.status not in ("committed", "pending"):
        reason = engine.redact(record.reason)
        problem = engine.record(
            f"drift-{choice}-failed", steps=steps, things=things,
            transaction=record.id, status=record.status, reason=reason,
        )  # fmt: skip
        engine.say(name, "failed", reason, transaction=record.id)
        return *failure(f"The {choice} of {name}", record, reason, problem), []
    for item in planned.items:
        engine.emit(
            ChangeEvent(step=name, summary=f"{choice} {item.key}", diff=item.diff, applied=True)
        )
    problem = engine.record(f"drift-{choice}", steps=steps, things=things, transaction=record.id)
    engine.say(name, "done", _DONE[choice].lower(), transaction=record.id)
    sentence = f"{settled(_DONE[choice], name, stands)} {record.reason} {problem}"
    return NEEDS_PERSON if problem else GOOD, " ".join(sentence.split()), [record.id]


def settled(done: str, name: str, stands: Mapping[str, Status]) -> str:
    """What became of `name`, and no more than was measured: `stands` are the steps it concerns."""
    if "pass" in stands.values() and all(status in _WAS_GOOD for status in stands.values()):
        return f"{done} and proved: {name}."
    words = {"unknown": "could not be measured (unknown)", "error": "could not be measured (error)",
             "fail": "does not pass"}  # fmt: skip
    others = (
        f"{step_id} {words.get(status, f'is {status}')}."
        for step_id, status in stands.items()
        if status not in _WAS_GOOD
    )
    return " ".join((f"{done}: {name}.", *others))


def _refused(
    engine: Engine, choice: Choice, name: str, reasons: tuple[str, ...]
) -> tuple[int, str, list[str]]:
    engine.emit(GuardEvent(step=name, reasons=reasons))
    engine.say(name, "refused", reasons[0])
    problem = engine.record("refused", things=[name], what=f"drift {choice}", reasons=list(reasons))
    return REFUSED, f"{reasons[0]} {problem}".rstrip(), []


def _guarded(engine: Engine, step_ids: Iterable[str]) -> str:
    """Why a step that guards logins or the network would be refused now; empty if none would.

    What puts its files back is as good as applying it. Where the daemon cannot be asked now, what
    is there is broken already, and nothing could be foreseen.
    """
    for step_id in step_ids:
        step = engine.catalogue.steps.get(step_id)
        if step is None or not step.guard:
            continue
        one = engine.prepare(step)
        if engine.measured(one).status in ("unknown", "error"):
            continue
        work = engine.work(one)
        for reason in (*work.refusals, *work.lockouts):
            return reason
    return ""


def _proof(
    engine: Engine, concerned: Sequence[Prepared], stops: tuple[str, ...]
) -> tuple[Callable[[], None], Worked, Mapping[str, Status]]:
    """Measure now; what is returned raises `HostError` where anything got worse since. And what
    works now, and how the steps stand, once it was called."""
    engine.facts.forget()
    watch = Watch(engine)
    worked = watch.look()
    was: dict[str, Status] = {one.step.id: engine.measured(one).status for one in concerned}
    stands: dict[str, Status] = {}

    def prove() -> None:
        engine.facts.forget()
        for one in concerned:
            measured = engine.measured(one)
            engine.emit(FindingEvent(result=engine.judged(measured)))
            stands[one.step.id] = measured.status
            if was[one.step.id] in _WAS_GOOD and measured.status not in _WAS_GOOD:
                raise SnapshotError(f"after it {one.step.id} is {measured.status}")
        watch.require(Meant(stops))

    return prove, worked, stands


def _row(
    seen: Seen, diff: str, results: Sequence[StepResult], redact: Callable[[str], str]
) -> DriftRow:
    thing, origin = seen.thing, seen.origin
    return DriftRow(
        domain=thing.domain,
        key=thing.key,
        kind=thing.kind,
        when=origin.when,
        owner=origin.owner,
        package=origin.package,
        explained=origin.explained,
        told=tuple(map(redact, origin.told)),
        steps=thing.steps,
        transactions=tuple(one.record.id for one in thing.standing),
        verdicts=tuple(_verdicts(thing.key, thing.steps, results)),
        choices=seen.choices,
        cannot=seen.cannot,
        diff=diff,
    )


def _verdicts(key: str, steps: Sequence[str], results: Sequence[StepResult]) -> Iterable[Verdict]:
    """How steps stand that wrote `key`, or to which it matters that it is not right.

    A step asks for many things: one that fails over others says nothing of this one.
    """
    for result in results:
        wrote = result.id in steps
        wrong = [finding for finding in result.findings if finding.applicable and not finding.ok]
        named = [finding for finding in wrong if finding.origin]
        here = [finding for finding in named if _is_about(finding, key)]
        # Another file may win over what the step wrote here. One with a wrong mode does not.
        asked = [f for f in named if f in here or not _is_of_a_file(f)] if wrote else here
        failing = [finding for finding in asked if finding.ok is False]
        shown = failing or [finding for finding in here if finding.ok is None]
        if not wrote and not shown:
            continue
        # What has no origin (a line that is missing, say) may be the doing of whoever edited this.
        unknown = wrote and any(f.ok is False and not f.origin for f in wrong)
        yield Verdict(
            step=result.id,
            status=result.status,
            decided_by=tuple(map(_who_wins, shown)),
            elsewhere=result.status == "fail" and not failing and not unknown,
        )


def _is_about(finding: Finding, key: str) -> bool:
    """Whether `key` decides the setting, or is the very file whose mode is asked for."""
    return key in (finding.setting, finding.origin.partition(":")[0])


def _is_of_a_file(finding: Finding) -> bool:
    """Whether it is about a file itself (its mode and owner), not about a setting in it."""
    return finding.origin.partition(":")[0] in (finding.setting, STATOVERRIDE)


def _who_wins(finding: Finding) -> str:
    value = finding.persistent or finding.running or "not set"
    return f"{finding.setting} {value}: {finding.origin}"
