"""What the kinds for Apache say and plan, on recorded answers of both releases."""

from __future__ import annotations

import pytest

from host.base import HttpAnswer
from host.facts import FactUnavailable
from host.facts.apache import APACHE, RUNNING
from host.facts.apache_http import ANSWERS, MISSING, targets
from host.facts.php import addresses
from snapshots.model import RunCommand, WriteFile
from steps.model import Finding
from steps.resource import Planned, StepError
from steps.resources.apache_directive import ApacheDirective
from steps.resources.apache_dropin import with_args
from steps.resources.apache_header import ApacheHeader, Header, good
from steps.resources.apache_module import ApacheModule
from steps.resources.apache_needs import need
from tests.unit.web_host import RELEASES, WebHost, page

ODD = "/etc/apache2/sites-enabled/odd.conf"
BANNER = {"ServerTokens": "Prod", "ServerSignature": "Off", "TraceEnable": "Off"}


@pytest.fixture(params=RELEASES)
def host(request: pytest.FixtureRequest) -> WebHost:
    return WebHost(request.param)


def written(planned: Planned) -> dict[str, str]:
    return {c.path: c.content.decode() for c in planned.changes if isinstance(c, WriteFile)}


def commands(planned: Planned) -> list[tuple[str, ...]]:
    return [c.argv for c in planned.changes if isinstance(c, RunCommand)]


def answers(host: WebHost, name: str, got: HttpAnswer, missing: HttpAnswer) -> None:
    host.pages.update(
        {(name, 80, "/"): got, (name, 80, MISSING): missing, (name, 80, "TRACE"): page(405)}
    )


def by_setting(findings: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(f.resource, f.setting): f for f in findings}


def banner() -> ApacheDirective:
    return ApacheDirective.parse("apache.banner", BANNER)


def test_what_apache_sends_counts_and_overrides_are_found(host: WebHost) -> None:
    signed = b"<title>404 Not Found</title><address>Apache/2.4.68 (Debian) Server</address>"
    server = [("server", "Apache/2.4.68 (Debian)")]
    answers(host, "localhost", page(200, server), page(404, server, signed))
    answers(host, "www.example.org", page(200, server), page(404, server, b"own page"))
    found = by_setting(banner().observe(host.context()))
    tokens = found["apache", "ServerTokens"]
    assert tokens.ok is False
    assert (tokens.running, tokens.note) == ("OS", "Server: Apache/2.4.68 (Debian)")
    assert tokens.origin == "/etc/apache2/conf-enabled/security.conf:12"
    assert found["apache", "ServerSignature"].origin == f"{ODD}:1"
    assert found["apache www.example.org", "TraceEnable"].origin == f"{ODD}:29"
    inner = found["apache www.example.org <If \"%{HTTP_HOST} == 'x'\">", "ServerSignature"]
    assert (inner.ok, inner.persistent) == (False, "On")


def test_good_files_behind_a_running_server_that_is_older_are_unknown(host: WebHost) -> None:
    host.changed = ["/etc/apache2/conf-enabled"]
    only = ApacheDirective.parse("x.y", {"KeepAlive": "On"})
    (finding,) = only.observe(host.context())
    assert (finding.ok, finding.running, finding.persistent) == (None, "", "On")
    assert "changed after Apache read its configuration" in finding.note
    planned = only.plan(host.context())
    assert commands(planned) == [("apache2ctl", "configtest")]
    assert [a.how for a in planned.activations] == ["reload"]


def test_a_drop_in_where_it_wins_and_exact_edits_where_not(host: WebHost) -> None:
    lines = [""] * 40
    lines[0], lines[6], lines[18] = (
        "ServerSignature EMail",
        "    ServerSignature On",
        "  ServerSignature On",
    )
    lines[28], lines[33] = "    TraceEnable on", "  TraceEnable extended"
    host.links[ODD] = "/etc/apache2/sites-available/odd.conf"
    host.files["/etc/apache2/sites-available/odd.conf"] = "\n".join(lines)
    planned = banner().plan(host.context())
    files = written(planned)
    edited = files["/etc/apache2/sites-available/odd.conf"].split("\n")
    assert (edited[0], edited[6], edited[28]) == (
        "ServerSignature Off",
        "    ServerSignature Off",
        "    TraceEnable Off",
    )
    assert edited[33] == "  TraceEnable Off"
    drop_in = files["/etc/apache2/conf-available/zz-harden-tui-apache.banner.conf"]
    assert drop_in.splitlines()[1:] == [
        "ServerTokens Prod",
        "ServerSignature Off",
        "TraceEnable Off",
    ]
    assert ("a2enconf", "zz-harden-tui-apache.banner") in commands(planned)
    assert not planned.refusals


def test_a_line_that_cannot_be_found_again_is_refused(host: WebHost) -> None:
    host.files[ODD] = "something else\n" * 40
    planned = banner().plan(host.context())
    assert any(f"{ODD}:1 sets ServerSignature EMail" in why for why in planned.refusals)


def test_edits_keep_continuation_lines_and_every_other_line_in_place() -> None:
    text = "A 1\n  TraceEnable \\\r\n   on\r\nB 2\n"
    assert with_args(text, 3, "traceenable", "Off") == "A 1\n  TraceEnable Off\r\n\r\nB 2\n"
    assert with_args(text, 1, "B", "3") is None
    assert with_args("TraceEnabled x\n", 1, "TraceEnable", "Off") is None


def test_without_apache_and_with_a_broken_configuration(host: WebHost) -> None:
    host.programs["apache2ctl"] = lambda argv: (1, "AH00526: Syntax error on line 3 of /x:\nbad\n")
    with pytest.raises(FactUnavailable, match="Syntax error on line 3 of /x"):
        banner().observe(host.context())
    del host.programs["apache2ctl"]
    with pytest.raises(FactUnavailable, match="not installed"):
        banner().observe(host.context())


def test_a_process_id_file_that_outlived_its_process(host: WebHost) -> None:
    host.files["/proc/77/comm"] = "bash\n"
    assert host.context().facts.get(RUNNING).pid == 0


WANTED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": {"value": "SAMEORIGIN", "accept": ["DENY"]},
    "Content-Security-Policy": {"value": "default-src 'self'", "keep": True, "mode": "report-only"},
    "Strict-Transport-Security": {"value": "max-age=300", "tls-only": True},
}


def headers() -> ApacheHeader:
    return ApacheHeader.parse("apache.headers", WANTED)


def test_missing_doubled_and_wrong_headers_fail(host: WebHost) -> None:
    good_ones = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "own"),
    ]
    answers(host, "localhost", page(200, good_ones), page(404, good_ones[1:]))
    twice = [*good_ones, ("x-frame-options", "SAMEORIGIN")]
    answers(host, "www.example.org", page(200, twice), page(404, good_ones))
    found = by_setting(headers().observe(host.context()))
    first = found["apache localhost:80", "X-Content-Type-Options"]
    assert (first.ok, first.running) == (False, "not sent (answer 404)")
    assert found["apache localhost:80", "X-Frame-Options"].ok is True
    assert found["apache localhost:80", "Content-Security-Policy"].ok is True
    doubled = found["apache www.example.org:80", "X-Frame-Options"]
    assert (doubled.ok, doubled.running) == (
        False,
        "sent 2 times: DENY | SAMEORIGIN (answer 200)",
    )
    hsts = found["apache", "Strict-Transport-Security"]
    assert (hsts.applicable, hsts.note) == (False, "no virtual host of Apache speaks TLS")


def test_no_answer_is_unknown_with_its_reason(host: WebHost) -> None:
    found = by_setting(headers().observe(host.context()))
    assert found["apache localhost:80", "X-Frame-Options"].ok is None
    assert "nothing answers" in found["apache localhost:80", "X-Frame-Options"].note


def test_a_stricter_line_of_a_virtual_host_is_kept_and_made_to_hold_always(host: WebHost) -> None:
    host.files[ODD] = "\n" * 7 + '    Header set X-Frame-Options "DENY"\n'
    answers(host, "localhost", page(200), page(404))
    answers(host, "www.example.org", page(200), page(404))
    planned = headers().plan(host.context())
    assert written(planned)[ODD].splitlines()[7] == '    Header always set X-Frame-Options "DENY"'
    text = written(planned)["/etc/apache2/conf-available/zz-harden-tui-apache.headers.conf"]
    assert "X-XSS-Protection" not in text
    assert "Content-Security-Policy-Report-Only" in text
    assert "%{HTTPS} == 'on'" in text


@pytest.mark.parametrize(
    ("name", "value", "is_good"),
    [
        ("Strict-Transport-Security", 'max-age="600"; includeSubDomains', True),
        ("Strict-Transport-Security", "max-age=299", False),
        ("Strict-Transport-Security", "includeSubDomains", False),
    ],
)
def test_hsts_counts_its_seconds(name: str, value: str, is_good: bool) -> None:
    assert good(name, Header("max-age=300"), value) is is_good


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Bad Name": "x"},
        {"X-A": "line\nbreak"},
        {"X-A": {"value": 'a"b', "accept": ["c"]}},
        {"Strict-Transport-Security": "yes"},
    ],
)
def test_bad_bodies_are_refused(body: object) -> None:
    with pytest.raises(StepError):
        ApacheHeader.parse("x.y", body)


def test_targets_follow_ports_and_names(host: WebHost) -> None:
    found = targets(host.context().facts.get(APACHE))
    assert [(t.name, t.port, t.address) for t in found if t.port == 80] == [
        ("localhost", 80, "127.0.0.1"),
        ("www.example.org", 80, "127.0.0.1"),
    ]


def test_nothing_is_asked_of_a_server_that_does_not_run(host: WebHost) -> None:
    del host.files["/run/apache2/apache2.pid"]
    assert host.context().facts.get(ANSWERS).asked == ()
    found = headers().observe(host.context())
    assert {f.ok for f in found} == {None}


def test_what_the_configuration_uses_is_kept(host: WebHost) -> None:
    apache = host.context().facts.get(APACHE)
    assert need(host, apache, "proxy_fcgi").startswith(f"{ODD}:27 uses it")
    assert need(host, apache, "proxy").startswith(f"{ODD}:27 uses it")
    assert need(host, apache, "proxy_http") == ""
    assert need(host, apache, "status").startswith(f"{ODD}:23 uses it")
    assert need(host, apache, "dav") == ""
    host.files["/usr/lib/cgi-bin/hello"] = ""
    assert "hello" in need(host, apache, "cgid")


def test_sockets_that_lead_to_php(host: WebHost) -> None:
    (socket,) = addresses(host.context().facts.get(APACHE))
    assert socket == "/run/php/php8.2-fpm.sock"


def test_a_kept_module_passes_with_its_reason(host: WebHost) -> None:
    host.objects = ["mod_status.so"]
    module = ApacheModule.parse("x.y", {"disabled": ["status", "dav*"]})
    found = by_setting(module.observe(host.context()))
    assert found["apache-module", "status"].note.startswith(f"kept: {ODD}:23")
    assert found["apache-module", "dav*"].ok is True
    assert module.plan(host.context()).changes == ()


def test_an_unused_module_goes_and_its_unloading_is_seen_in_the_process(host: WebHost) -> None:
    dump = host.programs["apache2ctl"]
    host.programs["apache2ctl"] = lambda argv: (0, dump(argv)[1].replace("server-status", "x"))
    host.objects = ["mod_status.so"]
    module = ApacheModule.parse("x.y", {"disabled": ["status"], "keep": []})
    (finding,) = module.observe(host.context())
    assert (finding.ok, finding.running, finding.persistent) == (False, "loaded", "loaded")
    assert commands(module.plan(host.context())) == [("a2dismod", "-f", "status")]
    assert all(root.content for root in module.plan(host.context()).roots)
    kept = ApacheModule.parse("x.y", {"disabled": ["status"], "keep": ["sta*"]})
    assert kept.plan(host.context()).changes == ()
