"""The one daemon that sets the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.facts.apt import Simulation
from host.facts.time_sync import (
    Clock,
    Tracking,
    parse_chrony_sources,
    parse_condition,
    parse_timesyncd_sources,
    parse_tracking,
)
from snapshots.model import InstallPackages, RunCommand
from steps.resource import Context
from steps.resources.time_sync import TimeSync
from tests.unit.given import RELEASES, context, packages, recorded, unit

CHRONY = "/etc/chrony/chrony.conf"
TIMESYNCD = "/etc/systemd/timesyncd.conf"


@pytest.mark.parametrize("release", RELEASES)
def test_what_chrony_tells(release: str) -> None:
    lost = parse_tracking(recorded(release, "time/tracking-none.txt"))
    assert lost is not None and not lost.synchronised
    own = parse_tracking(recorded(release, "time/tracking-local.txt"))
    assert own is not None and own.synchronised and own.stratum == 8
    assert parse_tracking("506 Cannot talk to daemon\n") is None


@pytest.mark.parametrize("release", RELEASES)
def test_where_the_time_comes_from(release: str) -> None:
    found = parse_chrony_sources({CHRONY: recorded(release, "time/chrony.conf")})
    assert found.servers == ("2.debian.pool.ntp.org",)
    number = int(found.origin.rpartition(":")[2])
    line = recorded(release, "time/chrony.conf").splitlines()[number - 1]
    assert line.startswith("pool ")
    text = recorded(release, "time/timesyncd.conf")
    assert parse_timesyncd_sources({TIMESYNCD: text}).servers == ("Debian's pool",)


def test_timesyncds_own_rules() -> None:
    one = {TIMESYNCD: "[Time]\nNTP=a b\n", f"{TIMESYNCD}.d/x.conf": "[Time]\nNTP=\nNTP=c\n"}
    found = parse_timesyncd_sources(one)
    assert found.servers == ("c",) and found.origin == f"{TIMESYNCD}.d/x.conf:3"
    assert parse_timesyncd_sources({TIMESYNCD: "FallbackNTP=\n"}).servers == ()


def test_a_condition_counts_only_once_it_was_looked_at() -> None:
    assert parse_condition("ConditionResult=no\nConditionTimestampMonotonic=42\n")
    assert not parse_condition("ConditionResult=no\nConditionTimestampMonotonic=0\n")
    assert not parse_condition("ConditionResult=yes\nConditionTimestampMonotonic=42\n")


@given(st.text())
def test_any_answer(text: str) -> None:
    parse_tracking(text)
    parse_condition(text)
    parse_chrony_sources({CHRONY: text})
    parse_timesyncd_sources({TIMESYNCD: text})


@given(st.lists(st.text(alphabet="0123456789.-enNa,"), min_size=14, max_size=14))
def test_any_fields(fields: list[str]) -> None:
    parse_tracking(",".join(fields))


def given_host(directory: Path, now: Clock, *names: str, **units: Any) -> Context:
    there = {f"{name.replace('_', '-')}.service": one for name, one in units.items()}
    return context(
        directory, packages=packages(*names), units=there, clock=now, dpkg_busy="",
        apt_simulation=Simulation(brings=("chrony 4.3",)),
    )  # fmt: skip


def states(ctx: Context) -> dict[str, bool | None]:
    findings = TimeSync.parse("time.sync", {"daemon": "chrony"}).observe(ctx)
    return {one.setting: one.ok for one in findings if one.applicable}


def test_synchronised(tmp_path: Path) -> None:
    now = Clock(tracking=Tracking(True, "192.0.2.1", 2, 0.001))
    found = states(given_host(tmp_path, now, "chrony", chrony=unit("chrony.service")))
    assert found["clock"] is True and found["now"] is True and found["at boot"] is True


def test_without_a_network_what_can_be_said_is_said(tmp_path: Path) -> None:
    now = Clock(tracking=Tracking(False))
    found = states(given_host(tmp_path, now, "chrony", chrony=unit("chrony.service")))
    assert found["clock"] is None and found["now"] is True


def test_in_a_container_only_what_has_a_meaning_counts(tmp_path: Path) -> None:
    there = unit("chrony.service", "inactive")
    ctx = given_host(tmp_path, Clock(left_out=True), "chrony", chrony=there)
    assert set(states(ctx)) == {"daemons that set the clock", "at boot", "time servers"}
    assert TimeSync.parse("time.sync", {"daemon": "chrony"}).plan(ctx).changes == ()


def test_none_is_installed_and_a_stopped_one_started(tmp_path: Path) -> None:
    resource = TimeSync.parse("time.sync", {"daemon": "chrony"})
    (change,) = resource.plan(given_host(tmp_path, Clock())).changes
    assert isinstance(change, InstallPackages) and change.packages == ("chrony",)
    masked = unit("chrony.service", "inactive", "masked")
    planned = resource.plan(given_host(tmp_path / "b", Clock(), "chrony", chrony=masked))
    assert [one.argv[1] for one in planned.changes if isinstance(one, RunCommand)] == [
        "unmask",
        "enable",
    ]


def test_another_daemon_is_not_replaced(tmp_path: Path) -> None:
    resource = TimeSync.parse("time.sync", {"daemon": "chrony"})
    planned = resource.plan(given_host(tmp_path, Clock(), "ntpsec"))
    assert planned.changes == () and "ntpsec sets the clock" in planned.refusals[0]
    kept = resource.plan(given_host(tmp_path / "b", Clock(), "systemd-timesyncd"))
    assert "--set time.sync.daemon=systemd-timesyncd" in kept.refusals[0]


def test_a_daemon_that_dpkg_does_not_know_is_stopped(tmp_path: Path) -> None:
    resource = TimeSync.parse("time.sync", {"daemon": "chrony"})
    two = {"chrony": unit("chrony.service"), "ntp": unit("ntp.service")}
    planned = resource.plan(given_host(tmp_path, Clock(), "chrony", **two))
    (change,) = planned.changes
    assert isinstance(change, RunCommand)
    assert change.argv == ("systemctl", "disable", "--now", "ntp.service")
    assert planned.stops == ("ntp.service",)
