"""logs.logwatch: what it says of its configuration, and logs that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.logwatch import OURS, origin_of, parse_debug, with_settings
from snapshots.model import WriteFile
from steps.resource import Context
from steps.resources.logwatch import Logwatch
from tests.unit.given import RELEASES, context, packages, recorded, unit

BODY = {"mail-to": "root", "mail-from": "Logwatch", "detail": "med"}


@pytest.mark.parametrize("release", RELEASES)
def test_what_logwatch_says(release: str) -> None:
    said = parse_debug(recorded(release, "logs/logwatch-debug.txt"))
    assert said["mailto"] == "root"
    assert said["mailfrom"] == "root"
    assert said["detail"] == "0"
    assert said["mailer"] == "/usr/sbin/sendmail -t"


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_debug(text)
    parse_debug(f"Config After Everything:\n{text}")
    again = with_settings(text, {"MailTo": "a@b.c"})
    assert origin_of("mailto", {OURS: again})


def test_the_last_line_counts_and_others_stay() -> None:
    text = "# mine\nMailTo = x\nmailto = y\nRange = all\n"
    changed = with_settings(text, {"MailTo": "a@b.c", "Detail": "Med"})
    assert changed == "# mine\nMailTo = x\nMailTo = a@b.c\nRange = all\nDetail = Med\n"
    assert origin_of("MailTo", {OURS: text}) == f"{OURS}:3"


def asked(directory: Path, **answers: Any) -> Context:
    usual: dict[str, Any] = {
        "packages": packages("logwatch", "cron"), "units": {"cron.service": unit("cron.service")},
        "logwatch": {"mailto": "root", "mailfrom": "Logwatch", "detail": "0"},
        "logwatch_files": {}, "dpkg_busy": "",
    }  # fmt: skip
    ctx = context(directory, **{**usual, **answers})
    for folder in ("/var", "/var/log", "/etc/cron.daily", "/usr", "/usr/sbin"):
        if ctx.host.state(folder) is None:
            ctx.host.put(folder, FileState(kind="dir", mode=0o755))
    ctx.host.put("/etc/cron.daily/00logwatch", FileState(kind="file", mode=0o755), b"#!/bin/sh\n")
    ctx.host.put("/usr/sbin/sendmail", FileState(kind="file", mode=0o755), b"")
    ctx.host.put("/var/log/auth.log", FileState(kind="file", mode=0o640), b"a line\n")
    return ctx


def test_only_the_detail_is_wrong(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    step = Logwatch.parse("x.y", BODY)
    assert [one.setting for one in step.observe(ctx) if not one.ok] == ["Detail"]
    (change,) = step.plan(ctx).changes
    assert isinstance(change, WriteFile)
    assert change.content == b"MailTo = root\nMailFrom = Logwatch\nDetail = Med\n"


def test_without_text_logs_it_would_report_on_nothing(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    for path in ("/var/log/auth.log", "/var/log/syslog"):
        ctx.host.put(path, None)
    planned = Logwatch.parse("x.y", BODY).plan(ctx)
    assert "text-logs=rsyslog" in planned.refusals[0]


def test_without_a_mail_program_nobody_gets_it(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    ctx.host.put("/usr/sbin/sendmail", None)
    assert "mail.relay" in Logwatch.parse("x.y", BODY).plan(ctx).refusals[0]


def test_a_job_that_cannot_run_is_no_job(tmp_path: Path) -> None:
    ctx = asked(tmp_path, units={"cron.service": unit("cron.service", "inactive", "disabled")})
    ctx.host.put("/etc/cron.daily/00logwatch", FileState(kind="file", mode=0o644))
    step = Logwatch.parse("x.y", BODY)
    assert next(f for f in step.observe(ctx) if f.setting == "every day").ok is False
    assert len(step.plan(ctx).changes) == 3
