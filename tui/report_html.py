"""The report as one HTML page: no script, nothing loaded, every text escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files

from tui import report as said
from tui.report import Report, ReportTransaction

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Even if an escape were missing, a browser would load and run nothing."""


def page(report: Report) -> str:
    """The whole page."""
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    title = f"What harden-tui did on {report.host}"
    style = files("tui").joinpath("report.css").read_text("utf-8")
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{_text(title)}</title>"
    yield f"<style>\n{style}</style>"
    yield "</head>"
    yield "<body>"
    if report.practice:
        yield f'<p class="practice">{_text(said.PRACTICE)}</p>'
    yield f"<h1>{_text(title)}</h1>"
    quality = "quiet" if report.verdict.ok else "bad"
    yield f'<p class="quiet">Written {_text(said.moment(report.made))}</p>'
    yield f'<p class="{quality}">{_text(said.verdict_sentence(report.verdict))}</p>'
    known = {one.record.id for one in report.transactions}
    for session in report.sessions:
        yield f"<h2>Session {_text(session.id)}</h2>"
        span = f"{said.moment(session.start)} to {said.moment(session.end)}"
        yield f"<p>{_text(session.user)} on {_text(session.host)}, {_text(span)}</p>"
        yield from _entries(report, session.id, known)
    if report.transactions:
        yield "<h2>Changes</h2>"
    for one in report.transactions:
        yield from _transaction(one)
    yield "</body>"
    yield "</html>"


def _entries(report: Report, session: str, known: set[str]) -> Iterator[str]:
    yield '<div class="wide"><table>'
    yield "<thead><tr><th>Time</th><th>What</th><th>Step</th><th>Details</th></tr></thead><tbody>"
    for entry in report.entries:
        if entry.session != session:
            continue
        details = []
        for name, value in said.details_of(entry):
            shown = _text(value)
            if name in ("transaction", "undoes") and value in known:
                shown = f'<a href="#t-{_text(value)}">{shown}</a>'
            details.append(f"{_text(name)}: {shown}")
        yield (
            f'<tr><td class="time">{_text(said.moment(entry.time))}</td>'
            f"<td>{_text(entry.kind)}</td><td>{_text(said.steps_of(entry))}</td>"
            f"<td>{'<br>'.join(details)}</td></tr>"
        )
    yield "</tbody></table></div>"


def _transaction(one: ReportTransaction) -> Iterator[str]:
    yield f'<section id="t-{_text(one.record.id)}">'
    yield f"<h3>{_text(said.title_of(one.record))}</h3>"
    yield f'<p class="quiet">{_text(said.facts_of(one.record))}</p>'
    if one.note:
        yield f'<p class="bad">{_text(one.note)}</p>'
    for delta in one.deltas:
        yield "<details open>" if delta.domain == "files" else "<details>"
        yield f"<summary>{_text(delta.domain)}: {_text(delta.key)}</summary>"
        lines = "".join(_line(line) for line in delta.diff.rstrip("\n").split("\n"))
        yield f"<pre>{lines}</pre>"
        yield "</details>"
    yield "</section>"


def _line(line: str) -> str:
    """A line of a diff; its sign stays, colour is only a help."""
    if line.startswith(("--- ", "+++ ")):
        kind = "file"
    else:
        kind = {"+": "add", "-": "del", "@": "hunk"}.get(line[:1], "same")
    return f'<span class="{kind}">{_text(line) or " "}</span>'


def _text(text: str) -> str:
    return escape(said.visible(text), quote=True)
