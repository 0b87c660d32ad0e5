"""`drift`: what was changed outside harden-tui, and accepting, putting back or merging it."""

from __future__ import annotations

import argparse
import difflib
import shlex
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from host.names import visible
from snapshots.drift import Choice
from snapshots.drift_look import look
from snapshots.drift_plan import SettlePlan
from snapshots.model import Key
from steps import drift as drifting
from steps.drift_model import DriftReport, DriftRow
from tui import output
from tui.cli_change import ask, guarded, must_be_root, must_have_consent, start_and_follow
from tui.cli_check import banner, needs_root
from tui.drift_text import row_line
from tui.drift_words import title
from tui.failures import Stop, refused, usage
from tui.options import Options
from tui.out import Out, StatusLine, note_whose
from tui.paths import is_root
from tui.session import Session, open_session

_QUESTIONS = {"accept": "Accept?", "restore": "Put back?", "merge": "Merge?"}


def drift(options: Options, arguments: argparse.Namespace) -> int:
    """List and show: exit 0 or 1 (something drifted). Settling: 0, 3, 4 or 5."""
    out = Out()
    session = open_session(options)
    if arguments.what in ("list", "show"):
        return _show(out, session, arguments)
    choice: Choice = arguments.what
    names: list[str] = arguments.things
    if arguments.all and names:
        raise usage("Give either what it is about or --all.")
    if not names and not arguments.all:
        raise usage(f"Name what to {choice}, or --all; `drift` lists what there is.")
    if not arguments.dry_run:
        must_be_root(session)
        must_have_consent(arguments)
    report = _report(session)
    rows = [row for row in _named(report, names) if not arguments.all or choice in row.choices]
    if not rows:
        raise refused(f"Nothing was changed: nothing drifted that `drift {choice}` could settle.")
    keys = drifting.keys_of(f"{row.domain} {row.key}" for row in rows)
    planned = drifting.plan(session.engine, choice, keys)
    if arguments.dry_run:
        return _dry_run(out, options, planned)
    fingerprint: str | None = arguments.fingerprint
    if not arguments.yes:
        banner(out, session)
        settle_text(out, planned)
        if planned.refusals:
            raise refused("Nothing was changed; the reasons are above.")
        ask(_QUESTIONS[choice])
        fingerprint = fingerprint or planned.fingerprint
    if choice == "accept":
        return _accept(out, session, keys, fingerprint)
    things = tuple(f"{domain} {key}" for domain, key in keys)
    return start_and_follow(
        out, session, f"drift {choice}", fingerprint=fingerprint, things=things,
        guarding=guarded(options, window_s=options.confirm_within_s),
    )  # fmt: skip


def settle_text(out: Out, planned: SettlePlan) -> None:
    """What settling would do."""
    for item in planned.items:
        out.parts((f"{planned.choice} {item.key}", "bold"), (f"  {', '.join(item.steps)}", "dim"))
        if item.refused:
            output.wrapped(out, f"Refused: {item.refused}", indent=2, role="bad")
        output.diff(out, item.diff)
    for command in planned.commands:
        out.line(f"    $ {command}", "info")
    out.line()


def _accept(out: Out, session: Session, keys: Sequence[Key], fingerprint: str | None) -> int:
    exit_status, sentence, _ = drifting.accept(session.engine, keys, fingerprint)
    if exit_status:
        raise Stop(exit_status, sentence)
    if session.options.format == "text":
        out.line(sentence, "ok")
    else:
        names = [key for _, key in keys]
        out.json({"schema": "harden-tui/drift-accept/1", "accepted": names, "summary": sentence})
    return exit_status


def _dry_run(out: Out, options: Options, planned: SettlePlan) -> int:
    if options.format == "text":
        settle_text(out, planned)
        out.line(f"fingerprint {planned.fingerprint}", "dim")
    else:
        out.json(plan_document(planned))
    return 0


def plan_document(planned: SettlePlan) -> dict[str, Any]:
    """`harden-tui/drift-plan/1`."""
    return {
        "schema": "harden-tui/drift-plan/1",
        "choice": planned.choice,
        "items": planned.items,
        "steps": planned.steps,
        "commands": planned.commands,
        "fingerprint": planned.fingerprint,
    }


def _show(out: Out, session: Session, arguments: argparse.Namespace) -> int:
    report = _report(session)
    rows = _named(report, arguments.things) if arguments.things else list(report.things)
    if session.options.format != "text":
        out.json(
            {
                "schema": "harden-tui/drift/1",
                "since": report.since,
                "transaction": report.transaction,
                "things": rows,
            }
        )
    else:
        banner(out, session)
        _text(out, report, rows, diffs=arguments.what == "show")
    note_whose(practice=session.options.practice, root=is_root())
    needs_root(session)
    return 1 if rows else 0


def _text(out: Out, report: DriftReport, rows: Sequence[DriftRow], *, diffs: bool) -> None:
    if not report.transaction:
        out.line("Nothing was changed by harden-tui yet, so nothing can have drifted.")
        return
    if not rows:
        out.line(f"{title(report)}: nothing.".replace(" (0)", ""))
        return
    out.line(title(msgspec.structs.replace(report, things=tuple(rows))), "bold")
    for row in rows:
        row_line(out, row)
        if diffs:
            output.diff(out, row.diff)
            out.line()


def _report(session: Session) -> DriftReport:
    """What drifted, with every step of the checklist asked, and those that wrote it.

    Raises `Stop` (exit 3) where it cannot be known.
    """
    engine = session.engine
    status = StatusLine(wanted=session.options.format == "text")
    status.show("asking the host")
    seen = look(session.host, session.state)
    if seen.problem:
        status.clear()
        raise refused(f"What drifted could not be found out: {seen.problem.rstrip('.')}.")
    ids = [choice.id for choice in session.checklist.choices]
    wrote = {step for one in seen.seen for step in one.thing.steps}
    results = engine.check([*ids, *sorted(wrote & set(engine.catalogue.steps))])
    status.clear()
    return drifting.report(engine, seen, results)


def _named(report: DriftReport, names: Sequence[str]) -> list[DriftRow]:
    """The rows of files, directories, other things and steps. Raises `Stop` (exit 2).

    A name that is not UTF-8 is given as it is shown: arguments are text.
    """
    if not names:
        return list(report.things)
    found: dict[tuple[str, str], DriftRow] = {}
    for name in names:
        fitting = _fitting(report, name, lambda key: key) or _fitting(report, name, visible)
        if not fitting:
            known = [visible(row.key) for row in report.things]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {shlex.quote(near[0])}?" if near else ""
            raise usage(f"{name} did not drift.{hint} `harden-tui drift` lists what did.")
        found |= {(row.domain, row.key): row for row in fitting}
    return list(found.values())


def _fitting(report: DriftReport, name: str, spell: Callable[[str], str]) -> list[DriftRow]:
    below = f"{name.rstrip('/')}/"
    return [
        row
        for row in report.things
        if name in (spell(row.key), *row.concerned)
        or spell(row.key) == name.rstrip("/")
        or (row.domain == "files" and spell(row.key).startswith(below))
    ]
