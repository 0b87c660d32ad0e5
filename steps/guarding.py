"""Guarded changes: armed before they are made, kept only when a person proved the way in.

One guard at a time. The guarded steps of a run that follow each other join it; before anything
else is changed, and at the end, the run waits. Taking back is never done here: `guard.sh` does it,
also when nothing of us is left.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from host.base import HostError
from snapshots import guard as guards
from snapshots.decision import called, name_of
from snapshots.guard import Guard, spoken
from snapshots.guard_switch import Switch, finish_confirmed
from snapshots.model import SnapshotError, TransactionRecord, Unwritable
from snapshots.records import Records
from snapshots.recover import recover
from snapshots.typed import by_number
from steps import new_login
from steps.events import GuardEvent, GuardPhase
from steps.listener import Listener

if TYPE_CHECKING:
    from steps.engine import Engine

GOOD, REFUSED, TAKEN_BACK, NEEDS_PERSON = 0, 3, 4, 5

LOCK_WAIT_S = 10.0
POLL_S = 0.2
LOGIN_POLL_S = 2.0
OVERDUE_S = 90.0
"""So long after the deadline something is wrong with what should have taken the change back."""

NOTHING_WAITS = "Nothing waits for a confirmation."


class GuardedRun:
    """The guard of one run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._records = Records(engine.state)
        self._mine: dict[str, str] = {}
        session = engine.ctx.session
        self.switch = Switch(
            engine.host,
            engine.state,
            program=engine.guarding.program,
            window_s=engine.guarding.window_s,
            user=session.user or engine.user,
            connection=f"{session.client_address} {session.client_port}",
            typed=engine.guarding.typed,
        )

    def covers(self, tx_id: str, of: str = "") -> None:
        """A transaction was made and proved, and waits; `of` is the one it undoes."""
        self._mine[tx_id] = of or tx_id

    @property
    def has_pending(self) -> bool:
        return bool(self._mine)

    def decide(
        self, exit_status: int, sentence: str, done: list[str]
    ) -> tuple[int, str, list[str]]:
        """How a run ended, once what it guarded is kept or taken back: exit status, a sentence,
        and what of `done` there is still."""
        if not self._mine:
            return exit_status, sentence, done
        ended, said = self.wait(done)
        if exit_status == GOOD and ended != GOOD:
            kept = f"{len(done)} done and kept. " if done else ""
            return ended, f"{kept}{said}", done
        return exit_status, f"{sentence} {said}", done

    def wait(self, done: list[str]) -> tuple[int, str]:
        """Until it is decided: exit status and a sentence (0 and "" where nothing waits).

        What went back (or is still not undone) is taken out of `done`.
        """
        ended, said, gone = self._wait()
        done[:] = [one for one in done if one not in gone]
        return ended, said

    def _wait(self) -> tuple[int, str, list[str]]:
        if not self._mine:
            return GOOD, "", []
        mine, self._mine = self._mine, {}
        engine = self._engine
        self.switch.wait()
        guard = guards.read(engine.state)
        if guard is None:
            return self._ended(mine)
        names = ", ".join(guard.called)
        until_s = guards.deadline_s(engine.state)
        self._say(guard, "waiting")
        problem = engine.record("guard", phase="waiting", steps=list(guard.steps))
        if not engine.guarding.wait:
            left = spoken(guards.left_s(engine.state, guard))
            return (
                GOOD,
                f"{names} {by_number(guard.called, 'waits', 'wait')} for your confirmation"
                f" ({left} left): log in a second time and run `{guard.typed} confirm` there, or"
                f" {by_number(guard.called, 'it is', 'they are')} taken back. {problem}".rstrip(),
                [],
            )
        with engine.state.let_go():
            self._watch(until_s)
        engine.facts.forget()
        return self._ended(mine)

    def _watch(self, until_s: float) -> None:
        """`until_s` is the deadline that was said: it may have been moved since."""
        engine = self._engine
        seen, asked_s = "", 0.0
        while True:
            now = guards.read(engine.state)
            if now is None or now.phase == "confirmed":
                return
            if guards.was_put_back_by_script(engine.state):
                return
            if guards.deadline_s(engine.state) != until_s:
                until_s = guards.deadline_s(engine.state)
                self._say(now, "waiting")
            if not seen and time.monotonic() - asked_s >= LOGIN_POLL_S:
                seen = self._seen(now)
                asked_s = time.monotonic()
                if seen:
                    self._say(now, "login", login=seen)
            if guards.boottime_s() > until_s + OVERDUE_S and engine.state.holder() is None:
                recover(engine.host, engine.state, Listener(engine.emit, engine.redact))
                return
            time.sleep(POLL_S)

    def _seen(self, guard: Guard) -> str:
        try:
            return new_login.since(self._engine.ctx, guard)
        except HostError:
            return ""  # `confirm` asks again, and says why it does not know

    def _ended(self, mine: dict[str, str]) -> tuple[int, str, list[str]]:
        engine = self._engine
        with engine.state.lock("guard", LOCK_WAIT_S):
            finish_confirmed(engine.host, engine.state)
        records = [self._records.read(tx_id) for tx_id in mine]
        names = ", ".join(map(called, records))
        was = by_number(records, "was", "were")
        gone = [record for record in records if record.status == "rolled-back"]
        if guards.was_put_back_by_script(engine.state):
            reason = (
                f"{names} {was} not confirmed, and harden-tui could not take"
                f" {by_number(records, 'it', 'them')} back:"
                f" {guards.told_of_script(engine.state)}. Run `harden-tui recover` to complete it."
            )
            self._tell(records, "taken-back", reason)
            return NEEDS_PERSON, reason, list(mine.values())
        if not gone and all(record.status in ("committed", "undone") for record in records):
            self._tell(records, "kept", "")
            return GOOD, f"{names}: confirmed and kept.", []
        if len(gone) == len(records):
            reason = f"{names} {was} taken back. {gone[0].reason}"
            self._tell(records, "taken-back", reason)
            return TAKEN_BACK, reason, [mine[record.id] for record in gone]
        left = next(record for record in records if record not in gone)
        reason = (
            f"{names} {by_number(records, 'is', 'are')} neither kept nor taken back"
            f" ({left.status}). {left.reason}".rstrip()
        )
        self._tell(records, "taken-back", reason)
        return NEEDS_PERSON, f"{reason} Run `harden-tui recover`.", [mine[r.id] for r in gone]

    def _tell(self, records: Sequence[TransactionRecord], phase: GuardPhase, reason: str) -> None:
        names = ", ".join(map(called, records))
        self._engine.emit(GuardEvent(step=names, phase=phase, reasons=(reason,) if reason else ()))
        steps = list(map(name_of, records))
        self._engine.record("guard", phase=phase, steps=steps, reason=reason)

    def _say(self, guard: Guard, phase: GuardPhase, login: str = "") -> None:
        self._engine.emit(event(self._engine, guard, phase, login))


def event(engine: Engine, guard: Guard, phase: GuardPhase, login: str = "") -> GuardEvent:
    """How it stands with a guard now."""
    left_s = guards.left_s(engine.state, guard)
    deadline = datetime.now(UTC) + timedelta(seconds=left_s)
    return GuardEvent(
        step=", ".join(guard.called),
        phase=phase,
        deadline=deadline.isoformat(timespec="seconds"),
        until_s=guards.deadline_s(engine.state),
        attempt=new_login.attempt(engine.ctx.session, engine.host.name),
        login=login,
    )


def confirm(engine: Engine, *, without_login: bool = False) -> tuple[int, str]:
    """Keep what waits; exit status and a sentence."""
    try:
        with engine.state.lock("confirm", LOCK_WAIT_S):
            kept = finish_confirmed(engine.host, engine.state)
            if kept:
                return GOOD, f"It was confirmed already; {len(kept)} kept."
            guard, refusal = _waiting(engine)
            if guard is None:
                return REFUSED, refusal
            login = new_login.since(engine.ctx, guard)
            if not login and not without_login:
                return REFUSED, _no_login(engine, guard)
            guards.confirm(engine.state, guard, login)
            finish_confirmed(engine.host, engine.state)
    except Unwritable as error:
        return _not_written(engine, error)
    except SnapshotError as error:
        return REFUSED, str(error)
    except OSError as error:
        return _not_written(engine, error)
    names = f"{', '.join(guard.called)} {by_number(guard.called, 'is', 'are')}"
    by = f"after a new login of {login}" if login else "without a new login"
    problem = engine.record("confirm", steps=list(guard.steps), login=login)
    return (NEEDS_PERSON if problem else GOOD), f"{names} kept, {by}. {problem}".rstrip()


def extend(engine: Engine, seconds: int) -> tuple[int, str]:
    """Move the deadline to `seconds` from now; exit status and a sentence."""
    try:
        with engine.state.lock("confirm --extend", LOCK_WAIT_S):
            guard, refusal = _waiting(engine)
            if guard is None:
                return REFUSED, refusal
            with guards.decisive(engine.state):
                if not guards.is_armed(engine.state):
                    return REFUSED, NOTHING_WAITS
                guards.set_deadline(engine.state, seconds)
    except Unwritable as error:
        return _not_written(engine, error)
    except SnapshotError as error:
        return REFUSED, str(error)
    except OSError as error:
        return _not_written(engine, error)
    problem = engine.record("guard", phase="extended", steps=list(guard.steps), seconds=seconds)
    waits = by_number(guard.called, "waits", "wait")
    sentence = f"{', '.join(guard.called)} {waits} {spoken(seconds)} from now. {problem}"
    return (NEEDS_PERSON if problem else GOOD), sentence.rstrip()


def _not_written(engine: Engine, error: OSError | Unwritable) -> tuple[int, str]:
    """What became of an answer during which the disk failed or was full."""
    if isinstance(error, Unwritable):
        if not isinstance(error.__cause__, OSError) or guards.read(engine.state) is None:
            return REFUSED, str(error)
        error = error.__cause__
    why = f"{error.filename or engine.state.path}: {error.strerror}"
    mend = "Make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Mend that"
    guard = guards.read(engine.state)
    if guard is None:
        return NEEDS_PERSON, f"{why}. Nothing waits any more; `harden-tui history list` shows it."
    names, several = ", ".join(guard.called), len(guard.called) > 1
    if guard.phase == "confirmed":
        return NEEDS_PERSON, (
            f"{names} {'are' if several else 'is'} confirmed and kept, but not all of that could"
            f" be written down ({why}). {mend}, then run `harden-tui recover`, which completes it."
        )
    left = spoken(guards.left_s(engine.state, guard))
    return REFUSED, (
        f"Your answer could not be written down ({why}); {names} still"
        f" {'wait' if several else 'waits'}. {mend}, then run `{guard.typed} confirm` again"
        f" ({left} left, then {'they are' if several else 'it is'} taken back)."
    )


def standing(engine: Engine) -> Guard | None:
    """What waits or is being made; `None` where nothing is guarded."""
    guard = guards.read(engine.state)
    return guard if guard is not None and guard.phase != "confirmed" else None


def _waiting(engine: Engine) -> tuple[Guard | None, str]:
    """The guard that can be confirmed, or why there is none."""
    guard = standing(engine)
    if guard is None:
        return None, f"{NOTHING_WAITS} `harden-tui history list` shows what was kept or taken back."
    if guards.was_put_back_by_script(engine.state):
        return None, (
            f"The deadline has passed, and {guards.told_of_script(engine.state)}; there is nothing"
            " left to confirm. Run `harden-tui recover` to complete it."
        )
    if guards.failed(engine.state, guard):
        return None, (
            f"{guards.told_of_deadline(engine.state, guard)} There is nothing left to confirm."
        )
    if Records(engine.state).open():
        return None, (
            f"{', '.join(guard.called)} was interrupted before it was proved, so it cannot be"
            " confirmed. `harden-tui recover` takes it back."
        )
    return guard, ""


def _no_login(engine: Engine, guard: Guard) -> str:
    left = spoken(guards.left_s(engine.state, guard))
    made = f"{', '.join(guard.called)} {by_number(guard.called, 'was', 'were')} made"
    return (
        f"No administrator has logged in anew since {made}, so nothing was confirmed. Leave this"
        " session as it is, open a second terminal, and try"
        f" `{new_login.attempt(engine.ctx.session, engine.host.name)}`: if it lets you in, run"
        f" `{guard.typed} confirm` there ({left} left). --without-login keeps it all the same."
    )
