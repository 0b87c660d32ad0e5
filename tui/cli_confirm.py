"""`confirm`: keep a guarded change, say how it stands, or move its deadline."""

from __future__ import annotations

import argparse
import select
import sys
import time
from typing import Any

import msgspec

from snapshots import guard as guards
from snapshots.guard import Guard, spoken
from snapshots.typed import by_number
from steps import guard_look, guarding, new_login
from steps.events import Done
from tui.cli_change import duration, must_be_root
from tui.failures import Stop, usage
from tui.options import Options
from tui.out import Out, note_whose
from tui.paths import is_root
from tui.session import Session, open_session
from tui.typed_word import insist


def confirm(options: Options, arguments: argparse.Namespace) -> int:
    """Exit 0 where it is kept (or said), 3 where it is not, 5 where a person must look."""
    _must_be_one(arguments)
    seconds = 0 if arguments.extend is None else duration("--extend", arguments.extend)
    session = open_session(options, site_needed=False, answers_needed=False)
    out = Out()
    if arguments.status:
        return _status(out, session)
    must_be_root(session)
    if seconds:
        return _answer(out, options, *guarding.extend(session.engine, seconds))
    if arguments.without_login and guarding.standing(session.engine) is not None:
        insist(session.host.name, arguments.word, "keep what nobody has proved by a new login")
    exit_status, sentence = guarding.confirm(session.engine, without_login=arguments.without_login)
    return _answer(out, options, exit_status, sentence)


def _must_be_one(arguments: argparse.Namespace) -> None:
    """Raise `Stop` (exit 2) where an option would be dropped: a deadline that was not moved."""
    given = {
        "--status": arguments.status,
        "--extend": arguments.extend is not None,
        "--without-login": arguments.without_login,
    }
    if sum(given.values()) > 1:
        raise usage(f"Give one of {', '.join(given)}.")


def _answer(out: Out, options: Options, exit_status: int, sentence: str) -> int:
    if exit_status:
        raise Stop(exit_status, sentence)
    if options.format == "text":
        out.line(sentence)
    else:
        out.json({"schema": "harden-tui/answer/1", "summary": sentence})
    return exit_status


def _status(out: Out, session: Session) -> int:
    engine = session.engine
    guard = guarding.standing(engine)
    if session.options.format == "events":
        return _look_on(out, session)
    note_whose(practice=session.options.practice, root=is_root())
    if session.options.format == "json":
        out.json({"schema": "harden-tui/guard/1", "guard": _document(session, guard)})
        return 0
    if guard is None:
        out.line(guarding.NOTHING_WAITS)
        return 0
    past = guards.told_of_deadline(session.state, guard)
    if past:
        out.line(past)
        return 0
    left = spoken(guards.left_s(session.state, guard))
    how = by_number(guard.called, *_PHASES[guard.phase])
    out.line(f"{', '.join(guard.called)}: {how}, {left} left")
    login = new_login.since(engine.ctx, guard)
    out.line(f"logged in since: {login or 'nobody'}")
    if not login:
        out.line(f"try: {new_login.attempt(engine.ctx.session, session.host.name)}")
    return 0


def _look_on(out: Out, session: Session) -> int:
    """How it stands as events, until it is decided or nobody reads them any more."""
    session.engine.emit = out.json
    began = time.monotonic()
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)

    def listened_to() -> bool:
        return not any(what & (select.POLLERR | select.POLLHUP) for _, what in reader.poll(0))

    guard_look.until_decided(session.engine, listened_to=listened_to)
    seconds = round(time.monotonic() - began, 3)
    out.json(Done(exit=0, summary=guarding.NOTHING_WAITS, seconds=seconds))
    return 0


_PHASES = {
    "working": ("being applied", "being applied"),
    "waiting": ("waits for your confirmation", "wait for your confirmation"),
}


def _document(session: Session, guard: Guard | None) -> dict[str, Any] | None:
    if guard is None:
        return None
    event = guarding.event(session.engine, guard, "waiting")
    return {
        "steps": guard.steps,
        "names": guard.called,
        "transactions": guard.transactions,
        "phase": guard.phase,
        "seconds_left": round(guards.left_s(session.state, guard), 1),
        **{name: msgspec.to_builtins(getattr(event, name)) for name in ("deadline", "attempt")},
        "login": new_login.since(session.engine.ctx, guard),
    }
