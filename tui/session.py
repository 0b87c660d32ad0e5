"""One look at one host: the host, its state, the catalogue and the engine, put together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

import msgspec

from host.base import Host
from host.base import Session as Login
from snapshots.answers import Answers
from snapshots.model import SnapshotError
from snapshots.sessionlog import SessionLog
from snapshots.state import StateDir
from steps.catalog_load import Catalogue, Checklist, load_catalogue
from steps.engine import Engine
from steps.events import Emit, Event
from steps.guard_settings import Guarding
from steps.resource import StepError
from tui.failures import refused, usage
from tui.options import DEFAULT_CHECKLIST, Options
from tui.out import note


class Session(msgspec.Struct, frozen=True):
    """What every command works with."""

    options: Options
    host: Host
    state: StateDir
    catalogue: Catalogue
    checklist: Checklist
    log: SessionLog
    engine: Engine


def silent(_event: Event) -> None:
    """An `Emit` for whoever only wants the answer."""


def open_host(options: Options) -> Host:
    """The host that was asked for."""
    if options.practice:
        from host.practice import PracticeHost

        return PracticeHost(options.practice_root)
    from host.local import LocalHost

    return LocalHost()


def open_state(options: Options) -> StateDir:
    """The state directory. Raises `Stop` (exit 3) where it cannot be used."""
    try:
        state = StateDir(options.state_dir, options.log_dir)
        with contextlib.suppress(FileNotFoundError):
            os.listdir(options.state_dir)
    except OSError as error:
        hint = "" if os.geteuid() == 0 else " Use sudo, or choose another with --state-dir."
        place = f"{error.filename}: " if error.filename else ""
        raise refused(
            f"The state directory {options.state_dir} cannot be used"
            f" ({place}{error.strerror}).{hint}"
        ) from None
    return state


def open_log(options: Options, host: Host) -> SessionLog:
    """The session log of this host."""
    return SessionLog(
        options.log_dir, user=options.user, host=host.name, syslog=not options.practice
    )


def open_session(
    options: Options,
    emit: Emit = silent,
    guarding: Guarding | None = None,
    *,
    site_needed: bool = True,
    answers_needed: bool = True,
) -> Session:
    """Everything a command needs. Raises `Stop`, `StepError` (exit 2) or `HostError` (exit 3).

    What takes back or keeps goes by the records alone: a mistake in a file of the site
    (`site_needed`) or a damaged answers.json (`answers_needed`) is said then, and left out.
    """
    host = open_host(options)
    state = open_state(options)
    left_out: list[str] | None = None if site_needed else []
    catalogue = load_catalogue(host, left_out)
    checklist = _checklist(catalogue, options.checklist, left_out)
    options = with_secrets_named(options, catalogue)
    log = open_log(options, host)
    answers = Answers(state, damaged=None if answers_needed else _note_damaged)
    for sentence in left_out or ():
        note(f"left out here, because nothing of the site is needed: {sentence}")
    engine = Engine(
        host, state, catalogue, checklist, options.values, emit,
        log=log, user=options.user, guarding=guarding, answers=answers,
    )  # fmt: skip
    return Session(options, host, state, catalogue, checklist, log, engine)


def with_checklist(session: Session, name: str) -> Session:
    """The same session with another checklist of its catalogue."""
    checklist = session.catalogue.checklist(name)
    options = msgspec.structs.replace(session.options, checklist=name)
    one = session.engine
    engine = Engine(
        session.host, session.state, session.catalogue, checklist, options.values, one.emit,
        log=session.log, user=one.user, guarding=one.guarding, answers=one.answers,
    )  # fmt: skip
    return msgspec.structs.replace(session, options=options, checklist=checklist, engine=engine)


def _checklist(catalogue: Catalogue, name: str, left_out: list[str] | None) -> Checklist:
    """The checklist of that name; where it may be left out, the usual one stands for it."""
    try:
        return catalogue.checklist(name)
    except StepError as error:
        if left_out is None:
            raise
        if not left_out:  # else its file has been named
            left_out.append(str(error))
        return catalogue.checklist(DEFAULT_CHECKLIST)


def _note_damaged(error: SnapshotError) -> None:
    note(f"done without the answers of this host: {error}")


def with_secrets_named(options: Options, catalogue: Catalogue) -> Options:
    """The options, their `from_stdin` cut down to what is a secret: nothing else is masked.

    Raises `Stop` (exit 2) for a secret that came by an argument or a file.
    """
    secrets = set()
    for step_id, chosen in options.values.items():
        parameters = catalogue.step(step_id).parameters
        for name in chosen:
            label = f"{step_id}.{name}"
            if name not in parameters:
                raise usage(unknown_parameter(step_id, name, parameters))
            if parameters[name].kind != "secret":
                continue
            if label not in options.from_stdin:
                raise usage(
                    f"{label} is a secret: it comes by standard input only (--values -), because"
                    " arguments and files can be read by others."
                )
            secrets.add(label)
    return msgspec.structs.replace(options, from_stdin=frozenset(secrets))


def unknown_parameter(step_id: str, name: str, parameters: Mapping[str, Any]) -> str:
    """The sentence for a parameter that a step does not have."""
    import difflib

    near = difflib.get_close_matches(name, list(parameters), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join(parameters) or "none"
    return f"{step_id} has no parameter {name!r}.{hint} It has: {known}."


def environment(login: Login) -> dict[str, str]:
    """How the administrator came here, as variables for a process away from the terminal.

    An empty SSH_CONNECTION stands for the console: without it the worker would take the latest
    login of the account for the one that started it.
    """
    if not login.over_ssh:
        return {"SSH_CONNECTION": ""}
    words = (
        login.client_address, str(login.client_port),
        login.server_address, str(login.server_port),
    )  # fmt: skip
    return {"SSH_CONNECTION": " ".join(words)}
