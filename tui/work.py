"""What the worker does: the job itself, every event of it written down, and how it ended."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from host.names import shown_json
from snapshots.model import Resolutions
from steps.events import Done, Event, Started
from steps.guard_settings import Guarding
from steps.redact import Redactor
from tui import garbage, runs
from tui.failures import NEEDS_PERSON, REFUSED, Scene, Stop, explain, one_line
from tui.options import Options

_NEVER_MASKED = frozenset({"event", "phase", "run", "time", "stage", "status", "id", "step"})
"""Fields that programs decide by: not free text, so no secret stands in them."""


_WITHOUT_SITE = frozenset({"recover", "rollback", "window close", "window extend", "window undo"})
"""Jobs that go by the records: a mistake in the site's files must not keep them from ending."""


class Recorder:
    """Writes events to events.jsonl, one write each, with every known secret masked.

    A disk that is full must not stop the work: what cannot be written is said in worker.log.
    """

    def __init__(self, directory: Path, secrets: list[str]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(directory / "events.jsonl", flags)
        self._redact = Redactor(secrets)
        self._masks = bool(secrets)

    def __call__(self, event: Event) -> None:
        data: Any = event
        if self._masks:
            data = masked(msgspec.to_builtins(event), self._redact)
        try:
            os.write(self._descriptor, shown_json(data) + b"\n")
        except OSError as error:
            print(f"an event could not be written: {error.strerror}", file=sys.stderr, flush=True)

    def sync(self) -> None:
        """Put what was written on disk."""
        with contextlib.suppress(OSError):
            os.fsync(self._descriptor)


def masked(value: Any, redact: Redactor) -> Any:
    """`value` (builtins) with every secret in free text masked."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {
            key: item if key in _NEVER_MASKED else masked(item, redact)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(item, redact) for item in value]
    return value


def work(directory: Path, job: dict[str, Any]) -> None:
    """Do the job of a run. However it ends, the last event and run.json say how."""
    began = time.monotonic()
    given = job["options"]
    options = Options(
        practice=given["practice"],
        state_dir=Path(given["state_dir"]),
        log_dir=Path(given["log_dir"]),
        checklist=given["checklist"],
        values=given["values"],
        from_stdin=frozenset(given["from_stdin"]),
        keep_days=given["keep_days"],
        user=given["user"],
    )
    scene = Scene()
    scene.log_dir = options.log_dir
    scene.secrets = [
        str(value)
        for step, chosen in options.values.items()
        for name, value in chosen.items()
        if f"{step}.{name}" in options.from_stdin
    ]
    emit = Recorder(directory, scene.secrets)
    emit(
        Started(
            run=directory.name,
            command=job["command"],
            steps=tuple(job["steps"]),
            time=runs.now(),
            pid=os.getpid(),
            practice=options.practice,
            user=options.user,
        )
    )
    transactions: tuple[str, ...] = ()
    try:
        exit_status, summary, transactions = _perform(options, job, emit)
    except Stop as stop:
        exit_status, summary = stop.exit, stop.message
    except Exception as error:  # the worker's outermost edge
        exit_status, summary = explain(error, scene)
        exit_status, summary = _if_left_open(options, exit_status, summary)
    summary = one_line(Redactor(scene.secrets)(summary))
    seconds = round(time.monotonic() - began, 3)
    emit(Done(exit=exit_status, summary=summary, transactions=transactions, seconds=seconds))
    emit.sync()
    try:
        runs.mark(directory, status="finished", ended=runs.now(), exit=exit_status, summary=summary)
    except (OSError, Stop) as error:
        print(f"run.json could not be written: {error}", file=sys.stderr, flush=True)


def _perform(
    options: Options, job: dict[str, Any], emit: Recorder
) -> tuple[int, str, tuple[str, ...]]:
    from tui.session import open_session

    guarding = msgspec.convert(job["guarding"], Guarding)
    garbage.begin()
    command = job["command"]
    session = open_session(
        options,
        emit,
        guarding,
        site_needed=command not in _WITHOUT_SITE,
        answers_needed=command not in _WITHOUT_SITE - {"window close"},
    )
    if command == "apply":
        outcome = session.engine.apply(
            job["steps"], job["fingerprint"], forced=job["forced"], keep_going=job["keep_going"]
        )
    elif command == "rollback":
        outcome = session.engine.rollback(
            job["steps"],
            everything=job["everything"],
            fingerprint=job["fingerprint"],
            resolutions=msgspec.convert(job["resolutions"], Resolutions),
        )
    elif command.startswith("drift "):
        from steps import drift

        exit_status, summary, done = drift.settle(
            session.engine,
            "merge" if command == "drift merge" else "restore",
            drift.keys_of(job["things"]),
            job["fingerprint"],
        )
        return exit_status, session.engine.redact(summary), tuple(done)
    elif command.startswith("window "):
        from steps import window

        asked = job["window"]
        if command == "window open":
            ended = window.opening(
                session.engine, for_s=asked["for_s"], dumps=asked["dumps"], note=asked["note"]
            )
        elif command == "window close":
            ended = window.closing(session.engine, by_deadline=asked["by_deadline"])
        elif command == "window extend":
            ended = window.extending(session.engine, asked["for_s"])
        else:
            ended = window.undoing(session.engine, job["fingerprint"])
        return ended[0], session.engine.redact(ended[1]), tuple(ended[2])
    elif command == "recover":
        from steps.recovery import CutOff, recover

        cut_off = runs.cut_off(options.state_dir, but=job["directory"])
        works = [
            CutOff(run.command, run.steps, run.pid, run.started, run.last)
            for run in cut_off.values()
        ]
        exit_status, summary, closed = recover(session.engine, works)
        if exit_status != REFUSED:
            runs.close(cut_off)
        return exit_status, summary, tuple(closed)
    else:
        raise Stop(NEEDS_PERSON, f"{command} is nothing the worker can do.")
    return outcome.exit, outcome.summary, outcome.transactions


def _if_left_open(options: Options, exit_status: int, summary: str) -> tuple[int, str]:
    """A failure that left a transaction open needs a person, whatever else it was."""
    from host.base import HostError
    from snapshots.history import transactions
    from tui.session import open_state

    try:
        left = [r for r in transactions(open_state(options)) if r.status == "open"]
    except (HostError, OSError, Stop):
        return NEEDS_PERSON, summary
    if not left:
        return exit_status, summary
    what = ", ".join(step for record in left for step in record.steps)
    return (
        NEEDS_PERSON,
        f"{summary} The change of {what} is not finished; run `harden-tui recover`.",
    )
