"""The judges' own answers, recorded on both releases, read by `make evidence`."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies

from tests.evidence import exposure, lynis, openscap, ssh_audit
from tests.hosts.base import SUITES

RECORDED = Path(__file__).parent / "recorded"


def recorded(suite: str, name: str) -> str:
    return (RECORDED / suite / "judges" / name).read_text()


@pytest.mark.parametrize("suite", SUITES)
def test_the_points_of_lynis_make_its_index(suite: str) -> None:
    verdict = lynis.parsed(recorded(suite, "lynis-report.dat"), recorded(suite, "lynis.log"))
    given_points = sum(pair[0] for pair in verdict.points.values())
    possible = sum(pair[1] for pair in verdict.points.values())
    assert verdict.index == given_points * 100 // possible
    assert int(verdict.tests) > 200
    assert "FINT-4350" in verdict.lost
    assert all(some < whole for some, whole in verdict.lost.values())


@pytest.mark.parametrize("suite", SUITES)
def test_each_value_that_lynis_wants_otherwise_is_a_finding(suite: str) -> None:
    verdict = lynis.parsed(recorded(suite, "lynis-report.dat"), recorded(suite, "lynis.log"))
    said = {(one.id, one.text) for one in verdict.findings}
    assert ("SSH-7408", "MaxSessions is 10, not 2") in said
    assert ("FINT-4350", "Install a file integrity tool to monitor changes to critical and"
            " sensitive files") in said  # fmt: skip
    of = Counter(one.id for one in verdict.findings)
    assert of["SSH-7408"] > 8 and of["KRNL-6000"] > 8 and of["AUTH-9286"] == 2
    assert len(said) == len(verdict.findings), "none twice"


def test_an_audit_that_broke_off_is_no_audit() -> None:
    with pytest.raises(AssertionError, match="did not end"):
        lynis.parsed("lynis_version=3.0.8\nwarning[]=A-1|x|-|-|\n", "")


@pytest.mark.parametrize("suite", SUITES)
def test_rules_of_openscap(suite: str) -> None:
    results = openscap.parsed(recorded(suite, "oscap.txt"))
    verdict = openscap.OpenScap(content="", results=results)
    assert results["partition_for_var_log"] == "fail"
    assert results["security_patches_up_to_date"] == "notchecked"
    assert results["package_aide_installed"] == "notapplicable"
    assert verdict.failures == len(verdict.findings) == verdict.counts["fail"] > 40
    assert openscap.measured(results) == verdict.counts["fail"] + verdict.counts["pass"]


def test_content_that_applies_to_nothing_is_no_pass() -> None:
    rule = "xccdf_org.ssgproject.content_rule_partition_for_var:notapplicable\n"
    with pytest.raises(AssertionError, match="none of 1 rules"):
        openscap.parsed(rule)


def test_the_release_is_taken_out_of_the_content() -> None:
    release = b'<xccdf-1.2:platform idref="cpe:/o:debian:debian_linux:12"/>'
    rule = b'<xccdf-1.2:platform idref="#package_audit"/>'
    assert openscap.for_any_release(b"<a>" + release + rule + b"</a>") == b"<a>" + rule + b"</a>"
    with pytest.raises(AssertionError, match="0 times"):
        openscap.for_any_release(rule)


@pytest.mark.parametrize("suite", SUITES)
def test_what_the_policy_of_ssh_audit_lacks(suite: str) -> None:
    verdict = ssh_audit.parsed(recorded(suite, "ssh-audit.json"), "ssh-audit 3")
    assert not verdict.passed
    assert verdict.policy == ssh_audit.POLICIES[suite]
    fields = {one.id: one.text for one in verdict.findings}
    assert fields["Host key (rsa-sha2-512) sizes"] == "is 3072; the policy has 4096"
    assert {"Ciphers", "MACs", "Key exchanges", "Host keys"} < fields.keys()


@pytest.mark.parametrize("text", ["", "[exception] cannot connect", "[]", '{"errors": []}'])
def test_no_answer_of_ssh_audit_is_no_pass(text: str) -> None:
    with pytest.raises(AssertionError, match="answered no policy audit"):
        ssh_audit.parsed(text, "ssh-audit 3")


@pytest.mark.parametrize("suite", SUITES)
def test_exposure(suite: str) -> None:
    units = exposure.parsed(recorded(suite, "systemd.json"))
    assert 9 < units["ssh.service"] < 10 > units["mariadb.service"]
    assert all(0 <= value <= 10 for value in units.values())


def test_only_a_unit_that_was_there_can_become_worse() -> None:
    before = {"a.service": 9.0, "b.service": 5.0, "gone.service": 1.0}
    after = {"a.service": 8.0, "b.service": 5.1, "new.service": 9.6}
    assert exposure.worse(before, after) == ["b.service"]


LINES = strategies.builds(
    "{}={}".format,
    strategies.sampled_from(["hardening_index", "warning[]", "suggestion[]", "details[]", "=", ""]),
    strategies.text(alphabet="SSH-7408|field:;value prv0123456789٣\n(of)", max_size=40),
)


@given(strategies.lists(LINES), strategies.text())
def test_lynis_never_raises_but_one_error(lines: list[str], log: str) -> None:
    with contextlib.suppress(AssertionError):
        lynis.parsed("\n".join(lines), "\n".join([log, *lines]))


@given(strategies.text(), strategies.lists(LINES))
def test_the_others_never_raise_but_one_error(text: str, lines: list[str]) -> None:
    for said in (text, "\n".join(lines)):
        with contextlib.suppress(AssertionError):
            openscap.parsed(said)
        with contextlib.suppress(AssertionError):
            ssh_audit.parsed(said, "")
        with contextlib.suppress(AssertionError):
            exposure.parsed(said)
