"""What a step needs to reach, and ufw shuts in, is refused before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host.base import FileState
from host.facts import FactUnavailable
from host.facts.ufw import Configuration, Rule
from steps.resource import Context
from steps.resources.mail_relay import MailRelay
from steps.resources.rsyslog_remote import RsyslogRemote
from steps.resources.vulnerabilities import Vulnerabilities
from steps.resources.way_out import shut_in
from tests.unit.given import context, packages

RELAY = "192.0.2.25"


def firewall(*rules: Rule, enabled: bool = True, output: str = "DROP") -> Configuration:
    policies = {"input": "DROP", "output": output, "forward": "DROP"}
    return Configuration(enabled=enabled, ipv6=True, policies=policies, rules=rules, origins={})


def out(port: str, to: str = "0.0.0.0/0") -> Rule:
    return Rule(action="allow", protocol="tcp", port=port, to=to, direction="out")


@pytest.mark.parametrize(
    ("configuration", "host", "shut"),
    [
        (firewall(), RELAY, True),
        (firewall(out("25")), RELAY, True),
        (firewall(out("587")), RELAY, False),
        (firewall(out("587", "192.0.2.0/24")), RELAY, False),
        (firewall(out("587", "198.51.100.1/32")), RELAY, True),
        (firewall(out("587", "198.51.100.1/32")), "mail.example.org", False),
        (firewall(), "mail.example.org", True),
        (firewall(), "localhost", False),
        (firewall(), "::1", False),
        (firewall(enabled=False), RELAY, False),
        (firewall(output="ACCEPT"), RELAY, False),
        (None, RELAY, False),
        (FactUnavailable("ufw's rules could not be read"), RELAY, False),
    ],
)
def test_what_ufw_shuts_in(
    configuration: Configuration | FactUnavailable | None, host: str, shut: bool, tmp_path: Path
) -> None:
    assert shut_in(context(tmp_path, ufw_configuration=configuration), host, 587) is shut


def asked(directory: Path, *rules: Rule) -> Context:
    return context(
        directory, ufw_configuration=firewall(*rules), dpkg_busy="", ports=(), mail_aliases="",
        msmtp={}, packages=packages("msmtp-mta", "rsyslog", "rsyslog-gnutls", "debsecan"),
    )  # fmt: skip


def relay() -> MailRelay:
    body = {
        "by": "msmtp", "host": RELAY, "port": 587, "tls": "starttls", "authorities": "/etc/hosts",
        "sender": "host@web.example", "to": "alice@mx.example",
    }  # fmt: skip
    return MailRelay.parse("mail.relay", body)


def test_a_relay_out_of_reach(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    assert (
        f"ufw lets nothing out to {RELAY}:587; nothing was changed. Add 587/tcp to `also`"
        in (relay().plan(ctx).refusals[0])
    )
    assert [one.ok for one in relay().observe(ctx) if one.resource == "ufw"] == [False]


def test_a_relay_within_reach(tmp_path: Path) -> None:
    ctx = asked(tmp_path, out("587"))
    assert relay().plan(ctx).refusals == ()
    assert [one for one in relay().observe(ctx) if one.resource == "ufw"] == []


def test_a_log_host_out_of_reach(tmp_path: Path) -> None:
    body: dict[str, Any] = {"host": "logs.example.org", "port": 6514, "authority": "/etc/ca.pem"}
    step = RsyslogRemote.parse("logs.remote", body)
    for rules, told in (((), ["logs.example.org:6514"]), ((out("6514"),), [])):
        ctx = asked(tmp_path, *rules)
        ctx.host.put(body["authority"], FileState(kind="file", mode=0o644), b"a certificate")
        refusals = step.plan(ctx).refusals
        assert len(refusals) == len(told) and all(map(str.__contains__, refusals, told))


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("", "security-tracker.debian.org:443"),
        ("http://mirror.example:8080/debsecan", "mirror.example:8080"),
        ("file:///srv/debsecan", ""),
    ],
)
def test_the_data_about_holes(source: str, place: str, tmp_path: Path) -> None:
    body = {"source": source, "valid-days": 3, "grace-days": 7}
    step = Vulnerabilities.parse("vulnerabilities.scan", body)
    refusals = step.plan(asked(tmp_path)).refusals
    assert [place in one for one in refusals] == ([True] if place else [])
