"""`steps`: the catalogue, and what a person decides about its steps."""

from __future__ import annotations

import argparse
import re
from datetime import date
from typing import Any

from snapshots.guides import Guides
from steps.engine import Prepared
from steps.model import STAGES, Step
from steps.parameters import convert
from steps.resource import StepError
from steps.resources import kind
from steps.resources.attest import Attest
from tui.cli_check import banner
from tui.failures import usage
from tui.options import Options, split_setting
from tui.out import Out, note_whose
from tui.output import wrapped
from tui.paths import is_root
from tui.session import Session, open_session, unknown_parameter


def steps(options: Options, arguments: argparse.Namespace) -> int:
    """List or show steps, or keep a decision about one."""
    session = open_session(options)
    out = Out()
    what = arguments.what
    if what == "list":
        return _list(out, session, arguments)
    if not arguments.items:
        raise usage(f"Name a step: harden-tui steps {what} ssh.limits.")
    if what == "show":
        return _show(out, session, arguments.items)
    if what == "set":
        _set(out, session, arguments.items)
    else:
        if len(arguments.items) > 1:
            raise usage(f"steps {what} takes one step at a time.")
        _decide(out, session, what, session.catalogue.step(arguments.items[0]), arguments)
    note_whose(practice=options.practice, root=is_root())
    return 0


def _list(out: Out, session: Session, arguments: argparse.Namespace) -> int:
    if arguments.items:
        chosen = session.engine.steps(arguments.items)
    elif arguments.all:
        chosen = list(session.catalogue.steps.values())
    else:
        chosen = session.engine.steps()
    if session.options.format != "text":
        out.json(document(session, chosen))
        return 0
    banner(out, session)
    for stage in STAGES:
        of_stage = [step for step in chosen if step.stage == stage]
        if of_stage:
            out.line(stage, "bold")
        for step in of_stage:
            out.parts((f"  {step.id:<26} ", ""), (step.title, "dim"))
    out.line()
    others = sorted(set(session.catalogue.checklists) - {session.checklist.name})
    if others:
        out.line(f"other checklists: {', '.join(others)} (--checklist NAME)", "dim")
    return 0


def _show(out: Out, session: Session, names: list[str]) -> int:
    chosen = session.engine.steps(names)
    if session.options.format != "text":
        out.json(document(session, chosen))
        return 0
    for step in chosen:
        prepared = session.engine.prepare(step)
        values = session.engine.shown_values(prepared)
        out.parts((step.id, "bold"), (f"  {step.title}", ""), (f"  ({step.stage})", "dim"))
        for label, text in (("why", step.why), ("breaks", step.breaks), ("source", step.source)):
            wrapped(out, f"{label}: {text}", indent=2, role="")
        if step.after:
            out.line(f"  after: {', '.join(step.after)}")
        for phrase in step.irreversible:
            wrapped(out, f"cannot come back: {phrase}", indent=2, role="warn")
        for name, ids in step.references.items():
            out.line(f"  {name}: {', '.join(ids)}", "dim")
        for name, parameter in step.parameters.items():
            value = (
                "(secret)" if parameter.kind == "secret" else as_text(values.get(name, "not set"))
            )
            out.line(f"  {name} = {value}")
            wrapped(out, f"{parameter.kind}: {parameter.help}", indent=4)
        out.line()
    return 0


def as_text(value: Any) -> str:
    """A parameter's value as it is typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)


def document(session: Session, chosen: list[Step]) -> dict[str, Any]:
    """`harden-tui/steps/1`."""
    return {
        "schema": "harden-tui/steps/1",
        "checklist": session.checklist.name,
        "checklists": sorted(session.catalogue.checklists),
        "steps": [_step_document(session, session.engine.prepare(step)) for step in chosen],
        "guides": Guides(session.state).of_checklist(session.checklist.name),
    }


def _step_document(session: Session, prepared: Prepared) -> dict[str, Any]:
    import msgspec

    body: dict[str, Any] = msgspec.to_builtins(prepared.step)
    return {
        **body,
        "values": session.engine.shown_values(prepared),
        "missing": prepared.missing,
    }


def _set(out: Out, session: Session, settings: list[str]) -> None:
    kept = []
    for setting in settings:
        step_id, name, text = split_setting(setting)
        parameters = session.catalogue.step(step_id).parameters
        if name not in parameters:
            raise usage(unknown_parameter(step_id, name, parameters))
        if parameters[name].kind == "secret":
            raise usage(f"{step_id}.{name} is a secret: it is never kept (give it by --values -).")
        value = convert(step_id, name, parameters[name], text)
        kept.append((step_id, name, list(value) if isinstance(value, tuple) else value))
    for step_id, name, chosen in kept:
        session.engine.answers.set_value(step_id, name, chosen)
        session.log.append("set", step=step_id, parameter=name, value=chosen)
        _say(out, session, f"{step_id}.{name} = {as_text(chosen)}")


def _decide(
    out: Out, session: Session, what: str, step: Step, arguments: argparse.Namespace
) -> None:
    answers = session.engine.answers
    until = _date(arguments.until)
    by = session.options.user
    if what == "waive":
        reason = (arguments.reason or "").strip()
        if not reason:
            raise usage("A waiver needs its reason: --reason 'why this host does without'.")
        answers.waive(step.id, reason, by=by, until=until)
        session.log.append("waive", step=step.id, reason=reason, until=until)
        _say(out, session, f"{step.id} is waived{_until(until)}: {reason}")
    elif what == "attest":
        text = (arguments.note or "").strip()
        if not text:
            raise usage("An attestation needs a note: --note 'what you saw, and where'.")
        kinds = [kind(name) for resource in step.ensure for name in resource]
        if not any(issubclass(one, Attest) for one in kinds):
            raise StepError(f"{step.id} is measured by the program; only `waive` can set it aside.")
        answers.attest(step.id, text, by=by, until=until)
        session.log.append("attest", step=step.id, note=text, until=until)
        _say(out, session, f"{step.id} is attested{_until(until)}: {text}")
    else:
        if answers.waiver(step.id) is None:
            raise usage(f"{step.id} is not waived.")
        answers.unwaive(step.id)
        session.log.append("unwaive", step=step.id)
        _say(out, session, f"{step.id} is no longer waived")


def _say(out: Out, session: Session, sentence: str) -> None:
    if session.options.format == "text":
        out.line(sentence)
    else:
        out.json({"schema": "harden-tui/answer/1", "summary": sentence})


def _until(until: str) -> str:
    return f" until {until}" if until else ""


def _date(text: str | None) -> str:
    """An ISO date that is not past. Raises `Stop` (exit 2)."""
    if not text:
        return ""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise ValueError
        day = date.fromisoformat(text)
    except ValueError:
        raise usage(f"--until {text}: expected a date such as 2027-01-31.") from None
    if day < date.today():
        raise usage(f"--until {text}: this day is over.")
    return text
