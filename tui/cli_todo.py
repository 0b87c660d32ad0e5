"""`todo`: what is left to a person, made from a check of this moment; `guide`: where runs stand."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from snapshots.guide_model import Guide, Later
from snapshots.guides import Guides
from snapshots.model import SnapshotError
from snapshots.records import Records
from steps import guard_look, todo, window
from steps.drift_model import DriftReport
from steps.engine import Prepared
from steps.events import Event, FindingEvent
from steps.model import STAGES, Stage, StepResult
from steps.parameters import lacks_secret
from steps.resources.attest import Attest
from tui import todo_text
from tui.cli_check import chosen_ids, look_for_drift, needs_root, reported
from tui.drift_text import only_of
from tui.failures import usage
from tui.options import Options
from tui.out import Out, StatusLine, note, note_whose
from tui.paths import is_root
from tui.private_file import write_privately
from tui.session import Session, open_session

NOTHING_LEFT, LEFT = 0, 1

ENDINGS = {".md": "markdown", ".markdown": "markdown", ".json": "json", ".txt": "text"}


def todo_list(options: Options, arguments: argparse.Namespace) -> int:
    """Show or write the list; exit 0 where nothing is left to a person, 1 where something is."""
    out = Out()
    form = _form(options, arguments)
    made = collect(options, arguments)
    render = {
        "text": todo_text.text, "markdown": todo_text.markdown, "json": todo_text.json,
        "events": todo_text.json_line,
    }  # fmt: skip
    content = render[form](made)
    if arguments.output in (None, "-"):
        (out.raw if form == "text" else out.document)(content)
    else:
        write_privately(arguments.output, content.encode("utf-8", "replace"))
        note(f"the list is in {arguments.output}.")
    return LEFT if made.left else NOTHING_LEFT


def _form(options: Options, arguments: argparse.Namespace) -> str:
    """What `--format` says; where it says nothing, the ending of the file."""
    if options.format != "text" or getattr(arguments, "format", None) == "text":
        return options.format
    name = arguments.output or ""
    return next((form for end, form in ENDINGS.items() if name.lower().endswith(end)), "text")


def collect(options: Options, arguments: argparse.Namespace) -> todo.Todo:
    """Check, plan what is open, and put together what is left. Raises as a check does."""
    status = StatusLine(wanted=options.format == "text")
    seen = 0

    def emit(event: Event) -> None:
        nonlocal seen
        if isinstance(event, FindingEvent):
            seen += 1
            status.show(f"checking ({seen}/{len(ids)}) {event.result.id}")

    session = open_session(options, emit)
    ids = chosen_ids(session, arguments)
    status.show("asking the host")
    with ThreadPoolExecutor(1) as pool:
        drift = pool.submit(look_for_drift, session)
        results = session.engine.check(ids) if ids else []
        drifted = reported(session, drift.result(), results)
    if arguments.steps or arguments.stage is not None:
        drifted = only_of(drifted, ids)
    status.show("planning what is open")
    made = _put_together(session, results, drifted)
    status.clear()
    needs_root(session)
    return made


def _put_together(session: Session, results: list[StepResult], drifted: DriftReport) -> todo.Todo:
    engine = session.engine
    undone = [result.id for result in results if result.status in ("fail", "unknown", "manual")]
    prepared = [engine.prepare(one) for one in engine.steps(undone)] if undone else []
    fail = [result.id for result in results if result.status == "fail"]
    planned = engine.plan(fail).steps if fail else ()
    later = _later(session, {result.stage for result in results})
    left = todo.items(
        results,
        missing={one.step.id: one.missing for one in prepared},
        secret={one.step.id for one in prepared if lacks_secret(one.step, one.missing)},
        questions={one.step.id: _questions(one) for one in prepared},
        refused={one.id: one.reasons() for one in planned},
        waivers=engine.answers.waivers(),
        later=later,
        drift=drifted,
    )
    return todo.Todo(
        host=session.host.name,
        checklist=session.checklist.name,
        made=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        practice=session.host.is_practice,
        program=session.options.program,
        named=session.options.has_other_checklist,
        checked=len(results),
        items=(*_before_all(session), *left),
    )


def _questions(one: Prepared) -> list[str]:
    return [resource.question for resource in one.resources if isinstance(resource, Attest)]


def _before_all(session: Session) -> list[todo.TodoItem]:
    try:
        guard = guard_look.now(session.engine)
    except SnapshotError:
        guard = None
    left = [step for record in Records(session.state).open() for step in record.steps]
    return todo.before_all(guard, left, window.current(session.state))


def _later(session: Session, stages: set[Stage]) -> Mapping[str, Later]:
    found: dict[str, Later] = {}
    for guide in Guides(session.state).of_checklist(session.checklist.name):
        if guide.stage in stages:
            found |= guide.later
    return found


def guide(options: Options, arguments: argparse.Namespace) -> int:
    """Show where guided runs stand, or keep where one stands now."""
    out = Out()
    session = open_session(options)
    guides = Guides(session.state)
    checklist, by = session.checklist.name, options.user
    if arguments.what == "show":
        runs = guides.of_checklist(checklist)
    elif arguments.what in ("at", "later"):
        step = session.catalogue.step(_named(arguments, "a step"))
        if step.id not in {choice.id for choice in session.checklist.choices}:
            raise usage(f"{step.id} is not on the checklist {checklist}.")
        move = guides.stand_at if arguments.what == "at" else guides.put_off
        runs = [move(checklist, step.stage, step.id, by=by)]
    else:
        stage = _named(arguments, "a stage")
        if stage not in STAGES:
            raise usage(f"There is no stage {stage!r}; there are {', '.join(STAGES)}.")
        if arguments.what == "end":
            runs = [guides.end(checklist, stage, by=by)]
        else:
            runs = [guides.forget(checklist, stage)]
    note_whose(practice=options.practice, root=is_root())
    if options.format != "text":
        out.json({"schema": "harden-tui/guides/1", "guides": runs})
        return 0
    for one in runs:
        out.line(standing(one))
    if not runs:
        out.line(f"Nobody was led through a stage of the checklist {checklist} yet.")
    return 0


def _named(arguments: argparse.Namespace, what: str) -> str:
    if not arguments.item:
        raise usage(f"Name {what}: harden-tui guide {arguments.what} …")
    return str(arguments.item)


def standing(guide: Guide) -> str:
    """Where a run stands, in one line."""
    moment = f"{guide.when[:16].replace('T', ' ')} UTC"
    off = f"; {len(guide.later)} put off" if guide.later else ""
    if guide.goes_on:
        return f"{guide.stage}: at {guide.at}, {guide.by}, {moment}{off}"
    if guide.ended:
        return f"{guide.stage}: led through to its end, {guide.by}, {moment}{off}"
    return f"{guide.stage}: not begun"
