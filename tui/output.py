"""Answers and events as text for a person. Works without colour, in 80 columns, in ASCII."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from snapshots.model import UndoItem, UndoPlan
from snapshots.typed import TYPED
from steps.model import STAGES, Finding, StepResult
from steps.plan import Plan, StepPlan
from tui.out import Out
from tui.resolving import later_text, since_title, ways_out
from tui.typed_word import insisting

WORDS: Final = {
    "pass": ("pass", "ok"),
    "fail": ("FAIL", "bad"),
    "not-applicable": ("n/a", "dim"),
    "manual": ("manual", "warn"),
    "attested": ("attested", "ok"),
    "waived": ("waived", "warn"),
    "unknown": ("unknown", "warn"),
    "error": ("ERROR", "bad"),
}
"""Status -> the word that is shown, and its role."""

_OPEN = ("fail", "unknown", "error", "manual")
_SHOWN_FINDINGS = 12


def check_table(out: Out, results: Sequence[StepResult], *, every_finding: bool) -> None:
    """The steps by stage, what is wrong under each, and the counts."""
    for stage in STAGES:
        of_stage = [result for result in results if result.stage == stage]
        if not of_stage:
            continue
        out.line(stage, "bold")
        for result in of_stage:
            step_result(out, result, every_finding=every_finding)
        out.line()
    out.line(counts_line(results))


def counts_line(results: Iterable[StepResult]) -> str:
    """ "12 steps: 3 pass, 8 fail, 1 unknown"."""
    counted = Counter(str(result.status) for result in results)
    parts = [f"{counted[status]} {status}" for status in WORDS if counted[status]]
    total = counted.total()
    return f"{total} step{'' if total == 1 else 's'}: {', '.join(parts) or 'none'}"


def step_result(out: Out, result: StepResult, *, every_finding: bool = False) -> None:
    """A step, and under it what it found wrong (or everything)."""
    word, role = WORDS[result.status]
    out.parts(
        ("  ", ""), (f"{word:<9}", role), (f"{result.id:<26} ", ""), (result.title, "dim")
    )  # fmt: skip
    if result.note:
        wrapped(out, result.note, indent=13)
    shown = [
        finding
        for finding in result.findings
        if every_finding
        or (finding.applicable and finding.ok is not True and result.status in _OPEN)
    ]
    for finding in shown if every_finding else shown[:_SHOWN_FINDINGS]:
        wrapped(out, finding_text(finding), indent=13)
    if not every_finding and len(shown) > _SHOWN_FINDINGS:
        out.line(f"{'':13}... and {len(shown) - _SHOWN_FINDINGS} more (--verbose)", "dim")


def finding_text(finding: Finding) -> str:
    """One setting: what is expected, what is there, who decides."""
    if not finding.applicable:
        return f"{finding.setting}: does not apply here. {finding.note}".rstrip()
    if finding.ok is None:
        lacks = "not given yet" if finding.resource == "attest" else "could not be measured"
        return f"{finding.setting}: {lacks}. {finding.note}".rstrip()
    if finding.ok:
        return f"{finding.setting}: {finding.running or finding.persistent}"
    parts = [f"{finding.setting}: expected {finding.expected}"]
    if finding.persistent and finding.persistent != finding.running:
        now = finding.running or "not set"
        parts.append(f"is {now} now, {finding.persistent} after a restart")
    else:
        parts.append(f"is {finding.running or 'not set'}")
    text = ", ".join(parts)
    if finding.origin:
        text += f" ({finding.origin})"
    return f"{text}; {finding.note}" if finding.note else text


def plan_text(out: Out, plan: Plan, program: str = TYPED) -> None:
    """Every step that would change something or is refused, with its diffs and commands; of a
    single one that would not also what there is to say. `program`: what starts harden-tui here."""
    shown = 0
    for step in plan.steps:
        if step.changes or step.reasons():
            shown += 1
            step_plan(out, step, program)
        elif len(plan.steps) == 1:
            for note in step.notes:
                wrapped(out, f"Note: {note}", indent=2)
    idle = len(plan.steps) - shown
    if idle:
        out.line(f"{idle} of {len(plan.steps)} steps: nothing to change.")
    if any(step.changes for step in plan.steps):
        out.line(f"fingerprint {plan.fingerprint}", "dim")


def step_plan(out: Out, step: StepPlan, program: str = TYPED) -> None:
    """One step's preview."""
    out.parts((step.id, "bold"), ("  ", ""), (step.title, "dim"))
    for refusal in step.refusals:
        wrapped(out, f"Refused: {refusal}", indent=2, role="bad")
    for lockout in step.lockouts:
        wrapped(out, f"Locks out: {lockout}", indent=2, role="bad")
    if step.lockouts and not step.refusals:
        wrapped(out, insisting(step.id, program), indent=2, role="warn")
    for note in step.notes:
        wrapped(out, f"Note: {note}", indent=2)
    for phrase in step.irreversible:
        wrapped(out, f"Cannot come back: {phrase}", indent=2, role="warn")
    for change in step.changes:
        out.line(f"  {change.summary}")
        if change.command:
            out.line(f"    $ {change.command}", "info")
        diff(out, change.diff)
    if step.then:
        out.line("  then")
        for command in step.then:
            out.line(f"    $ {command}", "info")
    out.line()


def diff(out: Out, text: str, *, indent: str = "    ") -> None:
    """A unified diff, its lines coloured."""
    for line in text.splitlines():
        role = ""
        if line.startswith(("+++", "---")):
            role = "bold"
        elif line.startswith("@@"):
            role = "hunk"
        elif line.startswith("+"):
            role = "add"
        elif line.startswith("-"):
            role = "del"
        out.line(indent + line, role)


HOW: Final = {
    "restore": "restore",
    "merge": "merge with what changed since",
    "handed-over": "keep, what stays still needs it",
    "already": "is so already",
    "regenerated": "made anew by the package tools",
    "conflict": "CONFLICT",
    "kept": "keep what stands now",
    "left": "stays, it may be yours",
}
"""What an undo does with a thing, in words."""


def undo_text(out: Out, plans: Sequence[UndoPlan]) -> None:
    """What undoing would do, transaction by transaction."""
    for plan in plans:
        out.parts((plan.name, "bold"), (f"  {plan.transaction}", ""))
        if plan.left_out:
            wrapped(out, f"left out, stays in force: {plan.left_out}", indent=2, role="bad")
        if plan.stays:
            wrapped(out, plan.stays, indent=2, role="warn")
        for item in sorted(plan.items, key=lambda item: item.how != "left"):
            _undo_item(out, item)
        for command in plan.commands:
            out.line(f"    $ {command}", "info")
        if plan.later:
            wrapped(out, later_text(plan), indent=2, role="warn")
        out.line()


def _undo_item(out: Out, item: UndoItem) -> None:
    how = f"keep, {', '.join(item.later)} still needs it" if item.later else HOW[item.how]
    chosen = f" (conflict, settled by --{item.chosen})" if item.chosen else ""
    role = "bad" if item.how == "conflict" else "warn" if chosen else ""
    out.line(f"  {item.domain}: {item.key}: {how}{chosen}", role)
    if item.note:
        wrapped(out, item.note, indent=4)
    diff(out, item.diff)
    sides = [("what the step did (before -> after)", item.did)] if item.how == "conflict" else []
    if item.how == "conflict" or (item.chosen == "restore" and item.found_by):
        sides.append((since_title(item), item.since))
    for title, text in sides:
        if not text:  # nobody else changed it: what is kept of it is damaged
            continue
        out.line(f"    {title}:", "bold")
        diff(out, text, indent="      ")
    if item.how != "conflict":
        return
    out.line("    ways out (add --dry-run to see what each would do):", "bold")
    for option, meaning in ways_out(item):
        out.line(f"      {option}")
        wrapped(out, meaning, indent=8)


def wrapped(out: Out, text: str, *, indent: int, role: str = "dim") -> None:
    """A paragraph within the width, indented."""
    width = max(40, out.width)
    pad = " " * indent
    for line in textwrap.wrap(
        text, width, initial_indent=pad, subsequent_indent=pad, break_on_hyphens=False
    ):
        out.line(line, role)


def event_text(
    out: Out, event: dict[str, Any], told: set[str] | None = None, program: str = TYPED
) -> None:
    """An event of a run as it is followed; progress is not for here (see `StatusLine`).

    `told`: the reasons that were shown already, which one sentence says only once. `program`: what
    starts harden-tui for this host and state.
    """
    kind = event.get("event")
    told = set() if told is None else told
    if kind == "started":
        steps = " ".join(event.get("steps", ()))
        practice = " on the practice host" if event.get("practice") else ""
        out.line(
            f"{event['command']} {steps}".rstrip() + f"{practice}  (run {event['run']})", "bold"
        )
    elif kind == "step":
        if event.get("note") not in told:
            _step_event(out, event)
    elif kind == "change":
        done = "" if event.get("applied") else "would "
        out.line(f"    {done}{event['summary']}")
    elif kind == "command":
        out.line(f"    $ {event['command']}", "info")
    elif kind == "output":
        out.line(f"      {event['line']}", "dim")
    elif kind == "guard":
        _guard_event(out, event, program)
        told.update(map(str, event.get("reasons", ())))
    elif kind == "finding":
        import msgspec

        step_result(out, msgspec.convert(event["result"], StepResult))
    elif kind == "window" and event.get("report"):
        from tui.window_text import report_text

        report_text(out, event["report"])
    elif kind == "done":
        summary = str(event["summary"])
        for reason in told:
            summary = summary.replace(f": {reason}", ".")
        out.line(summary, "ok" if event["exit"] == 0 else "bad")


def _guard_event(out: Out, event: dict[str, Any], program: str) -> None:
    phase = event.get("phase", "")
    if phase == "waiting":
        # Of an apply and of an undo alike.
        does = "are done, and wait" if ", " in event["step"] else "is done, and waits"
        out.line(f"  {event['step']} {does} for your confirmation.", "warn")
        wrapped(
            out,
            f"Leave this session as it is. In a second terminal: {event['attempt']}, and if it"
            f" lets you in, there: {program} confirm",
            indent=2,
            role="",
        )
        until = str(event["deadline"])[11:19]
        lead = "" if program == TYPED else f"{program} "
        wrapped(
            out,
            f"Otherwise it is taken back at {until} UTC (later with `{lead}confirm --extend 10m`,"
            f" now with `{lead}recover`).",
            indent=2,
        )
    elif phase == "login":
        out.line(f"  New login seen: {event['login']}. Now: {program} confirm", "ok")
    elif phase == "kept":
        out.line(f"  {event['step']}: confirmed and kept", "ok")
    else:
        word = "Taken back" if phase == "taken-back" else "Refused"
        for reason in event.get("reasons", ()):
            wrapped(out, f"{word}: {reason}", indent=2, role="bad")


def _step_event(out: Out, event: dict[str, Any]) -> None:
    place = f"[{event['index']}/{event['of']}] " if event.get("of") else ""
    note = event.get("note", "")
    phase = event["phase"]
    if phase in ("applying", "rolling-back") and place:
        verb = "apply" if phase == "applying" else "undo"
        out.parts((f"{place}{verb} {event['step']}", "bold"), (f"  {note}", "dim"))
    elif phase == "done":
        tx = f"  (transaction {event['transaction']})" if event.get("transaction") else ""
        out.line(f"  {event['step']}: done, {note}{tx}", "ok")
    elif phase == "forced":
        wrapped(out, f"Forced although: {note}", indent=2, role="warn")
    elif phase in ("refused", "failed", "rolling-back"):
        wrapped(out, f"{event['step']}: {phase}: {note}", indent=2, role="bad")
