"""Closing a window: what changed is recorded, the seals are put back, everything is checked.

    window.json says "closing"
    second restore point           what the administrator changed belongs to the window
    seals put back                 with the values they had; new files included
    needrestart let go
    everything checked, report     in windows/last.json and the session log
    window.json removed, units     there is no window any more

Where a seal cannot be put back the window is open again, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from host.base import HostError
from host.facts.running_versions import versions
from snapshots import window_units, windows
from snapshots.captured import only_changes
from snapshots.history import open_for_step
from snapshots.model import Busy
from snapshots.records import Records
from snapshots.recover import recover as roll_back_open
from steps import window_busy, window_hold, window_report, window_seals, window_store
from steps.apply import interrupted
from steps.listener import Listener
from steps.outcome import GOOD, NEEDS_PERSON, REFUSED
from steps.resource import StepError
from steps.window_model import BY_WINDOW, Changed, ClosePlan, Waiting, Window, WindowReport
from steps.window_work import Ended, at_work, listening, now, over, remove_units, save, spoken

if TYPE_CHECKING:
    from steps.engine import Engine

NO_WINDOW = "No update window is open."


def plan(engine: Engine) -> ClosePlan | None:
    """See `steps.window.plan_close`."""
    window = window_store.read(engine.state)
    if window is None:
        return None
    reason = interrupted(engine) if window.state == "open" else ""
    writers = window_busy.writers(engine, window)
    return ClosePlan(window=window, writers=writers, refusals=(reason,) if reason else ())


def run(engine: Engine, *, by_deadline: bool = False) -> Ended:
    """See `steps.window.closing`."""
    try:
        with at_work(engine, "window close"):
            window = window_store.read(engine.state)
            if window is None:
                return _none(engine, by_deadline=by_deadline)
            if by_deadline:
                roll_back_open_if_any(engine)
            if window.state in ("opening", "undoing"):
                from steps.window_settle import settle

                return settle(engine, window)
            if by_deadline and window.state == "open":
                wait = _must_wait(engine, window)
                if wait is not None:
                    return wait
            reason = interrupted(engine)
            if reason:
                return REFUSED, reason, []
            return close(engine, window, "deadline" if by_deadline else "closed")
    except Busy as error:
        return REFUSED, str(error), []


def close(engine: Engine, window: Window, how: Literal["closed", "deadline"]) -> Ended:
    """Close a window that is open, or whose closing was cut off; call it with the lock held."""
    listener = Listener(engine.emit, engine.redact)
    window = save(engine, msgspec.structs.replace(window, state="closing", waiting=None))
    listener.doing("looking at what changed during the window")
    records = Records(engine.state)
    try:
        record = records.read(window.id)
        let_go = bool(window.hold) and not window_hold.holds(engine)
        if record.status == "committed" and not let_go and not _sealed_since(engine, window):
            # Cut off before a seal was back: what changed since belongs to the window too.
            windows.reopen(engine.state, window.id)
            record = records.read(window.id)
        if record.status != "committed":
            windows.finish(engine.host, engine.state, window.id, listener)
    except (HostError, OSError) as error:
        return _stays_open(engine, window, str(error))
    ended, said, applied = window_seals.put_back(engine, window.seals)
    if ended != GOOD:
        return _stays_open(engine, window, said)
    return end(engine, window, how, [window.id, *applied])


def end(
    engine: Engine, window: Window, how: Literal["closed", "deadline", "undone"], done: list[str]
) -> Ended:
    """It is sealed: let go of what is held back, check everything, and report."""
    _, held, _ = window_hold.let_go(engine)
    problems = [] if not window_hold.holds(engine) else [f"What was held back still is: {held}"]
    gone = [tree for tree in window.trees if engine.host.state(tree) is None]
    if gone:
        problems.append(
            f"NOT sealed, because it is not there any more: {', '.join(gone)}. If it was moved, it"
            " is not sealed where it is now: apply the step there, or undo the window."
        )
    engine.facts.forget()
    report = _report(engine, window, how, _sealed(window, gone))
    window_store.end(engine.state, window, report)
    problems.append(_log(engine, window, report))
    try:
        over(engine, window, report)
    except (HostError, OSError) as error:
        problems.append(f"The units that close the window could not be taken away: {error}")
    problem = " ".join(filter(None, problems))
    words = "was undone" if how == "undone" else "is closed"
    steps = _sealed(window, gone)
    sealed = f" Sealed again: {', '.join(steps)}." if steps else ""
    worse = ""
    if report.worse:
        names = ", ".join(one.step for one in report.worse)
        worse = f" Not as before the window: {names}; `harden-tui check` says why."
    sentence = f"The update window {words}.{sealed} {_counted(report)}{worse} {problem}".rstrip()
    return NEEDS_PERSON if problem else GOOD, sentence, done


def roll_back_open_if_any(engine: Engine) -> None:
    """At the deadline nobody is there to recover what was cut off in the window."""
    if Records(engine.state).open():
        roll_back_open(engine.host, engine.state, Listener(engine.emit, engine.redact))
        engine.facts.forget()


def _none(engine: Engine, *, by_deadline: bool) -> Ended:
    if not by_deadline:
        return REFUSED, NO_WINDOW, []
    last = window_store.last(engine.state)
    remove_units(engine, last.window.made if last is not None else ())
    return GOOD, NO_WINDOW, []


def _must_wait(engine: Engine, window: Window) -> Ended | None:
    """At the deadline: not yet, or not while somebody writes; `None` where it is to be closed."""
    if window.left_s(now()) > 0:
        return GOOD, f"The update window is open until {spoken(window.deadline)}.", []
    writers = window_busy.writers(engine, window)
    if not writers:
        return None
    again = now() + timedelta(minutes=window_units.EVERY_MIN)
    known = window.waiting
    since = known.since if known is not None else now().isoformat()
    window = save(
        engine,
        msgspec.structs.replace(
            window, waiting=Waiting(since=since, next=again.isoformat(), writers=writers)
        ),
    )
    sentence = (
        f"The deadline of the update window has passed, and it is still open: {writers[0]}"
        f"{f' and {len(writers) - 1} more are' if len(writers) > 1 else ' is'} at work. It is"
        f" tried again each {window_units.EVERY_MIN} minutes; `harden-tui window extend` moves the"
        " deadline, `harden-tui window close` closes it now."
    )
    _warn(engine, sentence)
    if known is None or known.writers != writers:
        engine.record("window-overdue", steps=list(window.steps), transaction=window.id,
                      status="waiting", reason="; ".join(writers))  # fmt: skip
    return REFUSED, sentence, []


def _warn(engine: Engine, sentence: str) -> None:
    """To every terminal; the journal has it from the service, syslog from the session log."""
    if engine.host.which("wall") is not None:
        try:
            engine.host.run(("wall", f"harden-tui: {sentence}"), ok=None)
        except HostError as error:
            engine.say("window.close", "checking", f"nobody could be told: {error}")


def _sealed_since(engine: Engine, window: Window) -> bool:
    return any(
        record.id > window.id
        for seal in window.seals
        for record in open_for_step(engine.state, seal.step)
    )


def _stays_open(engine: Engine, window: Window, said: str) -> Ended:
    """All seals are lifted again: half of them would be neither safe nor of use."""
    ended, why, _ = window_seals.lift(engine, window.seals)
    half = "" if ended == GOOD else f" Some of it is sealed all the same: {why}"
    try:
        windows.reopen(engine.state, window.id)
        save(engine, msgspec.structs.replace(window, state="open", failed=said))
    except (HostError, OSError) as error:
        half = f"{half} {error}"
    problem = engine.record("window-close-failed", steps=list(window.steps), transaction=window.id,
                            status="needs-person", reason=said)  # fmt: skip
    sentence = (
        f"The update window STAYS OPEN, because it could not be sealed: {said}{half} Mend that,"
        f" then run `harden-tui window close`. {problem}"
    )
    return NEEDS_PERSON, sentence.rstrip(), []


def _sealed(window: Window, gone: Sequence[str]) -> tuple[str, ...]:
    """The steps that seal one of their trees at least, where these are gone."""
    seals = (one for one in window.seals if not one.roots or set(one.roots) - set(gone))
    return tuple(dict.fromkeys(one.step for one in seals))


def _report(
    engine: Engine,
    window: Window,
    how: Literal["closed", "deadline", "undone"],
    sealed: tuple[str, ...],
) -> WindowReport:
    deltas = list(only_changes(Records(engine.state).deltas(window.id)))
    try:
        after = versions(engine.host, window.trees)
        ports = listening(engine)
    except HostError:
        after, ports = window.versions, window.ports
    try:
        # Those about the window itself would say that it is open, which is over in a moment.
        results = [one for one in engine.results() if one.id not in BY_WINDOW]
    except (HostError, StepError) as error:
        results = []
        engine.say("window.close", "checking", f"the check broke off: {error}")
    return WindowReport(
        transaction=window.id,
        how=how,
        opened=window.opened,
        closed=now().isoformat(),
        who=window.who,
        note=window.note,
        sealed=sealed,
        packages=window_report.packages(deltas),
        files=window_report.files(deltas, ("/etc", *window.trees)),
        units=window_report.units(deltas),
        ports=window_report.ports(window.ports, ports),
        versions=window_report.differing(window.versions, after),
        checked=window_report.counted(results),
        worse=window_report.worse(window.passing, results),
    )


def _log(engine: Engine, window: Window, report: WindowReport) -> str:
    """Into the session log; the exported report has the diffs of the window's transaction."""

    def told(changes: tuple[Changed, ...]) -> list[str]:
        return [f"{c.name} {c.before or 'none'} -> {c.after or 'none'}" for c in changes]

    return engine.record(
        "window-undo" if report.how == "undone" else "window-close",
        steps=list(window.steps),
        transaction=window.id,
        how=report.how,
        opened=report.opened,
        note=report.note,
        packages=told(report.packages),
        files=[
            f"{one.top}: {one.new} new, {one.gone} gone, {one.edited} edited, {one.attributes} with"
            " another owner or mode"
            for one in report.files
        ],
        units=told(report.units),
        ports=told(report.ports),
        versions=told(report.versions),
        checked=report.checked,
        worse=[f"{one.step} ({one.status})" for one in report.worse],
    )


def _counted(report: WindowReport) -> str:
    if report.is_empty:
        return "Nothing changed meanwhile."
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in (
            (sum(one.count for one in report.files), "file"),
            (len(report.packages), "package"),
            (len(report.units), "unit"),
            (len(report.ports), "port"),
            (len(report.versions), "version"),
        )
        if count
    ]
    changed = "What was changed in it" if report.how == "undone" else "Changed meanwhile"
    return f"{changed}: {', '.join(parts)}; `harden-tui history show {report.transaction}`."
