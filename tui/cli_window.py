"""`window`: lift the seals for an update, seal again, and undo what failed."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

import msgspec

from steps import window
from steps.window_model import SCHEMA
from tui import window_text as text
from tui.cli_change import ask, guarded, must_be_root, must_have_consent, start_and_follow
from tui.cli_check import banner
from tui.failures import refused, usage
from tui.options import Options
from tui.out import Out, StatusLine, note_whose
from tui.paths import is_root
from tui.session import Session, open_session, open_state, silent, with_checklist


def run(options: Options, arguments: argparse.Namespace) -> int:
    """status: exit 0, 1 where none is open. The others: 0, 3 (refused), 4, 5."""
    what: str = arguments.what
    _only(arguments, "--for", what in ("open", "extend"), arguments.for_)
    _only(arguments, "--dump", what == "open", arguments.dump)
    _only(arguments, "--note", what == "open", arguments.note)
    _only(arguments, "--at-deadline", what == "close", arguments.at_deadline)
    if what == "status":
        return _status(options)
    if what == "keep-packages":
        return _keep_packages(options)
    if what == "open":
        return _open(options, arguments)
    if what == "extend":
        return _extend(options, arguments)
    return _close(options, arguments) if what == "close" else _undo(options, arguments)


def _status(options: Options) -> int:
    out = Out()
    status = window.status(open_state(options))
    if options.format == "text":
        text.status_text(out, status)
        note_whose(practice=options.practice, root=is_root())
    elif options.format == "json":
        out.json(status)
    else:
        from steps.events import Done, WindowEvent

        out.json(WindowEvent(window=status.window, report=status.last))
        out.json(Done(exit=0 if status.window is not None else 1, summary=""))
    return 0 if status.window is not None else 1


def _open(options: Options, arguments: argparse.Namespace) -> int:
    for_s = _seconds(arguments.for_ or "4h")
    out = Out()
    session = _session(options, "open")
    planned = None
    if arguments.dry_run or not arguments.yes:
        planned = window.plan_open(session.engine, for_s=for_s, dumps=arguments.dump)
    if arguments.dry_run:
        return _shown(out, session, planned, text.open_text)
    must_be_root(session)
    must_have_consent(arguments)
    if planned is not None:
        banner(out, session)
        text.open_text(out, planned)
        if planned.refusals:
            raise refused("Nothing was changed; the reasons are above.")
        ask("Open?")
    asked = {"for_s": for_s, "dumps": arguments.dump, "note": arguments.note or ""}
    return _start(out, session, "window open", asked)


def _extend(options: Options, arguments: argparse.Namespace) -> int:
    if not arguments.for_:
        raise usage("window extend needs --for, how long from now: --for 2h.")
    for_s = _seconds(arguments.for_)
    out = Out()
    session = _session(options, "extend")
    must_be_root(session)
    must_have_consent(arguments)
    if not arguments.yes:
        status = window.status(session.state)
        text.status_text(out, status)
        if status.window is None:
            raise refused("Nothing was changed.")
        ask(f"Move its deadline to {text.left(for_s)} from now?")
    return _start(out, session, "window extend", {"for_s": for_s})


def _close(options: Options, arguments: argparse.Namespace) -> int:
    out = Out()
    session = _session(options, "close")
    if arguments.dry_run:
        would = window.plan_close(session.engine)
        if would is None:
            raise refused("No update window is open.")
        return _shown(out, session, would, text.close_text)
    must_be_root(session)
    must_have_consent(arguments)
    if arguments.at_deadline and _is_not_yet(session):
        return 0
    if not arguments.yes:
        planned = window.plan_close(session.engine)
        if planned is None:
            raise refused("No update window is open.")
        banner(out, session)
        text.close_text(out, planned)
        if planned.refusals:
            raise refused("Nothing was changed; the reasons are above.")
        ask("Close?")
    status = _start(out, session, "window close", {"by_deadline": arguments.at_deadline})
    # To wait, or to have gone back, is no failure of the unit: that is for what needs a person.
    return 0 if arguments.at_deadline and status in (3, 4) else status


def _is_not_yet(session: Session) -> bool:
    """What the timer asks each few minutes, and mostly there is nothing to start a worker for."""
    status = window.status(session.state)
    if status.window is None or status.interrupted:
        return False
    return status.window.state != "open" or status.left_s > 0


def _undo(options: Options, arguments: argparse.Namespace) -> int:
    out = Out()
    session = _session(options, "undo")
    fingerprint: str | None = arguments.fingerprint
    planned = None
    if arguments.dry_run or not arguments.yes:
        status = StatusLine()
        status.show("asking the host")
        planned = window.plan_undo(session.engine)
        status.clear()
    if arguments.dry_run:
        return _shown(out, session, planned, text.undo_text)
    must_be_root(session)
    must_have_consent(arguments)
    if planned is not None:
        banner(out, session)
        text.undo_text(out, planned)
        if planned.refusals:
            raise refused("Nothing was changed; the reasons are above.")
        ask("Undo?")
        fingerprint = fingerprint or planned.fingerprint
    return _start(out, session, "window undo", {}, fingerprint)


def _keep_packages(options: Options) -> int:
    """What apt calls before it replaces packages: keep what goes. Never keeps apt from working."""
    from snapshots.debs import KeptDebs
    from snapshots.progress import Silent
    from steps.window_hold import keep, replaced
    from tui.out import note

    going = replaced(sys.stdin.buffer.read().decode("utf-8", "replace").splitlines())
    session = _session(options, "keep-packages")
    if going:
        note(f"keeping {len(going)} packages as they are, for `harden-tui window undo`")
        lost = keep(session.host, KeptDebs(session.state.debs), going, Silent())
        if lost:
            note(
                f"{', '.join(lost)} could not be kept and will be replaced all the same:"
                " `harden-tui window undo` needs the old version from the host's sources then"
            )
    return 0


def _session(options: Options, what: str) -> Session:
    """With the checklist of the window there is: it is checked as it was when it was opened.

    To open one needs the files of the site and the answers, to close one the answers.
    """
    session = open_session(
        options,
        silent,
        guarded(options),
        site_needed=what == "open",
        answers_needed=what in ("open", "close"),
    )
    found = window.current(session.state)
    if found is None or found.checklist in (session.checklist.name, ""):
        return session
    if found.checklist not in session.catalogue.checklists:
        return session  # it is gone: closing must not wait for it
    return with_checklist(session, found.checklist)


def _start(
    out: Out,
    session: Session,
    command: str,
    asked: dict[str, Any],
    fingerprint: str | None = None,
) -> int:
    return start_and_follow(
        out, session, command, fingerprint=fingerprint, window=asked,
        guarding=guarded(session.options),
    )  # fmt: skip


def _shown(out: Out, session: Session, planned: Any, show: Any) -> int:
    if session.options.format == "text":
        show(out, planned)
    else:
        out.json({"schema": SCHEMA, **msgspec.to_builtins(planned)})
    return 3 if planned.refusals else 0


def _seconds(text_: str) -> int:
    from steps.window_open import EXPECTED, seconds_of

    seconds = seconds_of(text_)
    if not seconds:
        raise usage(f"--for {text_}: {EXPECTED}.")
    return seconds


def _only(arguments: argparse.Namespace, option: str, fits: bool, value: object) -> None:
    if value and not fits:
        _unfit(option, arguments.what)


def _unfit(option: str, what: str) -> NoReturn:
    raise usage(f"{option} is nothing for `window {what}`; see harden-tui window --help.")
