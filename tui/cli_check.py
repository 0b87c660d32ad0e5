"""`check` and `plan`: asking the host, in this process, because nothing is changed."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from host.names import shown_json
from snapshots.model import SnapshotError
from snapshots.records import Records
from steps import window
from steps.drift_model import DriftReport
from steps.events import (
    ChangeEvent,
    Done,
    DriftEvent,
    Event,
    FindingEvent,
    GuardEvent,
    Started,
    StepEvent,
    WindowEvent,
)
from steps.model import STAGES, StepResult
from steps.plan import Plan
from tui import output
from tui.drift_text import only_of, section
from tui.failures import usage
from tui.options import Options
from tui.out import Out, StatusLine, note
from tui.private_file import write_privately
from tui.session import Session, open_session

if TYPE_CHECKING:
    from snapshots.drift_look import Drift

GOOD, OPEN = 0, 1
_NOT_GOOD = ("fail", "unknown", "error", "manual")


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `plan --out` keeps: the plan, and what it takes to make the same plan again."""

    schema: str
    checklist: str
    fingerprint: str
    steps: list[dict[str, Any]]
    practice: bool = False
    values: dict[str, dict[str, Any]] = {}


PLAN_SCHEMA = "harden-tui/plan/1"
LARGEST_PLAN_BYTES = 32 * 1024 * 1024
"""Diffs of 2 MiB each for a dozen files; more is some other file."""


def check(options: Options, arguments: argparse.Namespace) -> int:
    """Ask the host about steps; exit 0 if all is good, 1 if something is open."""
    if arguments.monitoring:
        return _monitored(options, arguments)
    out = Out()
    status = StatusLine(wanted=options.format == "text")
    mail_to = _mail_to(arguments)
    ids: list[str] = []
    seen = 0

    def emit(event: Event) -> None:
        nonlocal seen
        if options.format == "events":
            out.json(event)
        elif isinstance(event, FindingEvent):
            seen += 1
            status.show(f"checking ({seen}/{len(ids)}) {event.result.id}")

    session = open_session(options, emit)
    ids = chosen_ids(session, arguments)
    began = time.monotonic()
    if options.format == "events":
        out.json(started(options, "check", ids))
        _say_what_waits(session)
    status.show("asking the host")
    with ThreadPoolExecutor(1) as pool:  # its answers come from elsewhere than those of the steps
        drift = pool.submit(look_for_drift, session)
        results = session.engine.check(ids)
        drifted = reported(session, drift.result(), results)
    status.clear()
    exit_status = OPEN if any(result.status in _NOT_GOOD for result in results) else GOOD
    if options.format == "json":
        shown = only_of(drifted, ids) if arguments.steps else drifted
        out.json(check_document(session, results, shown))
    elif options.format == "events":
        if drifted != DriftReport():
            out.json(DriftEvent(drift=drifted, asked=tuple(ids)))
        out.json(done(exit_status, output.counts_line(results), began))
    else:
        banner(out, session)
        output.check_table(out, results, every_finding=arguments.verbose)
        section(out, only_of(drifted, ids) if arguments.steps else drifted)
    if mail_to:
        from tui.mailing import mail_news

        said = mail_news(session, mail_to, results, drifted, always=arguments.mail_always)
        if options.format == "text":
            out.line(said)
    needs_root(session)
    return exit_status


def _monitored(options: Options, arguments: argparse.Namespace) -> int:
    """The line a monitoring system reads, and the exit status it wants (0 to 3)."""
    from tui.monitoring import monitored

    def ask() -> tuple[Sequence[StepResult], DriftReport, float]:
        began = time.monotonic()
        session = open_session(options)
        ids = chosen_ids(session, arguments)
        with ThreadPoolExecutor(1) as pool:
            drift = pool.submit(look_for_drift, session)
            results = session.engine.check(ids)
            found = reported(session, drift.result(), results)
        return results, found, time.monotonic() - began

    status, text = monitored(arguments.monitoring, ask)
    out = Out()
    for line in text.split("\n"):
        out.line(line)
    # Checkmk reads the status from the line, and takes any other exit status for a failure.
    return GOOD if arguments.monitoring == "checkmk" else status


def _mail_to(arguments: argparse.Namespace) -> str:
    """Where news is mailed; empty for nowhere. Raises `Stop` (exit 2)."""
    if arguments.mail_always and not arguments.mail:
        raise usage("--mail-always goes with --mail ADDRESS.")
    if not arguments.mail:
        return ""
    from tui.mailing import require_address

    return require_address(arguments.mail)


def _say_what_waits(session: Session) -> None:
    """First of all, because the time runs: the screen shows it while the rest is being asked."""
    from steps import guard_look

    try:
        guard = guard_look.now(session.engine)
    except SnapshotError as error:
        guard = GuardEvent(step="", reasons=(str(error),))
    if guard is not None:
        session.engine.emit(guard)
    found = window.current(session.state)
    if found is not None:
        session.engine.emit(WindowEvent(window=found))


def look_for_drift(session: Session) -> Drift | None:
    """What drifted; `None` where nothing was ever changed, and nothing need be asked."""
    if not Records(session.state).ids():
        return None
    from snapshots.drift_look import look  # a host that is new to us does without

    return look(session.host, session.state)


def reported(session: Session, drift: Drift | None, results: list[StepResult]) -> DriftReport:
    """What drifted, with how the steps that were checked stand."""
    if drift is None:
        return DriftReport()
    from steps.drift import report

    return report(session.engine, drift, results)


def check_document(
    session: Session, results: Sequence[StepResult], drift: DriftReport
) -> dict[str, Any]:
    """`harden-tui/check/1`."""
    counts: dict[str, int] = {}
    for result in results:
        counts[result.status] = counts.get(result.status, 0) + 1
    return {
        "schema": "harden-tui/check/1",
        "host": session.host.name,
        "practice": session.host.is_practice,
        "checklist": session.checklist.name,
        "counts": counts,
        "steps": results,
        "drift": drift,
    }


def plan(options: Options, arguments: argparse.Namespace) -> int:
    """Show what steps would change; exit 0 if nothing, 1 if something."""
    out = Out()
    status = StatusLine(wanted=options.format == "text")
    session = open_session(options)
    ids = chosen_ids(session, arguments)
    began = time.monotonic()
    if options.format == "events":
        out.json(started(options, "plan", ids))
    status.show("asking the host")
    planned = make_plan(session, ids, status.show)
    status.clear()
    exit_status = GOOD if planned.is_empty else OPEN
    document = plan_document(planned)
    if arguments.out:
        keep_plan(arguments.out, session, document)
    if options.format == "json":
        out.json(document)
    elif options.format == "events":
        for event in plan_events(planned):
            out.json(event)
        out.json(done(exit_status, plan_summary(planned), began))
    else:
        banner(out, session)
        output.plan_text(out, planned, options.program)
        if arguments.out:
            again = f"{options.program} apply --plan {shlex.quote(arguments.out)}"
            out.line(f"kept in {arguments.out}; apply it with: {again}")
    needs_root(session)
    return exit_status


def make_plan(session: Session, ids: Sequence[str], say: Callable[[str], None]) -> Plan:
    """The plan of these steps."""
    say(f"planning {len(ids)} steps")
    return session.engine.plan(ids)


def plan_document(planned: Plan) -> dict[str, Any]:
    """`harden-tui/plan/1`."""
    return {
        "schema": PLAN_SCHEMA,
        "checklist": planned.checklist,
        "fingerprint": planned.fingerprint,
        "steps": planned.steps,
    }


def plan_events(planned: Plan) -> list[Event]:
    """A plan as events."""
    events: list[Event] = []
    for number, step in enumerate(planned.steps, 1):
        events.append(
            StepEvent(
                step=step.id, phase="planning", index=number, of=len(planned.steps), note=step.title
            )
        )
        if step.reasons():
            events.append(GuardEvent(step=step.id, reasons=step.reasons()))
        events += [
            ChangeEvent(step=step.id, summary=c.summary, diff=c.diff, command=c.command)
            for c in step.changes
        ]
    return events


def plan_summary(planned: Plan) -> str:
    """One sentence on a plan."""
    changing = [step.id for step in planned.steps if step.changes and not step.reasons()]
    refusals = [step.id for step in planned.steps if step.reasons()]
    parts = [f"would change: {', '.join(changing)}"] if changing else []
    parts += [f"refused: {', '.join(refusals)}"] if refusals else []
    return "; ".join(parts) or "Nothing to change."


def keep_plan(file: str, session: Session, document: dict[str, Any]) -> None:
    """Write a plan file, readable by its owner only; secrets are not in it."""
    catalogue = session.catalogue
    values = {
        step_id: {
            name: value
            for name, value in chosen.items()
            if catalogue.step(step_id).parameters[name].kind != "secret"
        }
        for step_id, chosen in session.options.values.items()
    }
    kept = {**document, "practice": session.host.is_practice, "values": values}
    write_privately(file, msgspec.json.format(shown_json(kept), indent=1) + b"\n")


def read_plan(file: str) -> PlanFile:
    """A plan file. Raises `Stop` (exit 2) for anything else."""
    try:
        with open(file, "rb") as stream:
            content = stream.read(LARGEST_PLAN_BYTES + 1)
        if len(content) > LARGEST_PLAN_BYTES:
            raise usage(f"{file}: is no plan of harden-tui, it is too long.")
        document = json.loads(content.decode("utf-8"))
        if not isinstance(document, dict) or document.get("schema") != PLAN_SCHEMA:
            raise usage(f"{file}: is no plan of harden-tui (expected schema {PLAN_SCHEMA}).")
        return msgspec.convert(document, PlanFile)
    except OSError as error:
        raise usage(f"{file}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise usage(f"{file}: is no plan of harden-tui, not even UTF-8 text.") from None
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise usage(f"{file}: is no valid plan: {error}.") from None


def chosen_ids(session: Session, arguments: argparse.Namespace) -> list[str]:
    """The ids that a command is about: never none, of which all would be good.

    Raises `Stop` or `StepError` (exit 2).
    """
    stage = getattr(arguments, "stage", None)
    if stage is not None and stage not in STAGES:
        from tui.cli import nearest

        raise usage(
            f"There is no stage {stage!r}; there are {', '.join(STAGES)}.{nearest(stage, STAGES)}"
        )
    steps = session.engine.steps(arguments.steps)
    ids = [step.id for step in steps if stage is None or step.stage == stage]
    if not ids:
        which = "None of these steps is" if arguments.steps else "The checklist has no steps"
        raise usage(f"{which} of the stage {stage}." if stage else f"{which}.")
    return ids


def started(options: Options, command: str, ids: Sequence[str]) -> Started:
    """The first event of a command that only asks."""
    import os

    from tui.runs import now

    return Started(
        run="", command=command, steps=tuple(ids), time=now(), pid=os.getpid(),
        practice=options.practice, user=options.user,
    )  # fmt: skip


def done(exit_status: int, summary: str, began: float) -> Done:
    """The last event of a command that only asks."""
    seconds = round(time.monotonic() - began, 3)
    return Done(exit=exit_status, summary=summary, seconds=seconds)


def banner(out: Out, session: Session) -> None:
    """Which host and checklist this is about; a practice host says so on every answer."""
    if session.host.is_practice:
        out.line("PRACTICE HOST: nothing here is real.", "warn")
    out.line(f"{session.host.name}, checklist {session.checklist.name}", "dim")
    out.line()


def needs_root(session: Session) -> None:
    """Without root not everything can be seen: say so."""
    if not session.host.is_root:
        note("without root not everything can be seen or measured; use sudo to see it all.")
