"""`log`: the sessions, their entries, reports of them, and whether the log is as it was written."""

from __future__ import annotations

import argparse
import difflib
from pathlib import Path
from typing import Any, Final

from snapshots.logchain import Entry
from snapshots.sessionlog import SessionLog, SessionSummary
from tui.failures import Stop, usage
from tui.options import Options
from tui.out import Out, note, note_whose
from tui.paths import is_root
from tui.private_file import write_privately
from tui.session import open_host, open_log, open_state

ALTERED: Final = 1
EMPTY: Final = "The log is empty: nothing was changed yet."
MISSING: Final = "The log was changed: entries are missing; see `log verify`."

_ENDINGS: Final = {".md": "markdown", ".markdown": "markdown", ".json": "json", ".html": "html"}


def log(options: Options, arguments: argparse.Namespace) -> int:
    """List, show, export or verify; exits 1 where verify, or an empty list, finds it altered."""
    out = Out()
    host = open_host(options)
    kept = open_log(options, host)
    note_whose(practice=options.practice, root=is_root())
    if arguments.what == "list":
        return _list(out, options, kept)
    if arguments.what == "show":
        return _show(out, options, kept, _session(kept, arguments))
    if arguments.what == "verify":
        return _verify(out, options, kept)
    return _export(out, options, kept, arguments)


def _list(out: Out, options: Options, kept: SessionLog) -> int:
    sessions = kept.sessions()
    missing = not sessions and not kept.verify().ok
    if options.format != "text":
        out.json({"schema": "harden-tui/log/1", "sessions": sessions})
        return ALTERED if missing else 0
    if missing:
        out.line(MISSING, "bad")
        return ALTERED
    if not sessions:
        out.line(EMPTY)
    for one in sessions:
        counts = ", ".join(f"{number} {kind}" for kind, number in one.counts.items())
        out.parts(
            (f"{_time(one.start)}  ", "dim"), (one.id, "bold"), (f"  {one.user}@{one.host}", ""),
            (f"  {counts}", "dim"),
        )  # fmt: skip
    return 0


def _show(out: Out, options: Options, kept: SessionLog, session: str) -> int:
    entries = kept.entries(session)
    if options.format != "text":
        out.json({"schema": "harden-tui/log-entries/1", "session": session, "entries": entries})
        return 0
    for entry in entries:
        out.parts(
            (f"{_time(entry.time)}  ", "dim"), (f"{entry.kind:<16} ", "bold"),
            (describe(entry), ""), (f"  {entry.user}", "dim"),
        )  # fmt: skip
    return 0


def describe(entry: Entry) -> str:
    """What an entry says, in one line."""
    fields = dict(entry.fields)
    about = fields.pop("step", None) or fields.pop("steps", None)
    words = [", ".join(about) if isinstance(about, list) else str(about or "")]
    fields.pop("title", None)
    words += [f"{name}: {_plain(value)}" for name, value in fields.items() if value not in ("", {})]
    return "; ".join(word for word in words if word)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={_plain(item)}" for name, item in value.items())
    return str(value)


def _verify(out: Out, options: Options, kept: SessionLog) -> int:
    verdict = kept.verify()
    if options.format != "text":
        out.json({"schema": "harden-tui/log-verify/1", "verdict": verdict})
    elif verdict.ok:
        entries = "entry" if verdict.entries == 1 else "entries"
        out.line(f"The log is as it was written: {verdict.entries} {entries}.", "ok")
    else:
        out.line(f"The log was changed: {verdict.problem}.", "bad")
    return 0 if verdict.ok else ALTERED


def _export(out: Out, options: Options, kept: SessionLog, arguments: argparse.Namespace) -> int:
    from tui import report

    file = arguments.output or ""
    if arguments.session == "-":  # `log export - > report.md`
        arguments.session, file = "", "-"
    form = arguments.form or _ENDINGS.get(Path(file).suffix) or _form_of(options)
    made = report.collect(
        kept, open_state(options), _session(kept, arguments),
        host=kept.host, practice=options.practice,
    )  # fmt: skip
    to_json = report.json_line if options.format == "events" else report.json
    render = {"markdown": report.markdown, "json": to_json, "html": report.html}[form]
    if file in ("", "-"):
        (out.raw if form == "markdown" else out.document)(render(made))
    else:
        write_privately(file, render(made).encode("utf-8", "replace"))
        note(f"the report is in {file}.")
    return 0


def _form_of(options: Options) -> str:
    return "markdown" if options.format == "text" else "json"


def _session(kept: SessionLog, arguments: argparse.Namespace) -> str:
    """The id of the session that is meant ("" for all). Raises `Stop` (exit 2, 1 where there must
    have been some)."""
    if arguments.all:
        return ""
    sessions: list[SessionSummary] = kept.sessions()
    if not sessions:
        raise usage(EMPTY) if kept.verify().ok else Stop(ALTERED, MISSING)
    name = arguments.session
    if not name:
        return sessions[-1].id
    known = [one.id for one in sessions]
    fitting = [one for one in known if one == name] or [one for one in known if name in one]
    if len(fitting) == 1:
        return fitting[0]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise usage(f"There is no session {name!r}.{hint} `log list` shows them.")


def _time(stamp: str) -> str:
    return stamp[:19].replace("T", " ")
