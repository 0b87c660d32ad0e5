"""Undoing a window: the update failed, and the host goes back to where it was when it was opened.

window.json says "undoing"     from here on whoever finds it goes on
second restore point           where it was not closed yet
dumps of the present state     kept beside those of the start
seals lifted, and what was applied in the window undone
the window's own differences   files of the trees and /etc, packages, units: an undo like any
databases put back             from the dumps of the start
sealed, checked, reported      as at a close
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from host.base import HostError
from host.names import exact_json
from snapshots import undo, window_units, windows
from snapshots.captured import only_changes
from snapshots.decision import name_of
from snapshots.differences_text import between
from snapshots.history import open_for_step
from snapshots.model import (
    UNRESOLVED,
    Busy,
    Delta,
    FileItem,
    Resolution,
    Resolutions,
    SnapshotError,
    TransactionRecord,
    UndoPlan,
)
from snapshots.objects import ObjectStore
from snapshots.records import Records
from snapshots.undo_plan import refusal
from steps import (
    rollback,
    window_close,
    window_databases,
    window_hold,
    window_seals,
    window_store,
)
from steps.apply import interrupted
from steps.listener import Listener
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED, ROLLED_BACK
from steps.resource import StepError
from steps.window_model import Seal, UndoItem, Window, WindowUndoPlan
from steps.window_work import Ended, at_work, install_units, now, over, save

if TYPE_CHECKING:
    from steps.engine import Engine

DIFFS_LIMIT = 1024 * 1024
"""Characters of diffs in one preview: an update of a whole application is not read as a diff."""


def plan(engine: Engine) -> WindowUndoPlan:
    """See `steps.window.plan_undo`."""
    window = _chosen(engine)
    record = Records(engine.state).read(window.id)
    listener = Listener(engine.emit, engine.redact)
    inner = _applied_in(engine, window)
    refusals: list[str] = []
    commands: tuple[str, ...] = ()
    if record.status == "under-way":
        deltas = windows.look(engine.host, engine.state, window.id, listener)
        items = tuple(_from_now(engine, deltas))
    else:
        plans = _plans(engine, window, inner)
        items = tuple(_planned(engine, plans[-1], window))
        commands = plans[-1].commands
        refusals += filter(None, (_conflict(one, window) for one in plans))
    refusals += window_databases.lacking(engine, window)
    refusals += filter(None, (_waits(engine, one) for one in inner))
    reason = interrupted(engine)
    steps = tuple(name_of(one) for one in inner)
    bare = WindowUndoPlan(
        window=window.id,
        opened=window.opened,
        items=tuple(msgspec.structs.replace(item, diff=engine.redact(item.diff)) for item in items),
        commands=commands,
        steps=tuple(name for name in steps if name not in window.steps),
        databases=tuple(dump.database for dump in window.dumps),
        refusals=tuple(filter(None, (reason, *refusals))),
    )
    return msgspec.structs.replace(bare, fingerprint=hashlib.sha256(exact_json(bare)).hexdigest())


def run(engine: Engine, fingerprint: str | None) -> Ended:
    """See `steps.window.undoing`."""
    try:
        with at_work(engine, "window undo"):
            reason = interrupted(engine)
            if reason:
                return REFUSED, reason, []
            planned = plan(engine)
            if planned.refusals:
                problem = engine.record("window-refused", what="window undo",
                                        reasons=list(planned.refusals))  # fmt: skip
                return REFUSED, f"{planned.refusals[0]} {problem}".rstrip(), []
            if fingerprint not in (None, planned.fingerprint):
                return REFUSED, (
                    "The host has changed since this preview; nothing was undone. Look at the"
                    " preview again."
                ), []  # fmt: skip
            return _begin(engine, _chosen(engine))
    except Busy as error:
        return REFUSED, str(error), []
    except (StepError, SnapshotError) as error:
        return REFUSED, str(error), []


def _begin(engine: Engine, window: Window) -> Ended:
    was_open = window_store.read(engine.state) is not None
    made = window.made if was_open else window_units.missing(engine.host)
    deadline = window.deadline if was_open else now().isoformat()
    seals = window.seals if was_open else _present_seals(engine, window)
    window = save(
        engine,
        msgspec.structs.replace(
            window, state="undoing", was_open=was_open, made=made, deadline=deadline, seals=seals,
            given_up=(), restored=(),
        ),
    )  # fmt: skip
    try:
        install_units(engine, window)  # what goes on should this be cut off
    except HostError as error:
        return _give_up(engine, window, str(error))
    return go_on(engine, window)


def go_on(engine: Engine, window: Window) -> Ended:
    """From wherever it was cut off: what was done already is not done again. Call it with the lock
    held."""
    listener = Listener(engine.emit, engine.redact)
    records = Records(engine.state)
    try:
        if records.read(window.id).status == "under-way":
            windows.finish(engine.host, engine.state, window.id, listener)
        if records.read(window.id).status != "undone":
            window = window_databases.keep_present(engine, window, listener)
    except (HostError, OSError) as error:
        return _give_up(engine, window, str(error))
    ended, said, done = window_seals.lift(engine, window.seals)
    inner = _applied_in(engine, window)
    if ended == GOOD and inner:
        # All that stands in an open window goes with it, what was changed after a step in it too.
        chosen = Resolutions("keep-current") if window.was_open else UNRESOLVED
        ids = [one.id for one in inner]
        ended, said, undone = rollback.rollback(engine, ids, False, None, chosen)
        done += undone
    if ended == GOOD and records.read(window.id).status == "committed":
        resolutions = _resolutions(engine, window)
        ended, said, undone = rollback.rollback(engine, [window.id], False, None, resolutions)
        done += undone
    if records.read(window.id).status != "undone":
        gone = [name_of(one) for one in inner if one.id in done]
        return _give_up(engine, window, said, ended, gone)
    window, problems = window_databases.put_back(engine, window, listener)
    if ended != GOOD:
        problems.insert(0, said)
    ended, said, applied = window_seals.put_back(engine, window.seals)
    if ended != GOOD:
        # What was undone is undone; the window is what is left to close.
        save(engine, msgspec.structs.replace(window, failed=said))
        return NEEDS_PERSON, " ".join(
            ["The window was undone, but it could not be sealed:", said, *problems,
             "Mend that, then run `harden-tui recover`."]
        ), done  # fmt: skip
    ended, said, done = window_close.end(engine, window, "undone", [*done, *applied])
    if problems:
        return NEEDS_PERSON, " ".join([said, *problems]), done
    return ended, said, done


def _give_up(
    engine: Engine, window: Window, said: str, ended: int = ROLLED_BACK, gone: Sequence[str] = ()
) -> Ended:
    """The undo failed and took itself back: as open, or as sealed, as it was before.

    `ended` is how it failed; `gone` are the steps applied in the window that are undone already.
    """
    window = window_databases.forget_present(engine, window)
    if window.was_open:
        windows.reopen(engine.state, window.id)
        save(engine, msgspec.structs.replace(window, state="open", failed=said))
        where = "the update window is open as before"
    else:
        sealed, why, _ = window_seals.put_back(engine, window.seals)
        if sealed != GOOD:
            save(engine, msgspec.structs.replace(window, failed=why))
            return NEEDS_PERSON, f"The undo failed ({said}) and sealing again failed too: {why}", []
        over(engine, window, None)
        where = "everything is sealed as before"
    if ended == NEEDS_PERSON:
        where = f"{where.removesuffix(' as before')}, but not all is as before"
    also = ""
    if gone:
        also = f" Applied in it and undone already: {', '.join(gone)}; the next undo goes on there."
    status = "needs-person" if ended == NEEDS_PERSON else "rolled-back"
    problem = engine.record("window-undo-failed", steps=list(window.steps),
                            transaction=window.id, status=status, reason=said)  # fmt: skip
    sentence = f"The window was not undone, and {where}: {said}{also} {problem}".rstrip()
    return NEEDS_PERSON if ended == NEEDS_PERSON else ROLLED_BACK, sentence, []


def _chosen(engine: Engine) -> Window:
    """The window that is open, or the last one. Raises `StepError` where none can be undone."""
    window = window_store.read(engine.state)
    if window is not None:
        if window.state != "open":
            raise StepError(window_store.OTHERS_WORK)
        return window
    ended = window_store.last(engine.state)
    if ended is None:
        raise StepError("There was no update window on this host, so there is none to undo.")
    status = Records(engine.state).read(ended.window.id).status
    if status != "committed":
        raise StepError(f"The last update window is {status} already; there is nothing to undo.")
    return ended.window


def _present_seals(engine: Engine, window: Window) -> tuple[Seal, ...]:
    """What is to be sealed again after the undo of a window that was closed: the seals as they are
    now, since lifting one lifts all of its step, and those of the window that were undone since."""
    present = [one for one in window_seals.standing(engine) if one.step in window.steps]
    known = {(one.step, one.roots) for one in present}
    return (*present, *(one for one in window.seals if (one.step, one.roots) not in known))


def _waits(engine: Engine, record: TransactionRecord) -> str:
    """Why this, which was applied in the window, is not undone with it; empty where it may be.

    While the undo of what guards the way in waits for its confirmation others may change the host:
    the undo of a window must not stand half-way then.
    """
    if not rollback.is_guarded(engine, record):
        return ""
    name = ", ".join(record.steps)
    return (
        f"{name} was applied in the window and guards the way in, so its undo waits for a new"
        f" login; nothing was undone. Undo it first: `harden-tui rollback {record.id}`."
    )


def _conflict(planned: UndoPlan, window: Window) -> str:
    """Why this part of the undo is for a person; empty where it is not."""
    if planned.transaction != window.id or not planned.conflicts:
        return refusal(planned, UNRESOLVED)
    more = f" and {len(planned.conflicts) - 1} more" if len(planned.conflicts) > 1 else ""
    cannot = planned.conflicts[0].cannot
    if {*cannot} >= {"restore", "merge"}:
        why = cannot["restore"]
        return f"{planned.conflicts[0].key}{more} cannot be undone now: {why}; nothing was undone."
    return (
        f"{planned.conflicts[0].key}{more} was changed by somebody else since the update window was"
        " closed, in the same place; nothing was undone. Make it what the window left"
        f" (`harden-tui history show {window.id}`), then undo the window again."
    )


def _applied_in(engine: Engine, window: Window) -> list[TransactionRecord]:
    """What stands of what was applied in the window, newest first; after it what stands stays."""
    records = Records(engine.state)
    until = records.read(window.id).until
    return [
        record
        for record in reversed(records.all())
        if record.id > window.id
        and record.in_force
        and record.kind in ("apply", "drift")
        and not set(record.steps) & {*window.steps, window_hold.STEP}
        and (not until or record.id <= until)
    ]


def _plans(engine: Engine, window: Window, inner: Sequence[TransactionRecord]) -> list[UndoPlan]:
    """Of a window that was closed: seals, what was applied in it, and the window itself last."""
    seals = [r.id for step in window.steps for r in open_for_step(engine.state, step)]
    ids = [*sorted(seals, reverse=True), *(one.id for one in inner), window.id]
    keep = undo.plan_undos(engine.host, engine.state, ids, UNRESOLVED)
    wanted = _of_trees(keep[-1:], window.trees)
    if not wanted and not any(one.conflicts for one in keep[:-1]):
        return keep
    single: dict[str, Resolution] = {**dict.fromkeys(wanted, "restore")}
    for one in keep[:-1]:
        if one.transaction in seals:
            single |= {item.key: "keep-current" for item in one.conflicts if not item.damaged}
    return undo.plan_undos(engine.host, engine.state, ids, Resolutions(single=single))


def _resolutions(engine: Engine, window: Window) -> Resolutions:
    """In the trees what was at the start comes back whole: what was changed since lies in the
    restore point of the undo. Elsewhere a conflict is for a person."""
    plans = undo.plan_undos(engine.host, engine.state, [window.id], UNRESOLVED)
    return Resolutions(single=dict.fromkeys(_of_trees(plans, window.trees), "restore"))


def _of_trees(plans: Iterable[UndoPlan], trees: Sequence[str]) -> list[str]:
    return [
        item.key
        for one in plans
        for item in one.conflicts
        if any(item.key.startswith(f"{tree.rstrip('/')}/") for tree in trees)
    ]


def _planned(engine: Engine, plan_of_window: UndoPlan, window: Window) -> Iterable[UndoItem]:
    """Of what lies in the trees the plan knows no contents once the seals are lifted in it, because
    those of a seal hold none: the host is asked."""
    trees = tuple(f"{tree.rstrip('/')}/" for tree in window.trees)
    for item in plan_of_window.items:
        if not (item.domain == "files" and item.key.startswith(trees)):
            yield UndoItem(
                domain=item.domain, key=item.key, how=item.how, diff=item.diff, note=item.note
            )
    deltas = only_changes(Records(engine.state).deltas(window.id))
    inside = [d for d in deltas if d.domain == "files" and d.key.startswith(trees)]
    yield from _from_now(engine, inside)


def _from_now(engine: Engine, deltas: Iterable[Delta]) -> Iterable[UndoItem]:
    """Everything goes back to what it was; what is so already is said."""
    store = ObjectStore(engine.state.objects)
    room = DIFFS_LIMIT
    for delta in deltas:
        diff = between(delta.key, delta.after, delta.before, store.get) if room > 0 else ""
        room -= len(diff)
        yield UndoItem(
            domain=delta.domain,
            key=delta.key,
            how="already" if _is_so(engine, delta) else "restore",
            diff=diff,
            note="" if room > 0 else "too long for here: `harden-tui history show` has the diff",
        )


def _is_so(engine: Engine, delta: Delta) -> bool:
    """Whether a file has the content again that it had before."""
    if delta.domain != "files" or not isinstance(delta.before, FileItem | None):
        return False
    now = engine.host.state(delta.key, content=True)
    if now is None or delta.before is None:
        return (now is None) == (delta.before is None)
    was = delta.before.state
    return (now.kind, now.sha256, now.target) == (was.kind, was.sha256, was.target) and (
        now.kind != "dir"
    )
