"""mail.relay: what msmtp and postfix say, and a password that is shown nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState, Port
from host.facts.mail import alias_of, parse_postconf, parse_pretend, with_alias
from snapshots.model import RunCommand, WriteFile
from steps.resource import Context, StepError
from steps.resources.mail_relay import MailRelay
from steps.resources.mail_wanted import (
    Wanted,
    msmtp_answers,
    msmtprc,
    password_in,
    password_in_sasl,
    postfix_settings,
    sasl_line,
)
from tests.unit.given import RELEASES, context, packages, recorded

BODY: dict[str, Any] = {
    "by": "msmtp", "host": "localhost", "port": 2525, "tls": "starttls",
    "authorities": "/run/mx/authority.pem", "sender": "host@web.example",
    "to": "alice@mx.example",
}  # fmt: skip
SECRET = 'so "geheim" es geht'


@pytest.mark.parametrize("release", RELEASES)
def test_what_msmtp_says(release: str) -> None:
    said = parse_pretend(recorded(release, "logs/msmtp-pretend.txt"))
    wanted = MailRelay.parse("mail.relay", BODY).wanted
    assert said["_file"] == "/etc/msmtprc"
    assert {name: said[name] for name in msmtp_answers(wanted)} == msmtp_answers(wanted)


def test_what_postconf_says() -> None:
    said = parse_postconf(
        "relayhost = [mx.example]:587\nsmtp_tls_CAfile =\ninet_interfaces = all\n"
    )
    assert said == {
        "relayhost": "[mx.example]:587",
        "smtp_tls_CAfile": "",
        "inet_interfaces": "all",
    }


def test_aliases_keep_every_other_line() -> None:
    text = "# mine\npostmaster: root\nroot: bob,\n  carol\nwww-data: bob"
    assert alias_of("root", text) == ("bob,", 3)
    changed = with_alias("root", "a@b.c", text)
    assert changed == "# mine\npostmaster: root\nroot: a@b.c\nwww-data: bob"
    assert with_alias("root", "a@b.c", changed) == changed
    assert with_alias("default", "a@b.c", changed).endswith("bob\ndefault: a@b.c\n")


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_pretend(text)
    parse_postconf(text)
    alias_of("root", text)
    assert alias_of("root", with_alias("root", "a@b.c", text))[0] == "a@b.c"


def wanted(**more: Any) -> Wanted:
    return MailRelay.parse("mail.relay", {**BODY, **more}).wanted


def test_a_password_comes_back_out_of_our_file() -> None:
    with_user = wanted(user="u", password=SECRET)
    assert password_in(msmtprc("mail.relay", with_user, SECRET)) == SECRET
    assert password_in_sasl(sasl_line(with_user, "pass:word x")) == "pass:word x"


def test_postfix_is_told_to_check_the_certificate() -> None:
    said = postfix_settings(wanted(by="postfix", tls="tls", user="u"))
    assert said["smtp_tls_security_level"] == "secure"
    assert said["smtp_tls_wrappermode"] == "yes"
    assert said["smtp_sasl_password_maps"].startswith("texthash:"), "no second file has it"
    assert said["inet_interfaces"] == "loopback-only"


def asked(directory: Path, **answers: Any) -> Context:
    usual: dict[str, Any] = {
        "packages": packages("msmtp-mta", "postfix", "libsasl2-modules"), "ports": (),
        "mail_aliases": "", "msmtp": {}, "postfix": {}, "dpkg_busy": "",
    }  # fmt: skip
    return context(directory, **{**usual, **answers})


def test_a_password_is_in_no_preview_and_in_no_finding(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    step = MailRelay.parse("mail.relay", {**BODY, "user": "u", "password": SECRET})
    change = step.plan(ctx).changes[0]
    assert isinstance(change, WriteFile)
    assert (change.path, change.secret, change.mode) == ("/etc/msmtprc", True, 0o600)
    assert SECRET not in repr(step.observe(ctx)) + repr(step.plan(ctx).notes)


def test_postfix_gets_its_password_in_a_file_too(tmp_path: Path) -> None:
    step = MailRelay.parse("mail.relay", {**BODY, "by": "postfix", "user": "u", "password": SECRET})
    planned = step.plan(asked(tmp_path))
    secret = [one for one in planned.changes if isinstance(one, WriteFile) and one.secret]
    assert [one.mode for one in secret] == [0o600]
    commands = [one for one in planned.changes if isinstance(one, RunCommand)]
    assert commands and SECRET not in repr(commands)
    assert [one.how for one in planned.activations] == ["restart"]


def test_no_password_where_one_is_needed(tmp_path: Path) -> None:
    step = MailRelay.parse("mail.relay", {**BODY, "user": "u"})
    assert "--values -" in step.plan(asked(tmp_path)).refusals[0]


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    ctx.host.put("/etc/msmtprc", FileState(kind="file", mode=0o600), b"account default\n")
    assert "somebody else" in MailRelay.parse("mail.relay", BODY).plan(ctx).refusals[0]


def test_a_host_that_receives_mail_is_refused(tmp_path: Path) -> None:
    smtp = Port(protocol="tcp", address="0.0.0.0", port=25, process="exim4")
    planned = MailRelay.parse("mail.relay", BODY).plan(asked(tmp_path, ports=(smtp,)))
    assert "exim4 on 0.0.0.0:25" in planned.refusals[0]


def test_what_is_missing_is_named() -> None:
    with pytest.raises(StepError, match="host"):
        MailRelay.parse("mail.relay", {**BODY, "host": ""})
