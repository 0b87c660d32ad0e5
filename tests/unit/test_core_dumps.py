"""Core dumps: what PAM and systemd really take, and what outweighs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.facts.core_limits import (
    Limit,
    Service,
    Services,
    Shell,
    files_of,
    hard_limit,
    parse_limits,
    parse_process,
    parse_profile,
    parse_services,
)
from host.facts.systemd_conf import Setting, parse_cat_config
from snapshots.model import Activation, WriteFile
from steps.resource import Context
from steps.resources.core_dumps import CoreDumps
from tests.unit.given import RELEASES, context, packages, recorded

MAIN = "/etc/security/limits.conf"
OURS = "/etc/security/limits.d/zz-harden-tui-kernel-core-dumps.conf"
STEP = CoreDumps.parse("kernel.core-dumps", {})


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_answers(release: str) -> None:
    assert parse_process(recorded(release, "system/process-limits.txt")) == ("infinity", "0")
    found = {unit: (hard, soft) for unit, hard, soft, pid in services_of(release) if pid}
    assert found["ssh.service"] == ("infinity", "0")
    line = parse_cat_config(recorded(release, "system/system-conf.txt"))
    assert line["Manager", "DefaultLimitCORE"] == Setting(
        "0", "/etc/systemd/system.conf.d/60-x.conf", 2
    )
    assert parse_limits({MAIN: recorded(release, "system/limits.conf")}) == ()


def services_of(release: str) -> list[tuple[str, str, str, int]]:
    return parse_services(recorded(release, "system/service-limits.txt"))


def test_trixie_ships_a_file_that_must_be_overruled() -> None:
    debian = "/etc/security/limits.d/10-coredump-debian.conf"
    texts = {debian: recorded("trixie", "system/10-coredump-debian.conf")}
    found = hard_limit(parse_limits(texts), "*")
    assert found is not None
    assert (found.value, found.origin) == ("infinity", f"{debian}:3")
    later = hard_limit(parse_limits({**texts, OURS: "* hard core 0\n"}), "*")
    assert later is not None
    assert later.file == OURS


def test_files_are_read_by_name() -> None:
    assert files_of(MAIN, ["b.conf", "a.conf", "x.bak"]) == [
        MAIN, "/etc/security/limits.d/a.conf", "/etc/security/limits.d/b.conf",
    ]  # fmt: skip


@settings(max_examples=60)
@given(st.text())
def test_any_answer_is_read(text: str) -> None:
    parse_limits({MAIN: text})
    parse_services(text)
    parse_process(text)
    parse_profile("/etc/profile", text)
    parse_cat_config(text)


def asked(directory: Path, **answers: Any) -> Context:
    usual: dict[str, Any] = {
        "core_limits": (), "core_profiles": (), "core_services": Services("infinity", ()),
        "packages": packages(), "systemd_conf": {}, "units": {},
    }  # fmt: skip
    return context(directory, **{**usual, **answers})


def written(ctx: Context) -> dict[str, str]:
    return {
        change.path: change.content.decode()
        for change in STEP.plan(ctx).changes
        if isinstance(change, WriteFile)
    }


def test_logins_and_services_are_both_written(tmp_path: Path) -> None:
    ctx = asked(tmp_path)
    found = written(ctx)
    assert "* hard core 0\nroot hard core 0\n" in found[OURS]
    system = found["/etc/systemd/system.conf.d/zz-harden-tui-kernel-core-dumps.conf"]
    assert "[Manager]\nDefaultLimitCORE=0\n" in system
    assert STEP.plan(ctx).activations == (Activation("daemon-reload"),)
    assert "\nulimit -c 0\n" in found["/etc/profile.d/zz-harden-tui-kernel-core-dumps.sh"]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ulimit -c 0", ("0", True)),
        ("  ulimit -S -c 0 > /dev/null 2>&1", ("0", False)),
        ("ulimit -S -c unlimited # for us", ("unlimited", False)),
        ("ulimit -Hc 0; ulimit -n 9", ("0", True)),
        ("ulimit -n 1024", None),
        ("# ulimit -c 0", None),
    ],
)
def test_lines_of_a_profile(line: str, expected: tuple[str, bool] | None) -> None:
    found = [(one.value, one.hard) for one in parse_profile("/etc/profile", f"#\n{line}\n")]
    assert found == ([expected] if expected else [])


def test_a_profile_that_is_read_later_is_refused_with_its_place(tmp_path: Path) -> None:
    later = Shell("unlimited", True, "/etc/profile.d/zzz.sh", 3)
    (refusal,) = STEP.plan(asked(tmp_path, core_profiles=(later,))).refusals
    assert refusal.startswith("/etc/profile.d/zzz.sh:3 lets login shells write core dumps")
    earlier = Shell("unlimited", True, "/etc/profile.d/a.sh", 3)
    assert STEP.plan(asked(tmp_path / "2", core_profiles=(earlier,))).refusals == ()


def test_a_line_for_a_group_is_refused_with_its_place(tmp_path: Path) -> None:
    line = Limit("@dev", "unlimited", True, True, MAIN, 7)
    (refusal,) = STEP.plan(asked(tmp_path, core_limits=(line,))).refusals
    assert refusal.startswith(f"{MAIN}:7 lets @dev write core dumps")


def test_a_unit_with_a_limit_of_its_own_gets_a_drop_in(tmp_path: Path) -> None:
    running = Services("0", (Service("db.service", "infinity", "infinity", "0", "0"),))
    ctx = asked(tmp_path, core_services=running)
    path = "/etc/systemd/system/db.service.d/zz-harden-tui-kernel-core-dumps.conf"
    assert "[Service]\nLimitCORE=0\n" in written(ctx)[path]


def test_a_service_that_dumps_now_is_named(tmp_path: Path) -> None:
    running = Services("0", (Service("db.service", "0", "0", "infinity", "infinity"),))
    findings = STEP.observe(asked(tmp_path, core_services=running))
    (found,) = (finding for finding in findings if finding.setting == "services that run")
    assert found.ok is False
    assert "db.service" in found.note


def test_systemd_coredump_is_told_before_it_comes(tmp_path: Path) -> None:
    path = "/etc/systemd/coredump.conf.d/zz-harden-tui-kernel-core-dumps.conf"
    ctx = asked(tmp_path)
    assert "Storage=none\nProcessSizeMax=0\n" in written(ctx)[path]
    (found,) = (one for one in STEP.observe(ctx) if one.setting == "systemd-coredump, Storage")
    assert (found.running, found.ok) == ("not installed", False)
    there = asked(tmp_path / "2", packages=packages("systemd-coredump"))
    assert path in written(there)
