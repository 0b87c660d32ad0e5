"""`follow`, and how every command that changes the host shows its run."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui import hands, runs
from tui.failures import Stop
from tui.options import Options
from tui.out import Out, StatusLine, note, note_whose
from tui.output import event_text
from tui.paths import is_root

INTERRUPTED = 130


def follow(options: Options, arguments: argparse.Namespace) -> int:
    """Show a run from its start; exits as the work did, and 0 where there is no run."""
    out = Out()
    directory = runs.find(options.state_dir, arguments.run_id)
    if directory is None:
        if options.format == "text":
            out.line("Nothing has run yet on this host.")
        note_whose(practice=options.practice, root=is_root())
        return 0
    return follow_run(out, options, directory)


def goes_on(options: Options, directory: Path) -> int:
    """After Ctrl-C: say so, and how to see the rest; the exit status."""
    program = options.program.removeprefix("sudo ")
    note(f"the work goes on without this terminal; see it with: {program} follow {directory.name}")
    return INTERRUPTED


def follow_run(out: Out, options: Options, directory: Path) -> int:
    """Show a run in the chosen format until it ends. The work does not depend on who looks on."""
    status = StatusLine(wanted=options.format == "text")
    last: dict[str, Any] = {}
    told: set[str] = set()

    def show(event: dict[str, Any], line: bytes) -> None:
        nonlocal last
        last = event
        if options.format == "text" and event.get("event") == "progress":
            status.show(progress_text(event))
            if not status.is_shown:
                _say_once(out, str(event.get("what", "")), told)
            return
        status.clear()
        with _unread():
            if options.format == "events":
                out.json_line(line)
            elif options.format == "text":
                event_text(out, event, told, options.program)

    try:
        exit_status = hands.follow(directory, show)
    except KeyboardInterrupt:
        status.clear()
        return goes_on(options, directory)
    except Stop as stop:
        status.clear()
        if options.format == "json":
            out.json(run_document(directory, {"exit": stop.exit, "summary": stop.message}))
        raise
    status.clear()
    if options.format == "json":
        with _unread():
            out.json(run_document(directory, last))
    return exit_status


def _say_once(out: Out, what: str, told: set[str]) -> None:
    """What is waited for, to a log: no line there says what goes on now."""
    if what.startswith(("waiting for", "waiting up to")) and what not in told:
        told.add(what)
        with _unread():
            out.line(f"    {what}", "dim")


@contextlib.contextmanager
def _unread() -> Iterator[None]:
    """An answer that a full disk swallows is said, and changes nothing of how the work ended."""
    try:
        yield
    except Stop as stop:
        note(f"{stop.message} The work goes on; `harden-tui follow` shows it.")


def run_document(directory: Path, done: dict[str, Any]) -> dict[str, Any]:
    """`harden-tui/run/1`."""
    run = runs.read(directory)
    return {
        "schema": "harden-tui/run/1",
        "run": run.run,
        "command": run.command,
        "status": run.status,
        "exit": done.get("exit", run.exit),
        "summary": done.get("summary", run.summary),
        "transactions": done.get("transactions", []),
        "seconds": done.get("seconds", 0.0),
    }


def progress_text(event: dict[str, Any]) -> str:
    """ "capturing /etc (1200 of 3000)"."""
    count = f" ({event['done']}" if event.get("done") else ""
    if count:
        count += f" of {event['total']})" if event.get("total") else ")"
    return f"{event['what']}{count}"
