"""Looking on at what waits for its confirmation, for whoever did not start it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from host.base import HostError
from snapshots import guard as guards
from snapshots.guard import Guard
from snapshots.model import TransactionRecord
from snapshots.records import Records
from snapshots.typed import by_number
from steps import guarding, new_login
from steps.events import GuardEvent, GuardPhase
from steps.guarding import LOGIN_POLL_S, POLL_S

if TYPE_CHECKING:
    from steps.engine import Engine

DECIDED_WITHIN_S = 20.0
"""Once a guard is gone its transactions say within this time how it ended: kept needs a write or
two, and a lock that somebody else may hold for a moment."""


def now(engine: Engine) -> GuardEvent | None:
    """How it stands with what is guarded; `None` where nothing is.

    Raises `SnapshotError` where that cannot be read.
    """
    guard = guarding.standing(engine)
    if guard is None or guards.was_put_back_by_script(engine.state):
        return None
    login = _seen(engine, guard) if guard.phase == "waiting" else ""
    return guarding.event(engine, guard, _phase(guard, login), login)


def until_decided(engine: Engine, *, listened_to: Callable[[], bool]) -> None:
    """Say it as `now` does, each time it changes, and at last how it ended.

    Ends too where nobody is `listened_to` any more. Raises `SnapshotError`.
    """
    last: Guard | None = None
    said, asked_s, login = ("", 0.0, ""), 0.0, ""
    while listened_to():
        guard = guarding.standing(engine)
        if guard is None or guards.was_put_back_by_script(engine.state):
            break
        if last is not None and not set(last.transactions) & set(guard.transactions):
            _tell_end(engine, last)
            said, login = ("", 0.0, ""), ""
        if guard.phase == "waiting" and not login and time.monotonic() - asked_s >= LOGIN_POLL_S:
            login, asked_s = _seen(engine, guard), time.monotonic()
        if guard.phase == "working":  # while it is being made its deadline moves all the time
            standing = ("armed", 0.0, "")
        else:
            standing = ("waiting", guards.deadline_s(engine.state), login)
        if standing != said:
            said = standing
            engine.emit(guarding.event(engine, guard, _phase(guard, login), login))
        last = guard
        time.sleep(POLL_S)
    if last is not None and listened_to():
        _tell_end(engine, last)


def _phase(guard: Guard, login: str) -> GuardPhase:
    if guard.phase == "working":
        return "armed"
    return "login" if login else "waiting"


def _seen(engine: Engine, guard: Guard) -> str:
    try:
        return new_login.since(engine.ctx, guard)
    except HostError:
        return ""  # `confirm` asks again, and says why it does not know


def _tell_end(engine: Engine, guard: Guard) -> None:
    names = ", ".join(guard.called)
    if guards.was_put_back_by_script(engine.state):
        reason = (
            f"{names} {by_number(guard.called, 'was', 'were')} not confirmed, and"
            f" {guards.told_of_script(engine.state)}. Run `harden-tui recover` to complete it."
        )
        engine.emit(GuardEvent(step=names, phase="taken-back", reasons=(reason,)))
        return
    records = Records(engine.state)
    until_s = time.monotonic() + DECIDED_WITHIN_S
    while True:
        ended = [records.read(tx_id) for tx_id in guard.transactions]
        if not any(one.status in ("pending", "open") for one in ended):
            break
        if time.monotonic() > until_s:
            break
        time.sleep(POLL_S)
    kept = [one for one in ended if one.status in ("committed", "undone")]
    if len(kept) == len(ended):
        engine.emit(GuardEvent(step=names, phase="kept"))
        return
    reason = _why(guard.called, ended)
    engine.emit(GuardEvent(step=names, phase="taken-back", reasons=(reason,)))


def _why(called: Sequence[str], ended: Sequence[TransactionRecord]) -> str:
    names = ", ".join(called)
    left = [one for one in ended if one.status != "rolled-back"]
    if not left:
        return f"{names} {by_number(called, 'was', 'were')} taken back. {ended[0].reason}".rstrip()
    status, reason = left[0].status, left[0].reason
    what = (
        f"{names} {by_number(called, 'is', 'are')} neither kept nor taken back completely"
        f" ({status}). {reason}".rstrip()
    )
    return f"{what} Run `harden-tui recover`."
