"""logs.persistent: what journald and logrotate say, and what is done about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.applications import Application
from host.facts.journald import Journald, parse_started, parse_usage, size_bytes
from host.facts.logrotate import Rotation, origin_of, parse_debug
from host.facts.systemd_conf import Setting
from snapshots.model import WriteFile
from steps.resource import Context, StepError
from steps.resources.journald import Journal
from steps.resources.log_rotation import LogRotation
from tests.unit.given import RELEASES, context, packages, recorded, unit

STEP = "logs.persistent"
OURS = "/etc/systemd/journald.conf.d/zz-harden-tui-logs-persistent.conf"
ON_DISK = ("/var/log/journal/ab/system.journal",)


@pytest.mark.parametrize("release", RELEASES)
def test_what_journald_told(release: str) -> None:
    most = parse_usage(recorded(release, "logs/journal-usage.json"))
    assert most is not None and most >= 2**29
    pid, started_s = parse_started(recorded(release, "logs/journald-show.txt"))
    assert pid > 1 and started_s > 1.7e9


@pytest.mark.parametrize("release", RELEASES)
def test_what_logrotate_would_do(release: str) -> None:
    found = parse_debug(recorded(release, "logs/logrotate.txt"))
    assert found.errors == ()
    assert found.patterns["/var/log/apache2/*.log"].startswith("after 1 days")
    assert found.patterns["/var/log/apt/term.log"].startswith("monthly")
    assert found.patterns["/var/log/syslog"].startswith("weekly")
    assert found.patterns["/var/log/auth.log"].startswith("weekly"), "several words of one rule"


def test_what_logrotate_refuses() -> None:
    said = (
        'considering log /srv/x/a.log\nerror: skipping "/srv/x/a.log" because parent directory has'
        " insecure permissions (It's world writable)\n"
    )
    assert parse_debug(said).errors[0].startswith('skipping "/srv/x/a.log"')
    assert origin_of("/a/*.log", {"/etc/logrotate.d/a": "# x\n/a/*.log {\n}\n"}) == (
        "/etc/logrotate.d/a:2"
    )


def test_sizes() -> None:
    assert size_bytes("1G") == 1024**3
    assert size_bytes("512M") == 512 * 1024**2
    assert size_bytes("much") is None


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_usage(text)
    parse_usage("{" + text)
    parse_started(text)
    parse_debug(text)
    size_bytes(text)


def asked(directory: Path, **answers: Any) -> Context:
    usual: dict[str, Any] = {
        "journald": Journald(pid=1, started_s=2e9, files=ON_DISK, maximum_bytes=2**30),
        "systemd_conf": {
            ("Journal", "Storage"): Setting("persistent", OURS, 3),
            ("Journal", "SystemMaxUse"): Setting("1G", OURS, 5),
        },
        "packages": packages("rsyslog", "logrotate"),
        "units": {
            "rsyslog.service": unit("rsyslog.service"),
            "logrotate.timer": unit("logrotate.timer"),
        },
        "dpkg_busy": "",
    }
    return context(directory, **{**usual, **answers})


def journal(**body: str) -> Journal:
    return Journal.parse(STEP, {"max-use": "1G", "text-logs": "rsyslog", **body})


def test_all_is_well(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    assert all(finding.ok for finding in journal().observe(ctx))
    assert journal().plan(ctx).changes == ()


def test_a_journal_in_memory_goes_to_the_disk(tmp_path: Path) -> None:
    volatile = Journald(pid=1, started_s=2e9, files=("/run/log/journal/a.journal",),
                        maximum_bytes=None)  # fmt: skip
    ctx = asked(tmp_path, journald=volatile, systemd_conf={})
    findings = {finding.setting: finding for finding in journal().observe(ctx)}
    assert findings["Storage"].running == "volatile" and findings["Storage"].ok is False
    planned = journal().plan(ctx)
    assert isinstance(planned.changes[0], WriteFile)
    assert b"Storage=persistent\nCompress=yes\nSystemMaxUse=1G\n" in planned.changes[0].content
    assert [one.how for one in planned.activations] == ["restart", "command"]


def test_a_limit_that_journald_has_not_taken_over_is_no_limit(tmp_path: Path) -> None:
    ctx = asked(
        tmp_path, journald=Journald(pid=1, started_s=2e9, files=ON_DISK, maximum_bytes=2**32)
    )
    limit = next(f for f in journal().observe(ctx) if f.setting == "SystemMaxUse")
    assert (limit.ok, limit.running, limit.persistent) == (False, "4096M", "1G")


def test_a_later_line_is_not_fought(tmp_path: Path) -> None:
    later = {
        ("Journal", "Storage"): Setting("volatile", "/etc/systemd/journald.conf.d/zzz.conf", 2)
    }
    planned = journal().plan(asked(tmp_path, systemd_conf=later))
    assert "zzz.conf:2" in planned.refusals[0]


def test_rsyslog_is_never_taken_away(tmp_path: Path) -> None:
    wants = journal(**{"text-logs": "journald"})
    ctx = asked(tmp_path)
    assert [f.ok for f in wants.observe(ctx) if f.resource == "rsyslog"] == [False]
    assert "text-logs=rsyslog" in wants.plan(ctx).refusals[0]


def test_a_size_that_is_none() -> None:
    with pytest.raises(StepError, match="max-use"):
        journal(**{"max-use": "plenty"})


def test_an_applications_logs_are_rotated_by_their_owner(tmp_path: Path) -> None:
    idoit, typo3 = "/srv/i-doit", "/srv/typo3"
    ctx = asked(
        tmp_path, logrotate=Rotation(), logrotate_files={},
        applications=(
            Application("i-doit", idoit, idoit),
            Application("typo3", typo3, typo3, (), "classic"),
        ),
        user_numbers={"root": 0, "www-data": 33}, group_numbers={"root": 0, "www-data": 33},
    )  # fmt: skip
    for path in (f"{idoit}/log", f"{typo3}/typo3temp/var/log"):
        for parent in (*reversed(Path(path).parents), Path(path)):
            if ctx.host.state(str(parent)) is None:
                ctx.host.put(str(parent), FileState(kind="dir", mode=0o755, uid=33, gid=33))
    step = LogRotation.parse(STEP, {"keep-weeks": 4})
    assert [one.running for one in step.observe(ctx) if one.ok is False] == ["never rotated"] * 2
    planned = step.plan(ctx)
    assert isinstance(planned.changes[0], WriteFile)
    text = planned.changes[0].content.decode()
    assert f"{idoit}/log/*.log {{" in text and f"{typo3}/typo3temp/var/log/*.log {{" in text
    assert "su www-data www-data" in text and "rotate 4\n" in text


def test_a_rule_of_somebody_else_will_do(tmp_path: Path) -> None:
    theirs = {"/etc/logrotate.d/theirs": "/srv/i-doit/log/*.log {\n}\n"}
    ctx = asked(
        tmp_path, logrotate=Rotation({"/srv/i-doit/log/*.log": "weekly (4 rotations)"}),
        logrotate_files=theirs, applications=(Application("i-doit", "/srv/i-doit", "/srv/i-doit"),),
        user_numbers={"root": 0}, group_numbers={"root": 0},
    )  # fmt: skip
    for path in ("/srv", "/srv/i-doit", "/srv/i-doit/log"):
        if ctx.host.state(path) is None:
            ctx.host.put(path, FileState(kind="dir", mode=0o755))
    step = LogRotation.parse(STEP, {"keep-weeks": 4})
    assert step.observe(ctx)[-1].origin == "/etc/logrotate.d/theirs:1"
    assert step.plan(ctx).changes == ()
