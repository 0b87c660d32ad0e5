"""The timer kind: what systemd answers, and unit files that mean what they say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.timers import Timer, parse_show, timer_of
from snapshots.model import WriteFile
from steps.resource import StepError
from steps.resources.timer import Timer as Resource
from tests.unit.web_host import WebHost

BODY: dict[str, Any] = {
    "name": "site-look",
    "description": "Look at the site",
    "command": ["/usr/bin/true", "--flag"],
    "calendar": "daily",
}
SHOWN = """\
NextElapseUSecRealtime=Thu 2026-11-26 06:41:02 UTC
Id=site-look.timer
LoadState=loaded
ActiveState=active
UnitFileState=enabled
NeedDaemonReload=no
Result=success

ExecMainExitTimestamp=Wed 2026-11-25 06:30:05 UTC
ExecMainStatus=2
Id=site-look.service
ActiveState=inactive
Result=exit-code
NeedDaemonReload=no
"""


def test_the_answer_of_systemctl() -> None:
    assert timer_of(parse_show(SHOWN), "site-look") == Timer(
        enabled=True,
        waiting=True,
        next_run="Thu 2026-11-26 06:41:02 UTC",
        last_run="Wed 2026-11-25 06:30:05 UTC",
        result="exit-code",
        status="2",
    )


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    assert timer_of(parse_show(text), "site-look").next_run == "" or "site-look" in text


def _host(shown: str = "") -> WebHost:
    host = WebHost("bookworm")
    host.programs["systemctl"] = lambda argv: (0, shown)
    return host


def test_its_files_and_that_a_failed_run_fails() -> None:
    host = _host(SHOWN)
    timer = Resource.parse("site.look", BODY)
    for path, text in timer.files.items():
        host.files[path] = text
    found = {one.setting: one for one in timer.observe(host.context())}
    assert (found["unit files"].ok, found["timer"].ok, found["last run"].ok) == (True, True, False)
    assert found["last run"].note == "journalctl -u site-look.service"
    assert timer.plan(host.context()).changes == ()


def test_it_is_written_enabled_and_started() -> None:
    host = _host()
    timer = Resource.parse("site.look", {**BODY, "fine": [1]})
    planned = timer.plan(host.context())
    texts = {c.path: c.content.decode() for c in planned.changes if isinstance(c, WriteFile)}
    service = texts["/etc/systemd/system/site-look.service"]
    assert "ExecStart=/usr/bin/true --flag\nSuccessExitStatus=1\n" in service
    assert "OnCalendar=daily\n" in texts["/etc/systemd/system/site-look.timer"]
    assert "sudo systemctl start site-look.service" in planned.notes[0]


def test_it_is_refused_where_it_would_be_of_no_use() -> None:
    timer = Resource.parse("site.look", {**BODY, "needs": {"/usr/sbin/sendmail": "postfix"}})
    (refusal,) = timer.plan(_host().context()).refusals
    assert "/usr/sbin/sendmail (package postfix) is not installed" in refusal


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../evil"),
        ("command", ["true"]),
        ("command", ["/bin/sh", "-c", "a b"]),
        ("command", ["/bin/echo", "%h"]),
        ("command", ["/bin/echo", "$HOME"]),
        ("calendar", "daily\nExecStart=/bin/sh"),
        ("delay", "soon"),
        ("description", "100 % sure"),
    ],
)
def test_what_systemd_would_read_otherwise_is_refused(field: str, value: object) -> None:
    with pytest.raises(StepError, match=field):
        Resource.parse("site.look", {**BODY, field: value})
