"""vulnerabilities.scan: debsecan's report, how old it is, and how long a hole may wait."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FileState
from host.distribution import Distribution
from host.facts.debsecan import (
    Hole,
    Report,
    parse_report,
    parse_settings,
    parse_since,
    with_settings,
)
from snapshots.model import RunCommand, WriteFile
from steps.resource import Context
from steps.resources.vulnerabilities import SCRIPT, Vulnerabilities
from tests.unit.given import RELEASES, context, packages, recorded

NOW = time.time()
DAY = 86400.0
SETTINGS = "# mine\nREPORT=true\nSUITE=GENERIC\nMAILTO=root\nSOURCE=\n"
STEP = Vulnerabilities.parse("x.y", {"source": "", "valid-days": 3, "grace-days": 7})


@pytest.mark.parametrize("release", RELEASES)
def test_debsecans_report(release: str) -> None:
    text = recorded(release, "logs/debsecan.txt")
    holes = {hole.name: hole for hole in parse_report(text, "99 CVE-2099-0001 sudo\n")}
    sudo = holes["CVE-2099-0001"]
    assert (sudo.package, sudo.fixed_in) == ("sudo", ("1.9.98-1+deb99u1",))
    assert (sudo.urgency, sudo.remote, sudo.since_s) == ("high", True, 99.0)
    gzip = holes["CVE-2099-0002"]
    assert (gzip.package, gzip.fixed_in, gzip.remote) == ("gzip", ("9",), False)


def test_settings_keep_every_other_line() -> None:
    changed = with_settings(SETTINGS, {"SUITE": "trixie", "SOURCE": "http://x/"})
    assert changed == SETTINGS.replace("GENERIC", "trixie").replace("SOURCE=", "SOURCE=http://x/")
    assert parse_settings(changed)["SUITE"] == ("trixie", 3)


@given(st.text(), st.text())
def test_any_report_is_read(text: str, since: str) -> None:
    parse_report(text, since)
    parse_since(since)
    parse_settings(text)
    assert parse_settings(with_settings(text, {"SUITE": "x"}))["SUITE"][0] == "x"


def asked(directory: Path, *holes: Hole, age_days: float = 0.5, **answers: Any) -> Context:
    usual: dict[str, Any] = {
        "packages": packages("debsecan"), "dpkg_busy": "",
        "distribution": Distribution("debian", "Debian", "13", "trixie"),
        "debsecan_settings": SETTINGS.replace("GENERIC", "trixie"),
        "vulnerabilities": Report(holes, NOW - age_days * DAY),
    }  # fmt: skip
    ctx = context(directory, **{**usual, **answers})
    ctx.host.put("/etc/harden-tui", FileState(kind="dir", mode=0o755))
    ctx.host.put(SCRIPT, FileState(kind="file", mode=0o755), STEP.text.encode())
    return ctx


def hole(days: float) -> Hole:
    return Hole(name="CVE-1", package="sudo", installed="1", fixed_in=("2",),
                since_s=NOW - days * DAY)  # fmt: skip


def test_a_new_hole_may_wait_a_few_days(tmp_path: Path) -> None:
    ctx = asked(tmp_path, hole(2))
    findings = STEP.observe(ctx)
    assert all(finding.ok for finding in findings if finding.applicable)
    assert STEP.told(findings) == "known holes: 1 in 1 packages, each with an update"
    assert findings[-1].setting == "sudo" and findings[-1].running == "1, closed in 2: CVE-1"


def test_an_old_hole_is_a_fault_that_looking_does_not_close(tmp_path: Path) -> None:
    ctx = asked(tmp_path, hole(8))
    assert any(finding.ok is False for finding in STEP.observe(ctx))
    planned = STEP.plan(ctx)
    assert planned.changes == () and "updates.pending" in planned.notes[0]


def test_an_old_report_says_nothing(tmp_path: Path) -> None:
    ctx = asked(tmp_path, hole(8), age_days=4)
    findings = STEP.observe(ctx)
    assert [finding.ok for finding in findings if finding.setting == "report"] == [None]
    assert not any(finding.setting == "known holes" for finding in findings)
    assert [type(change) for change in STEP.plan(ctx).changes] == [RunCommand]


def test_a_suite_that_knows_no_fixes(tmp_path: Path) -> None:
    ctx = asked(tmp_path, debsecan_settings=SETTINGS)
    assert [one.running for one in STEP.observe(ctx) if one.ok is False] == ["GENERIC"]
    assert isinstance(STEP.plan(ctx).changes[0], WriteFile)


def test_the_script_remembers_since_when(tmp_path: Path) -> None:
    place, tools = tmp_path / "place", tmp_path / "tools"
    settings = tmp_path / "settings"
    settings.write_text("SUITE=trixie\n")
    tools.mkdir()
    (tools / "debsecan").write_text(
        "#!/bin/sh\nprintf 'CVE-1 (fixed)\\n  x\\n  installed: a 1\\n\\nCVE-2\\n  y\\n"
        "  installed: b 2\\n\\n'\n"
    )
    (tools / "debsecan").chmod(0o755)
    text = STEP.text.replace("/var/lib/harden-tui/vulnerabilities", str(place))
    text = text.replace("/etc/default/debsecan", str(settings))
    place.mkdir()
    (place / "since").write_text("77 CVE-2 b\n88 CVE-0 gone\n")
    subprocess.run(
        ["sh", "-c", text], check=True, env={"PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin"}
    )
    since = parse_since((place / "since").read_text())
    assert since["CVE-2", "b"] == 77 and since["CVE-1", "a"] > 1.7e9
    assert ("CVE-0", "gone") not in since
    assert sorted(path.name for path in place.iterdir()) == ["report", "since"]
