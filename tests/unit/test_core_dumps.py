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
    Shown,
    files_of,
    hard_limit,
    hard_part,
    own_limit,
    parse_limits,
    parse_process,
    parse_profile,
    parse_services,
)
from host.facts.systemd_conf import Setting, parse_cat_config
from snapshots.model import Activation, WriteFile
from steps.model import Finding
from steps.resource import Context
from steps.resources.core_dumps import CoreDumps
from tests.unit.given import RELEASES, context, packages, recorded

MAIN = "/etc/security/limits.conf"
OURS = "/etc/security/limits.d/zz-harden-tui-kernel-core-dumps.conf"
STEP = CoreDumps.parse("kernel.core-dumps", {})


@pytest.mark.parametrize("release", RELEASES)
def test_recorded_answers(release: str) -> None:
    assert parse_process(recorded(release, "system/process-limits.txt")) == ("infinity", "0")
    found = {one.unit: one for one in services_of(release) if one.main_pid}
    assert found["ssh.service"][1:3] == ("infinity", "0")
    assert found["ssh.service"].files[0].endswith("/lib/systemd/system/ssh.service")
    line = parse_cat_config(recorded(release, "system/system-conf.txt"))
    assert line["Manager", "DefaultLimitCORE"] == Setting(
        "0", "/etc/systemd/system.conf.d/60-x.conf", 2
    )
    assert parse_limits({MAIN: recorded(release, "system/limits.conf")}) == ()


def services_of(release: str) -> list[Shown]:
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
    own_limit({"/etc/x.service": text})
    hard_part(text)
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


DOCKER = Setting("infinity", "/usr/lib/systemd/system/docker.service", 35)


def test_a_limit_of_its_own_that_is_the_default_is_found_before_the_default_changes(
    tmp_path: Path,
) -> None:
    """docker.service, containerd.service and varnish.service say LimitCORE=infinity."""
    docker = Service("docker.service", *("infinity",) * 4, DOCKER)
    plain = Service("cron.service", "infinity", "0", "infinity", "0")
    ctx = asked(tmp_path, core_services=Services("infinity", (docker, plain)))
    found = written(ctx)
    path = "/etc/systemd/system/docker.service.d/zz-harden-tui-kernel-core-dumps.conf"
    assert "[Service]\nLimitCORE=0\n" in found[path]
    assert not any("cron.service" in written_to for written_to in found)
    (told,) = (one for one in STEP.observe(ctx) if one.setting == "docker.service")
    assert (told.ok, told.persistent) == (False, "infinity")
    assert told.origin == "/usr/lib/systemd/system/docker.service:35"


def test_a_soft_limit_of_nothing_leaves_the_hard_one(tmp_path: Path) -> None:
    line = Setting("0:infinity", "/etc/systemd/system/db.service", 9)
    running = Services("infinity", (Service("db.service", "infinity", "0", "0", "0", line),))
    assert any("db.service.d" in path for path in written(asked(tmp_path, core_services=running)))
    line = Setting("0", "/etc/systemd/system/db.service", 9)
    running = Services("infinity", (Service("db.service", "0", "0", "0", "0", line),))
    ctx = asked(tmp_path / "2", core_services=running)
    assert not any("db.service.d" in path for path in written(ctx))


def test_a_drop_in_that_is_read_later_is_refused_with_its_place(tmp_path: Path) -> None:
    later = Setting("infinity", "/etc/systemd/system/db.service.d/zzz.conf", 2)
    running = Services("infinity", (Service("db.service", *("infinity",) * 4, later),))
    (refusal,) = STEP.plan(asked(tmp_path, core_services=running)).refusals
    assert refusal.startswith(f"{later.origin} sets LimitCORE=infinity for db.service")


def test_the_line_of_a_unit_that_decides() -> None:
    unit = "[Service]\nExecStart=/bin/x\nLimitCORE=infinity\n"
    assert own_limit({"/x.service": unit}) == Setting("infinity", "/x.service", 3)
    drop_in = {"/x.service": unit, "/x.service.d/a.conf": "[Service]\nLimitCORE=0\n"}
    assert own_limit(drop_in) == Setting("0", "/x.service.d/a.conf", 2)
    assert own_limit({**drop_in, "/x.service.d/b.conf": "[Service]\nLimitCORE=\n"}) is None
    assert own_limit({"/x.service": "[Service]\nExecStart=/bin/x\n"}) is None
    assert [hard_part(value) for value in ("0", "infinity", "0:infinity", "1G:0", "0M")] == [
        "0", "infinity", "infinity", "0", "0",
    ]  # fmt: skip


def running_of(ctx: Context) -> Finding:
    (found,) = (one for one in STEP.observe(ctx) if one.setting == "services that run")
    return found


def test_a_service_that_dumps_and_would_again_is_named(tmp_path: Path) -> None:
    running = Services("0", (Service("db.service", *("infinity",) * 4),))
    found = running_of(asked(tmp_path, core_services=running))
    assert found.ok is False
    assert "db.service" in found.note


def test_what_only_a_restart_ends_is_told_and_not_counted(tmp_path: Path) -> None:
    """As docker.service is after the apply: an apply restarts nothing, so it could not clear it."""
    line = Setting("0", "/etc/systemd/system/db.service.d/zz-harden-tui-kernel-core-dumps.conf", 3)
    running = Services("0", (Service("db.service", "0", "0", "infinity", "infinity", line),))
    ctx = asked(tmp_path, core_services=running)
    found = running_of(ctx)
    assert (found.applicable, found.ok) == (False, None)
    assert (found.running, found.persistent) == (
        "1 of 1 write core dumps", "0 of 1 write core dumps",
    )  # fmt: skip
    assert STEP.told(STEP.observe(ctx)) == (
        "services that write core dumps: db.service; systemd forbids it from their next start on,"
        " and none is restarted for this"
    )
    quiet = asked(tmp_path / "2", core_services=Services("0", ()))
    assert (running_of(quiet).ok, STEP.told(STEP.observe(quiet))) == (True, "")


def test_systemd_coredump_is_told_before_it_comes(tmp_path: Path) -> None:
    path = "/etc/systemd/coredump.conf.d/zz-harden-tui-kernel-core-dumps.conf"
    ctx = asked(tmp_path)
    assert "Storage=none\nProcessSizeMax=0\n" in written(ctx)[path]
    (found,) = (one for one in STEP.observe(ctx) if one.setting == "systemd-coredump, Storage")
    assert (found.running, found.ok) == ("not installed", False)
    there = asked(tmp_path / "2", packages=packages("systemd-coredump"))
    assert path in written(there)
