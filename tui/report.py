"""The report of a session: what was done, by whom, when, with every diff.

`collect` gathers it; `markdown`, `html` and `json` are pure functions of it. A report is handed
to auditors and customers, so nothing in it depends on anything outside: one file each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from host.names import shown_json
from host.names import visible as spelled
from snapshots.decision import name_of
from snapshots.logchain import Entry, Verdict
from snapshots.model import SnapshotError, TransactionRecord
from snapshots.sessionlog import SessionLog, SessionSummary
from snapshots.state import StateDir
from tui.history_words import NOTHING_TOLD
from tui.text import UNSEEN, safe_json

SCHEMA = "harden-tui/report/1"

PRACTICE = "Practice host: everything below happened on a pretend server, nothing is real."

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&])")


class ReportDelta(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a transaction changed, as a unified diff."""

    domain: str
    key: str
    diff: str


class ReportTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction with its diffs. `note` says why they are not there (pruned, damaged)."""

    record: TransactionRecord
    deltas: tuple[ReportDelta, ...] = ()
    note: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a report says. `made` is ISO 8601 UTC; `verdict` that of the whole log."""

    schema: str = SCHEMA
    host: str
    practice: bool
    made: str
    verdict: Verdict
    sessions: tuple[SessionSummary, ...]
    entries: tuple[Entry, ...]
    transactions: tuple[ReportTransaction, ...]


def collect(
    log: SessionLog, state: StateDir, session: str = "", *, host: str, practice: bool
) -> Report:
    """The report of a session, or of all without one. Raises `SnapshotError`."""
    from snapshots import history  # showing a report that is there already must not need it

    entries = log.entries(session)
    named = {
        entry.fields[name]: None
        for entry in entries
        for name in ("transaction", "undoes")
        if isinstance(entry.fields.get(name), str)
    }
    chosen = {entry.session for entry in entries}
    return Report(
        host=host,
        practice=practice,
        made=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        verdict=log.verify(),
        sessions=tuple(one for one in log.sessions() if one.id in chosen),
        entries=tuple(entries),
        transactions=tuple(
            _with_diffs(state, record)
            for record in history.transactions(state)
            if record.id in named
        ),
    )


def _with_diffs(state: StateDir, record: TransactionRecord) -> ReportTransaction:
    from snapshots import history

    try:
        shown = history.show(state, record.id)
    except SnapshotError as error:
        return ReportTransaction(record=record, note=str(error))
    if shown.told != "all":
        return ReportTransaction(record=record, note=NOTHING_TOLD[shown.told])
    deltas = (ReportDelta(domain=one.domain, key=one.key, diff=one.diff) for one in shown.deltas)
    return ReportTransaction(record=record, deltas=tuple(deltas))


def json(report: Report) -> str:
    """The report as JSON (`harden-tui/report/1`), for programs."""
    return safe_json(msgspec.json.format(shown_json(report)).decode()) + "\n"


def json_line(report: Report) -> str:
    """The same on one line, as events are read."""
    return safe_json(shown_json(report).decode()) + "\n"


def html(report: Report) -> str:
    """The report as one page that loads nothing."""
    from tui.report_html import page

    return page(report)


def markdown(report: Report) -> str:
    """The report as Markdown, readable as plain text too."""
    parts = [f"# What harden-tui did on {_escaped(report.host)}", ""]
    if report.practice:
        parts += [f"> **{PRACTICE}**", ""]
    parts += [f"Written {moment(report.made)}. {_escaped(verdict_sentence(report.verdict))}", ""]
    for session in report.sessions:
        parts += [
            f"## Session {_escaped(session.id)}",
            "",
            f"{_escaped(session.user)} on {_escaped(session.host)}, "
            f"{moment(session.start)} to {moment(session.end)}",
            "",
            "| Time | What | Step | Details |",
            "| --- | --- | --- | --- |",
        ]
        for entry in report.entries:
            if entry.session == session.id:
                details = "; ".join(f"{name}: {value}" for name, value in details_of(entry))
                cells = (moment(entry.time), entry.kind, steps_of(entry), details)
                parts.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
        parts.append("")
    if report.transactions:
        parts += ["## Changes", ""]
    for one in report.transactions:
        parts += [f"### {_escaped(title_of(one.record))}", "", _escaped(facts_of(one.record)), ""]
        if one.note:
            parts += [_escaped(one.note), ""]
        for delta in one.deltas:
            parts += [f"{_escaped(delta.domain)}: {_code(delta.key)}", "", *_fenced(delta.diff), ""]
    return "\n".join(parts).rstrip() + "\n"


def verdict_sentence(verdict: Verdict) -> str:
    """Whether the log this was made from can be trusted."""
    if verdict.ok:
        return f"The log is as it was written ({verdict.entries} entries verified)."
    return f"The log was changed after it was written: {verdict.problem}."


def title_of(record: TransactionRecord) -> str:
    """A transaction in a few words."""
    if not record.is_of_steps:
        return record.title or record.id
    return f"{'Undo of' if record.kind == 'rollback' else 'Apply'} {name_of(record)}"


def facts_of(record: TransactionRecord) -> str:
    """Who, when and how it ended, in one line."""
    words = [record.id, record.status, moment(record.started), f"by {record.user or 'unknown'}"]
    if record.undoes:
        words.append(f"undoes {record.undoes}")
    if record.undone_by:
        words.append(f"undone by {record.undone_by}")
    if record.reason:
        words.append(record.reason)
    return " · ".join(words)


def steps_of(entry: Entry) -> str:
    """The steps an entry is about."""
    return _plain(entry.fields.get("step") or entry.fields.get("steps") or "")


def details_of(entry: Entry) -> list[tuple[str, str]]:
    """What else an entry says: name and value, in the order they were logged."""
    return [
        (name, _plain(value))
        for name, value in entry.fields.items()
        if name not in ("step", "steps", "title") and value not in ("", None, [], {})
    ]


def moment(stamp: str) -> str:
    """An ISO time to the second, as people read it ("2026-11-21 09:30:00 UTC")."""
    return f"{stamp[:19].replace('T', ' ')} UTC" if stamp else "never"


def visible(text: str) -> str:
    """`text` with control and invisible characters spelled out, so that nothing can hide."""
    return UNSEEN.sub(lambda found: ascii(found.group())[1:-1], spelled(text))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _escaped(text: str) -> str:
    """Text that means nothing to Markdown and stays in its table cell."""
    return _MARKDOWN.sub(r"\\\1", visible(" ".join(text.split())))


def _code(text: str) -> str:
    shown = visible(" ".join(text.split()))
    ticks = "`" * (_longest_run(text) + 1)
    return f"{ticks} {shown} {ticks}" if "`" in text else f"`{shown}`"


def _fenced(diff: str) -> Iterable[str]:
    """A code block that its content cannot end."""
    fence = "`" * max(3, _longest_run(diff) + 1)
    return (f"{fence}diff", *(visible(line) for line in diff.split("\n")), fence)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
