"""logs.cron-output: which jobs are heard, and lines that are changed in no other way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.crontabs import holds_secret, jobs_of, masked, parse_crontab, silence
from snapshots.model import WriteFile
from steps.resource import Context
from steps.resources.cron_output import CronOutput, To, rewritten
from tests.unit.given import RELEASES, context, recorded
from tests.unit.in_time import in_time

FILE = "/etc/cron.d/i-doit"
KB = (
    "*/5 * * * * www-data /usr/bin/php /var/www/html/i-doit/console.php search-index"
    " --user admin --password admin --tenantId 1 > /dev/null 2>&1\n"
)


@pytest.mark.parametrize("release", RELEASES)
def test_debians_own_jobs_are_heard(release: str) -> None:
    jobs = parse_crontab("/etc/crontab", recorded(release, "logs/crontab"), with_user=True)
    assert len(jobs) == 4
    assert {job.output for job in jobs} == {"kept"}
    assert not any(job.has_secret for job in jobs)


@pytest.mark.parametrize(
    ("command", "silent"),
    [
        ("x > /dev/null 2>&1", True),
        ("x >/dev/null 2>&1", True),
        ("x &>/dev/null", True),
        ("x 1>/dev/null 2>/dev/null", True),
        ("x 2>/dev/null >/dev/null", True),
        ("{ x; y; } >/dev/null 2>&1", True),
        ("x > /dev/null 2>&1 &", True),
        ("x > /dev/null", False),
        ("command -v x > /dev/null 2>&1 && x", False),
        ("x > /var/log/x.log 2>&1", False),
        ("x 2>/dev/null", False),
        ("x > /dev/nullable 2>&1", False),
    ],
)
def test_what_is_silent(command: str, silent: bool) -> None:
    assert (silence(command) is not None) is silent


@pytest.mark.parametrize(
    "text",
    [
        "--password geheim", "--password=geheim", "--passwd 'geheim zwei'",
        "mysqldump -u x -pgeheim",
        "https://me:geheim@example.org/", "DB_PASSWORD=geheim run",
    ],
)  # fmt: skip
def test_passwords_are_never_shown(text: str) -> None:
    assert holds_secret(text)
    assert "geheim" not in masked(text)


def test_what_is_no_password() -> None:
    for text in ("php -p 80 x", "mysqldump --port=3306 x", "curl https://example.org:443/x"):
        assert not holds_secret(text), text


def test_an_empty_mailto_silences_those_below_it() -> None:
    text = '5 * * * * root above\nMAILTO=""\n5 * * * * root below\n@daily root x >> /var/log/x\n'
    jobs = parse_crontab(FILE, text, with_user=True)
    assert [job.output for job in jobs] == ["kept", "discarded", "kept"]
    assert rewritten(text, [jobs[1]], "mail", "root").split("\n")[1] == "MAILTO=root"


@pytest.mark.parametrize(
    ("to", "end"),
    [("log", "--tenantId 1 2>&1 | logger -t cron-i-doit\n"), ("mail", "--tenantId 1\n")],
)
def test_only_the_redirection_goes(to: To, end: str) -> None:
    jobs = parse_crontab(FILE, KB, with_user=True)
    changed = rewritten(KB, jobs, to, "root")
    assert changed.endswith(end)
    assert changed.startswith(KB[: KB.index(" > /dev/null")])
    assert parse_crontab(FILE, changed, with_user=True)[0].output == "kept"


def test_a_users_crontab_has_no_field_for_the_user() -> None:
    (job,) = parse_crontab("/var/spool/cron/crontabs/bob", "@reboot x &>/dev/null\n",
                           with_user=False)  # fmt: skip
    assert (job.user, job.command, job.is_users) == ("bob", "x &>/dev/null", True)
    changed = rewritten("@reboot x &>/dev/null\n", [job], "log", "root")
    assert changed == "@reboot x 2>&1 | logger -t cron-bob\n"


@given(st.text())
def test_any_crontab_is_read(text: str) -> None:
    for path in (FILE, "/var/spool/cron/crontabs/bob"):
        jobs = jobs_of({path: text})
        rewritten(text, jobs, "log", "root")


def asked(directory: Path, text: str, mode: int = 0o644) -> Context:
    ctx = context(directory, crontabs={FILE: text})
    ctx.host.put("/etc/cron.d", FileState(kind="dir", mode=0o755))
    ctx.host.put(FILE, FileState(kind="file", mode=mode), text.encode())
    return ctx


def step(**body: Any) -> CronOutput:
    return CronOutput.parse("x.y", {"to": "log", "mail-to": "root", "users": False, **body})


def test_a_job_with_a_password_is_hidden_everywhere(tmp_path: Path) -> None:
    ctx = asked(tmp_path, KB)
    findings = step().observe(ctx)
    assert [finding.ok for finding in findings if finding.applicable] == [False, False]
    assert "password admin" not in repr(findings)
    (change,) = step().plan(ctx).changes
    assert isinstance(change, WriteFile)
    assert (change.secret, change.mode, change.force_state) == (True, 0o600, True)
    assert "password admin" not in repr(step().plan(ctx).notes)


def test_a_crontab_that_is_only_edited_keeps_its_mode_and_acl(tmp_path: Path) -> None:
    (change,) = step().plan(asked(tmp_path, "5 * * * * root x &>/dev/null\n", 0o640)).changes
    assert isinstance(change, WriteFile)
    assert not change.force_state


def test_nothing_is_changed_where_nobody_wants_it(tmp_path: Path) -> None:
    ctx = asked(tmp_path, "5 * * * * root x &>/dev/null\n")
    assert step(to="report").plan(ctx).changes == ()
    assert "mail.relay" in step(to="mail").plan(ctx).refusals[0]
    assert step().plan(ctx).changes


@pytest.mark.parametrize("word", ["mysql ", "a+", "x://", "PASSWORD", "true; "])
def test_no_line_takes_long_to_read(word: str) -> None:
    """Users write their crontabs, and whoever checks would wait for hours."""
    line = f"* * * * * {word * 40_000} -psecret\n"
    with in_time(60):
        parse_crontab("/var/spool/cron/crontabs/alice", line, with_user=False)
