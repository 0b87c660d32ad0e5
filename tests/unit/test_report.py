"""Reports: complete, self-contained, and nothing in them can do anything."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from snapshots import history
from snapshots.logchain import Entry, Verdict
from snapshots.model import SnapshotError, TransactionRecord
from snapshots.sessionlog import SessionLog, SessionSummary
from snapshots.state import StateDir
from tui import report as reports
from tui.report import Report, ReportDelta, ReportTransaction

NASTY = "</pre><script>alert(1)</script>\"'&\x1b[2J\u202e`|*_"
DIFF = """\
--- /etc/ssh/sshd_config.d/00-harden.conf
+++ /etc/ssh/sshd_config.d/00-harden.conf
@@ -1,2 +1,2 @@
 # ```
-PermitRootLogin yes
+PermitRootLogin no"""


def make(text: str = "plain", *, practice: bool = False, ok: bool = True) -> Report:
    entry = Entry(
        seq=1,
        time="2026-11-21T09:30:00.123456Z",
        session="20261121-093000-1",
        user=text,
        host=text,
        kind="apply",
        fields={
            "step": "ssh.root-login",
            "title": text,
            "transaction": "t1",
            "values": {"a": True, "b": ["x", text]},
            "empty": "",
        },
        prev="0" * 64,
        hash="1" * 64,
    )
    record = TransactionRecord(
        id="t1",
        kind="apply",
        steps=("ssh.root-login",),
        title=text,
        status="undone",
        started="2026-11-21T09:29:58.000000Z",
        user=text,
        undone_by="t2",
        reason=text,
    )
    return Report(
        host=text,
        practice=practice,
        made="2026-11-21T10:00:00Z",
        verdict=Verdict(ok=ok, entries=1, problem="" if ok else f"entry 1 {text}"),
        sessions=(
            SessionSummary(
                id=entry.session,
                start=entry.time,
                end=entry.time,
                user=text,
                host=text,
                entries=1,
                counts={"apply": 1},
            ),
        ),
        entries=(entry,),
        transactions=(
            ReportTransaction(
                record=record,
                deltas=(ReportDelta(domain="files", key=f"/etc/{text}", diff=f"{DIFF}\n+{text}"),),
                note=text,
            ),
        ),
    )


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", ["plain", NASTY])
def test_the_page_is_well_formed_and_harmless(text: str) -> None:
    content = reports.html(make(text))
    page = Page(content)
    assert page.open == []
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for name, value in page.attributes:
        assert name != "src"
        assert name != "href" or value.startswith("#")
    assert "url(" not in content and "@import" not in content
    assert "default-src 'none'" in content
    assert "\x1b" not in content and "\u202e" not in content


def test_the_page_shows_everything() -> None:
    page = Page(reports.html(make(NASTY)))
    assert "alert(1)" in page.text
    assert "\\x1b[2J\\u202e" in page.text
    for line in DIFF.split("\n"):
        assert line in page.text
    assert "values: a=yes, b=x, " in page.text
    assert ("href", "#t-t1") in page.attributes
    assert ("id", "t-t1") in page.attributes
    assert "undone by t2" in page.text


def test_the_page_follows_light_and_dark() -> None:
    content = reports.html(make())
    assert "prefers-color-scheme: dark" in content
    assert '<span class="add">+PermitRootLogin no</span>' in content
    assert '<span class="del">-PermitRootLogin yes</span>' in content


@pytest.mark.parametrize("write", [reports.html, reports.markdown])
def test_a_practice_report_says_so(write: object) -> None:
    assert callable(write)
    assert "pretend server" in write(make(practice=True))
    assert "pretend server" not in write(make())


@pytest.mark.parametrize("write", [reports.html, reports.markdown])
def test_a_log_that_was_changed_is_said(write: object) -> None:
    assert callable(write)
    assert "was changed after it was written: entry 1" in write(make(ok=False))
    assert "as it was written" in write(make())


def test_markdown_cannot_be_broken_out_of() -> None:
    content = reports.markdown(make(NASTY))
    outside = re.sub(r"(?ms)^(`{3,})diff$.*?^\1$", "", content)
    assert "<script>" not in re.sub(
        r"\\.", "", re.sub(r"``? .*? ``?$", "", outside, flags=re.MULTILINE)
    )
    assert content.count("````diff") == 1, "the diff holds ``` itself"
    rows = [line for line in content.splitlines() if line.startswith("| 2026")]
    assert len(rows) == 1
    assert len(re.sub(r"\\.", "", rows[0]).split("|")) == 6
    assert "\x1b" not in content


@pytest.mark.parametrize("write", [reports.html, reports.markdown, reports.json, reports.json_line])
def test_a_name_that_is_not_utf8_is_spelled_out(write: Callable[[Report], str]) -> None:
    text = write(make(os.fsdecode(b"/etc/caf\xe9.conf")))
    text.encode()
    assert re.search(r"/etc/caf\\+xe9\\?\.conf", text)


def test_json_is_the_whole_report() -> None:
    report = make(NASTY, practice=True)
    body = json.loads(reports.json(report))
    assert body["schema"] == "harden-tui/report/1"
    assert body["practice"] is True
    assert body["transactions"][0]["deltas"][0]["diff"].endswith(NASTY)
    assert msgspec.json.decode(reports.json(report), type=Report) == report


def test_a_report_gathers_a_session_and_the_transactions_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDir(tmp_path / "state")
    log = SessionLog(state.log_dir, user="alice", host="web1", syslog=False)
    log.append("apply", step="a.b", transaction="t1")
    log.append("apply", step="c.d", transaction="t2")
    record = make().transactions[0].record
    records = [msgspec.structs.replace(record, id=name) for name in ("t0", "t1", "t2")]

    def show(state: StateDir, tx_id: str) -> history.TransactionDetail:
        if tx_id == "t2":
            raise SnapshotError("The restore point of t2 was pruned.")
        return history.TransactionDetail(
            record, (history.ShownDelta("files", "/etc/motd", DIFF),), ()
        )

    monkeypatch.setattr(history, "transactions", lambda state: records)
    monkeypatch.setattr(history, "show", show)
    report = reports.collect(log, state, host="web1", practice=False)
    assert [one.record.id for one in report.transactions] == ["t1", "t2"]
    first, second = report.transactions
    assert [delta.key for delta in first.deltas] == ["/etc/motd"]
    assert second.note == "The restore point of t2 was pruned."
    assert report.verdict.ok
    assert "was pruned" in reports.html(report)
    assert "was pruned" in reports.markdown(report)
    assert reports.collect(log, state, "other", host="web1", practice=False).entries == ()
