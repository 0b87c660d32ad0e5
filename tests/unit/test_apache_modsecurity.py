"""What ModSecurity logged on real hosts, and what is made of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.apache_modsecurity import parse_log, stopped, summary
from steps.resource import Planned
from steps.resources.apache_modsecurity import OURS, ApacheModSecurity
from tests.unit.test_apache_resources import commands, written
from tests.unit.web_host import RECORDED, RELEASES, WebHost

MODULE = "/etc/apache2/mods-enabled/security2.load"


def log(release: str) -> str:
    return (RECORDED / release / "apache-tls" / "error.log").read_text()


@pytest.mark.parametrize("release", RELEASES)
def test_requests_that_went_too_far_without_our_own(release: str) -> None:
    requests = stopped(parse_log(log(release)))
    assert [(one.uri, one.denied) for one in requests] == [
        ("/", False),
        ("/index.html", False),
        ("/index.html", True),
    ]
    assert any(rule.startswith("942100 SQL Injection") for rule in requests[0].rules)
    assert any(rule.startswith("941100 XSS") for rule in requests[1].rules)
    assert all(one.client.startswith("10.77.") and one.at for one in requests)
    assert "941100 XSS Attack Detected via libinjection (2, last at /" in summary(requests)
    assert summary(requests).startswith(f"3 requests since {requests[0].at}: 920350 Host")
    assert summary([]) == "none"


@pytest.mark.parametrize("release", RELEASES)
def test_our_own_probes_are_logged_too(release: str) -> None:
    hits = parse_log(log(release))
    assert any("harden-tui-probe-1" in hit.data for hit in hits)


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    stopped(parse_log(f"[x] [client 1.2.3.4:5] ModSecurity: {text}\n{text}"))


@given(st.lists(st.sampled_from(['[id "949110"]', '[unique_id "a"]', '[uri "/', '"]', "\\", '"'])))
def test_broken_fields_are_passed_over(parts: list[str]) -> None:
    stopped(parse_log("ModSecurity: " + " ".join(parts)))


def step(mode: str) -> ApacheModSecurity:
    return ApacheModSecurity.parse("x.y", {"mode": mode, "request-mib": 128, "form-mib": 4})


def watching(release: str, engine: str = "DetectionOnly", limit: int = 134217728) -> WebHost:
    """A host whose ModSecurity is loaded and says `engine`."""
    host = WebHost(release)
    dump = host.programs["apache2ctl"]

    def answer(argv: list[str]) -> tuple[int, str]:
        text = dump(argv)[1]
        if "DUMP_CONFIG" in argv:
            lines = f"  SecRuleEngine {engine}\n  SecRequestBodyLimit {limit}\n"
            lines += "  SecRequestBodyNoFilesLimit 131072\n"
            return 0, f"{text}\n# In file: /etc/modsecurity/modsecurity.conf\n#   7:\n{lines}"
        rules = "      (87) /usr/share/modsecurity-crs/rules/REQUEST-941.conf\n"
        return 0, f"{text}\n{rules} security2_module (shared)\n"

    host.programs["apache2ctl"] = answer
    host.programs["tail"] = lambda argv: (0, log(release))
    host.objects = ["mod_security2.so"]
    host.files["/etc/modsecurity/modsecurity.conf"] = ""
    return host


@pytest.mark.parametrize("release", RELEASES)
def test_limits_that_would_break_forms_are_found_and_raised(release: str) -> None:
    host = watching(release)
    found = {f.setting: f for f in step("detect").observe(host.context())}
    assert found["SecRuleEngine"].ok is True
    assert found["SecRequestBodyLimit"].ok is True
    assert found["SecRequestBodyNoFilesLimit"].ok is False
    assert found["SecRequestBodyNoFilesLimit"].origin == "/etc/modsecurity/modsecurity.conf:7"
    assert found["would have been stopped"].note.startswith("3 requests since")
    planned = step("detect").plan(host.context())
    assert "SecRequestBodyNoFilesLimit 4194304" in written(planned)[OURS]
    assert commands(planned) == []


@pytest.mark.parametrize("release", RELEASES)
def test_it_blocks_only_after_it_has_watched(release: str) -> None:
    never: Planned = step("block").plan(WebHost(release).context())
    assert never.refusals and never.refusals[0].startswith("ModSecurity has not watched yet")
    planned = step("block").plan(watching(release).context())
    assert "SecRuleEngine On" in written(planned)[OURS]
    assert any("would have stopped so far: 3 requests" in note for note in planned.notes)


@pytest.mark.parametrize("release", RELEASES)
def test_who_blocks_already_is_not_held_back(release: str) -> None:
    host = watching(release, engine="On")
    found = {f.setting: f for f in step("detect").observe(host.context())}
    assert found["SecRuleEngine"].ok is True


@pytest.mark.parametrize("release", RELEASES)
def test_without_the_module_it_is_installed_first(release: str) -> None:
    host = WebHost(release)
    (finding,) = step("detect").observe(host.context())
    assert (finding.setting, finding.ok) == ("ModSecurity", False)
    planned = step("detect").plan(host.context())
    assert commands(planned)[0][:2] == ("cp", "--no-clobber")
    assert "SecRuleEngine DetectionOnly" in written(planned)[OURS]
