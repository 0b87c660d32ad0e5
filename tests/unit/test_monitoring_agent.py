"""monitoring.agent: one line for Nagios and Checkmk, and no right more than it takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.facts.nrpe import parse_nrpe, parse_since
from snapshots.model import WriteFile
from steps.drift_model import DriftReport, DriftRow
from steps.model import Status, StepResult
from steps.resource import Context, StepError
from steps.resources.monitoring_agent import DROP_IN, MonitoringAgent
from tests.unit.given import RELEASES, context, packages, recorded, unit
from tui.failures import refused
from tui.monitoring import CRITICAL, OK, UNKNOWN, WARNING, monitored, reported

DRIFTED = DriftReport(things=(DriftRow(domain="files", key="/etc/x", kind="edited"),))
PERFORMANCE = re.compile(r"(\w+=[0-9.]+s?(;[0-9.]*){0,4}( |$))+")


def result(name: str, status: Status, note: str = "") -> StepResult:
    return StepResult(id=name, stage="pre-install", title="", status=status, note=note)


def test_the_status_is_that_of_the_worst() -> None:
    good, bad = result("a.b", "pass"), result("c.d", "fail")
    asked = result("e.f", "unknown", "needs root | or so")
    assert reported("nagios", [good], DriftReport(), 0.5)[0] == OK
    assert reported("nagios", [good], DRIFTED, 0.5)[0] == WARNING
    assert reported("nagios", [good, asked], DriftReport(), 0.5)[0] == WARNING
    assert reported("nagios", [good, bad], DriftReport(), 0.5)[0] == CRITICAL
    assert reported("nagios", [asked], DriftReport(), 0.5)[0] == UNKNOWN


def test_the_line_of_a_plugin() -> None:
    _, text = reported("nagios", [result("c.d", "fail", "a | b")], DRIFTED, 0.5)
    first, second = text.splitlines()
    said, _, figures = first.partition(" | ")
    assert said == "HARDEN-TUI CRITICAL - 1 fail, 0 open, 0 pass, 1 drifted: c.d"
    assert PERFORMANCE.fullmatch(figures)
    assert second == "c.d: fail (a / b)"


def test_the_line_of_a_local_check() -> None:
    status, text = reported("checkmk", [result("c.d", "fail", "two\nlines")], DRIFTED, 0.5)
    assert status == CRITICAL
    assert re.fullmatch(
        r'2 "harden-tui" fail=\S+ 1 fail, .*: c\.d\\nc\.d: fail \(two lines\)', text
    )


def test_what_cannot_be_asked_is_unknown() -> None:
    def ask() -> Any:
        raise refused("There is no checklist 'nosuch'.")

    status, text = monitored("nagios", ask)
    assert (status, text) == (UNKNOWN, "HARDEN-TUI UNKNOWN - There is no checklist 'nosuch'.")
    assert monitored("checkmk", ask)[1].startswith('3 "harden-tui" - There')


@given(st.text(), st.sampled_from(["nagios", "checkmk"]))
def test_no_note_breaks_the_line(note: str, system: Any) -> None:
    _, text = reported(system, [result("c.d", "fail", note)], DriftReport(), 0.5)
    assert text.count("|") == (1 if system == "nagios" else 3)
    assert len(text.split("\n")) == (2 if system == "nagios" else 1)


@pytest.mark.parametrize("release", RELEASES)
def test_debians_own_configuration(release: str) -> None:
    lines = parse_nrpe({"/etc/nagios/nrpe.cfg": recorded(release, "logs/nrpe.cfg")})
    assert lines["allowed_hosts"].value == "127.0.0.1,::1"
    assert lines["dont_blame_nrpe"].value == "0"
    assert "check_load" in lines["command[check_load]"].value


@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_nrpe({"/x": text})
    parse_since(text)


def step(**body: Any) -> MonitoringAgent:
    given_body = {"by": "nrpe", "hosts": ["192.0.2.10"], "checklist": "lamp", **body}
    return MonitoringAgent.parse("monitoring.agent", given_body)


def asked(directory: Path, **answers: Any) -> Context:
    usual: dict[str, Any] = {
        "packages": packages("nagios-nrpe-server"), "dpkg_busy": "",
        "units": {"nagios-nrpe-server.service": unit("nagios-nrpe-server.service")},
        "nrpe_files": {DROP_IN: step().drop_in}, "nrpe_since": 4e9, "nagios_may": True,
        "group_numbers": {"root": 0, "sudo": 27, "nagios": 106}, "accounts": {},
    }  # fmt: skip
    return context(directory, **{**usual, **answers})


def test_all_is_well(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    assert all(finding.ok for finding in step().observe(ctx))
    assert step().plan(ctx).changes == ()


def test_the_right_is_for_one_command_only(tmp_path: Path) -> None:
    planned = step().plan(asked(tmp_path, nagios_may=False))
    (change,) = planned.changes
    assert isinstance(change, WriteFile)
    assert change.mode == 0o440
    assert change.content.decode().splitlines()[1] == (
        "nagios ALL=(root) NOPASSWD: /usr/bin/harden-tui check --monitoring nagios --checklist lamp"
    )
    assert planned.validations[0].argv[0] == "visudo"


def test_a_sudo_that_nagios_cannot_start_is_no_way_to_the_check(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    (tmp_path / "practice/root/usr/bin").mkdir(parents=True)
    ctx.host.put("/usr/bin/sudo", FileState(kind="file", mode=0o4110), b"")
    (found,) = [one for one in step().observe(ctx) if one.resource == "sudo"]
    assert (found.ok, "alone" in found.note) == (False, True)
    planned = step().plan(ctx)
    assert planned.changes == () and "accounts.sudo-callers" in planned.refusals[0]
    ctx.host.put("/usr/bin/sudo", FileState(kind="file", mode=0o4755), b"")
    assert step().plan(ctx).refusals == ()


def test_more_hosts_than_wanted_are_too_many(tmp_path: Path) -> None:
    wide = {"/etc/nagios/nrpe.cfg": "allowed_hosts=127.0.0.1,::1,192.0.2.10,0.0.0.0/0\n"}
    findings = step().observe(asked(tmp_path, nrpe_files=wide))
    assert next(one for one in findings if one.setting == "allowed_hosts").ok is False


def test_a_file_that_nrpe_has_not_read(tmp_path: Path) -> None:
    findings = step().observe(asked(tmp_path, nrpe_since=0.0))
    assert [one.ok for one in findings if one.setting == "allowed_hosts"] == [True]
    ctx = asked(tmp_path / "b", nrpe_since=0.0, nrpe_files={"/etc/passwd": ""})
    assert any("when NRPE started" in one.running for one in step().observe(ctx))


def test_checkmk_without_its_agent_is_refused(tmp_path: Path) -> None:
    assert "Checkmk" in step(by="checkmk").plan(asked(tmp_path)).refusals[0]


def test_no_name_of_a_checklist() -> None:
    with pytest.raises(StepError, match="checklist"):
        step(checklist="lamp; rm -rf /")
