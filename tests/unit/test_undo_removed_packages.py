"""Undoing an installation whose package somebody removed since, but did not purge."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots import undo
from snapshots.domains.packages import LEFTOVER, Package
from snapshots.inverse import Contents, Inverse
from snapshots.model import Delta, InstallPackages, Item, RunCommand, SnapshotError, ValueItem
from tests.unit.snapshots_host import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def packages(bench: Bench) -> str:
    return bench.host.run(("dpkg-query", "-W", "-f", r"${Package} ${db:Status-Status}\n")).stdout


@pytest.mark.parametrize(
    ("before", "now", "then"),
    [
        (None, LEFTOVER, None),
        (LEFTOVER, LEFTOVER, LEFTOVER),
        (None, None, None),
        (LEFTOVER, None, None),
        ("1;manual", LEFTOVER, LEFTOVER),
    ],
)
def test_what_becomes_of_it(before: str | None, now: str | None, then: str | None) -> None:
    def item(value: str | None) -> Item | None:
        return None if value is None else ValueItem(value)

    delta = Delta("packages", "toy", item(before), Package("2", "manual").item())
    assert Inverse(delta, Contents(lambda _: b"")).of(item(now))[0] == item(then)


def test_it_is_purged_with_its_configuration(bench: Bench) -> None:
    first = bench.fingerprint()
    done = bench.apply("s", InstallPackages(("ufw",)))
    bench.host.run(("dpkg", "--remove", "ufw"))
    assert f"ufw {LEFTOVER}" in packages(bench)
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    assert "dpkg --purge iptables ufw" in plan.commands
    assert bench.undo(done.id, plan.fingerprint).status == "committed"
    assert bench.fingerprint() == first


def test_where_that_fails_the_files_come_back_and_it_is_said(bench: Bench) -> None:
    done = bench.apply("s", InstallPackages(("ufw",)))
    bench.host.run(("dpkg", "--remove", "ufw"))
    files = bench.fingerprint()["files"]

    def fails() -> None:
        raise SnapshotError("a site does not answer")

    ended = bench.undo(done.id, prove=fails)
    assert ended.status == "rolled-back"
    assert "dpkg does not know any more that files in /etc are left of ufw" in ended.reason
    assert bench.fingerprint()["files"] == files
    assert bench.undo(done.id).status == "committed"


def test_one_that_was_removed_before_is_removed_again_and_not_purged(bench: Bench) -> None:
    bench.apply("s", InstallPackages(("ufw",)))
    bench.host.run(("dpkg", "--remove", "ufw"))
    first = bench.fingerprint()
    done = bench.apply("t", InstallPackages(("ufw",)))
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    assert "dpkg --remove ufw" in plan.commands
    bench.undo(done.id)
    assert bench.fingerprint() == first


def test_a_purge_of_what_was_left_gives_back_the_files(bench: Bench) -> None:
    bench.apply("s", InstallPackages(("ufw",)))
    bench.host.run(("dpkg", "--remove", "ufw"))
    files = bench.fingerprint()["files"]
    done = bench.apply("t", RunCommand(argv=("dpkg", "--purge", "ufw"), why="x"))
    ended = bench.undo(done.id)
    assert ended.status == "committed" and "dpkg does not know any more" in ended.reason
    assert bench.fingerprint()["files"] == files
