"""logs.remote: where rsyslog forwards to, in both of its languages, and when that counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.rsyslog import forwards, parse_established
from snapshots.model import WriteFile
from steps.resource import Context, StepError
from steps.resources.rsyslog_remote import RsyslogRemote
from tests.unit.given import context, packages, unit

AUTHORITY = "/etc/ssl/certs/logs.pem"
BODY: dict[str, Any] = {"host": "logs.example.org", "port": 6514, "authority": AUTHORITY}
STEP = RsyslogRemote.parse("logs.remote", BODY)
SS = '0 0 127.0.0.1:41644 10.0.0.9:6514 users:(("rsyslogd",pid=201,fd=9))\n'


def test_what_is_written_is_read_back() -> None:
    (one,) = forwards({STEP.path: STEP.text})
    assert (one.target, one.port, one.protocol) == ("logs.example.org", 6514, "tcp")
    assert one.encrypted and one.peers == "logs.example.org" and one.authority == AUTHORITY
    assert one.origin == f"{STEP.path}:2"


def test_older_lines_and_comments() -> None:
    text = (
        "# *.* @@not.example.org\n*.* @@(o)tcp.example.org:10514\nauth.* @192.0.2.9\n"
        'mail.*\t-/var/log/mail.log\n*.* action(type="omfwd" target="x" port="y")\n'
        "*.emerg :omusrmsg:*\n*.* @@[2001:db8::9]:514\n"
    )
    found = [(one.target, one.port, one.protocol) for one in forwards({"/x": text})]
    assert ("tcp.example.org", 10514, "tcp") in found
    assert ("192.0.2.9", 514, "udp") in found
    assert ("2001:db8::9", 514, "tcp") in found
    assert ("x", 0, "udp") in found
    assert len(found) == 4


def test_connections() -> None:
    other = '0 0 10.0.0.2:1 10.0.0.9:6514 users:(("nc",pid=1,fd=3))\n'
    assert parse_established(SS + other) == ("10.0.0.9:6514",)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    forwards({"/x": text, "/y": f"action({text})"})
    parse_established(text)


def asked(directory: Path, **answers: Any) -> Context:
    usual: dict[str, Any] = {
        "packages": packages("rsyslog", "rsyslog-gnutls"), "dpkg_busy": "",
        "units": {"rsyslog.service": unit("rsyslog.service")},
        "rsyslog_files": {STEP.path: STEP.text}, "rsyslog_connected": ("10.0.0.9:6514",),
    }  # fmt: skip
    ctx = context(directory, **{**usual, **answers})
    for folder in ("/etc/ssl", "/etc/ssl/certs"):
        if ctx.host.state(folder) is None:
            ctx.host.put(folder, FileState(kind="dir", mode=0o755))
    ctx.host.put(AUTHORITY, FileState(kind="file", mode=0o644), b"")
    return ctx


def test_all_is_well(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    assert all(finding.ok for finding in STEP.observe(ctx))
    assert STEP.plan(ctx).changes == ()


def test_a_file_alone_is_no_connection(tmp_path: Path) -> None:
    ctx = asked(tmp_path, rsyslog_connected=())
    assert [one.running for one in STEP.observe(ctx) if one.ok is False] == ["no connection"]
    assert "connect anew" in repr(STEP.plan(ctx).changes)


def test_plain_forwarding_does_not_count(tmp_path: Path) -> None:
    ctx = asked(tmp_path, rsyslog_files={"/etc/rsyslog.conf": "*.* @@logs.example.org:6514\n"})
    findings = STEP.observe(ctx)
    assert any(one.ok is False for one in findings)
    assert any("readable on the way" in one.running for one in findings)
    assert isinstance(STEP.plan(ctx).changes[0], WriteFile)


def test_a_certificate_that_nobody_can_check_is_refused(tmp_path: Path) -> None:
    ctx = asked(tmp_path, rsyslog_files={})
    ctx.host.put(AUTHORITY, None)
    assert AUTHORITY in STEP.plan(ctx).refusals[0]


@pytest.mark.parametrize("host", ['a" b', "", "a\nb"])
def test_no_name_of_a_host(host: str) -> None:
    with pytest.raises(StepError, match="host"):
        RsyslogRemote.parse("x.y", {**BODY, "host": host})
