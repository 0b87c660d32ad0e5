"""`recover`: what was interrupted, what taking it back writes over, and the work itself."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from host.base import HostError
from snapshots.model import SnapshotError, TransactionRecord
from tui import runs
from tui.cli_change import ask, guarded, must_be_root, must_have_consent, start_and_follow
from tui.failures import refused
from tui.options import Options
from tui.out import Out, note_whose
from tui.paths import is_root
from tui.runs import Run
from tui.session import Session, open_session
from tui.wire import RecoverAnswer
from tui.written_over import sentences

if TYPE_CHECKING:
    from steps.window_model import Window

_UNFINISHED = {
    "open": "was interrupted",
    "pending": "was not confirmed",
    "needs-person": "could not be rolled back",
}


class _Unfinished(NamedTuple):
    """What there is to recover."""

    changes: Sequence[TransactionRecord]
    runs: Mapping[Path, Run]
    window: Window | None
    """Cut off while it was opened, closed or undone."""
    guard_damaged: bool
    guard_left: bool

    def is_any(self) -> bool:
        whole = self.window is not None or self.guard_damaged or self.guard_left
        return bool(self.changes or self.runs or whole)


def recover(options: Options, arguments: argparse.Namespace) -> int:
    """Undo what was interrupted; exit 0 or 5."""
    out = Out()
    session = open_session(options, site_needed=False, answers_needed=False)
    holder = session.state.holder()
    if holder is not None:
        raise refused(
            f"Another harden-tui is at work on this host: {holder}; nothing is interrupted."
            " See it with `harden-tui follow`."
        )
    found = _unfinished(session, options)
    if arguments.dry_run:
        return _dry_run(out, session, found)
    if not found.is_any():
        _nothing_to_recover(out, options)
        return 0
    must_be_root(session)
    must_have_consent(arguments)
    if not arguments.yes:
        _say(out, found, _written_over(session, found.changes))
        ask("Recover?")
    return start_and_follow(out, session, "recover", guarding=guarded(options))


def _unfinished(session: Session, options: Options) -> _Unfinished:
    from snapshots import guard
    from snapshots.history import transactions
    from snapshots.unfinished import to_recover
    from steps import window_store

    state = session.state
    window = window_store.read(state)
    damaged = guard.is_damaged(state)
    return _Unfinished(
        changes=to_recover(transactions(state)),
        runs=runs.cut_off(options.state_dir),
        window=window if window_store.was_interrupted(state, window) else None,
        guard_damaged=damaged,
        guard_left=not damaged and guard.read(state) is not None,
    )


def _dry_run(out: Out, session: Session, found: _Unfinished) -> int:
    from steps.recovery import NOTHING

    if found.changes:
        must_be_root(session)
    answer = _written_over(session, found.changes)
    if session.options.format != "text":
        out.json({"schema": "harden-tui/recover-plan/1", **msgspec.to_builtins(answer)})
    elif found.is_any():
        _say(out, found, answer)
    else:
        out.line(NOTHING)
    return 0


def _say(out: Out, found: _Unfinished, over: RecoverAnswer) -> None:
    """What recovering will do."""
    from snapshots.decision import called
    from steps import window_store

    for record in reversed(found.changes):
        what, how = called(record), _UNFINISHED[record.status]
        out.line(f"{what} {how} ({record.started[:19]} UTC, {record.id}).")
    if found.changes:
        out.line("The host is brought back to the state before.")
    for sentence in sentences(over):
        out.line(sentence)
    if found.window is not None:
        words = "goes back" if found.window.state == "opening" else "is finished"
        out.line(f"{window_store.WHAT[found.window.state]} was interrupted; it {words}.")
    elif found.guard_damaged:
        out.line(
            "What the dead-man's switch remembers cannot be read, so nothing counts as confirmed;"
            " it is switched off."
        )
    elif not found.changes and found.guard_left:
        out.line("Nothing is left to take back; the dead-man's switch is taken away.")
    elif not found.changes:
        what = ", ".join(step for run in found.runs.values() for step in run.steps)
        out.line(f"A run was cut off ({what or 'no step named'}), no change was: it is tidied up.")


def _written_over(session: Session, changes: Sequence[TransactionRecord]) -> RecoverAnswer:
    from snapshots.edited_since import edited_since

    ids = tuple(record.id for record in changes)
    try:
        over = tuple(edited_since(session.engine.host, session.state)) if ids else ()
    except (HostError, SnapshotError, OSError) as error:
        return RecoverAnswer(transactions=ids, unknown=str(error))
    return RecoverAnswer(transactions=ids, written_over=over)


def _nothing_to_recover(out: Out, options: Options) -> None:
    from steps.recovery import NOTHING

    if options.format == "json":
        out.json({"schema": "harden-tui/run/1", "exit": 0, "summary": NOTHING, "transactions": []})
    elif options.format == "events":
        from steps.events import Done

        out.json(Done(exit=0, summary=NOTHING))
    else:
        out.line(NOTHING)
    note_whose(practice=options.practice, root=is_root())
