"""Another package tool wins dpkg's lock while it was let go for our own apt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from host.practice import PracticeHost
from snapshots import undo
from snapshots.dpkg import planned
from snapshots.model import InstallPackages, RunCommand, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench

APACHE = "2.4.62-1~deb12u2"
UPGRADED = "2.4.66-1~deb12u1"


class Rival(PracticeHost):
    """Its lock can be had; whoever waits for it acts the first time it is let go."""

    depth = 0
    act: Callable[[], object] | None = None

    def lock_packages(self) -> int:
        self.depth += 1
        return 0

    def unlock_packages(self) -> None:
        self.depth -= 1
        if not self.depth and self.act is not None:
            act, self.act = self.act, None
            act()

    @property
    def has_packages_locked(self) -> bool:
        return self.depth > 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.host = Rival(tmp_path / "host")
    return bench


def upgrades(bench: Bench) -> None:
    """The next time the lock is let go, somebody upgrades apache2."""

    def upgrade() -> None:
        bench.host.machine.memory.packages["apache2"].version = UPGRADED

    assert isinstance(bench.host, Rival)
    bench.host.act = upgrade


def versions(bench: Bench) -> dict[str, str]:
    lines = bench.host.run(("dpkg-query", "-W")).stdout.splitlines()
    return dict(line.split("\t") for line in lines)


def test_what_apt_means_to_touch() -> None:
    said = (
        "Inst libc6:i386 [1] (2 Debian:12/stable [i386])\nInst ufw (1 Debian:12/stable [amd64])\n"
        "Conf half (1 Debian:12/stable [amd64])\nRemv old [1]\nPurg older [1]\nInstall what?\n"
    )
    assert planned(said) == {"libc6", "ufw", "half", "old", "older"}


def test_an_upgrade_in_the_gap_is_none_of_ours_and_named(bench: Bench) -> None:
    upgrades(bench)
    done = bench.apply("fw", InstallPackages(("ufw",)))
    changed = {d.key for d in Records(bench.state).deltas(done.id) if d.domain == "packages"}
    assert changed == {"ufw", "iptables"}
    assert "apache2" in done.reason and "stays as it left it" in done.reason
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    assert "apache2" not in {item.key for item in plan.items}
    assert bench.undo(done.id).status == "committed"
    assert versions(bench)["apache2"] == UPGRADED and "ufw" not in versions(bench)


def test_where_the_change_then_fails_the_upgrade_stays(bench: Bench) -> None:
    upgrades(bench)
    tx = bench.begin("fw")
    tx.perform(InstallPackages(("ufw",)))
    ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back" and "apache2" in ended.reason
    assert versions(bench)["apache2"] == UPGRADED and "ufw" not in versions(bench)


def test_where_the_change_is_killed_the_upgrade_stays(bench: Bench) -> None:
    upgrades(bench)
    tx = bench.begin("fw")
    tx.perform(InstallPackages(("ufw",)))
    tx._held.close()  # as where the process ended
    bench.host.strange_packages.clear()
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and "apache2" in ended.reason
    assert versions(bench)["apache2"] == UPGRADED and "ufw" not in versions(bench)


def test_an_upgrade_while_an_undo_installs_stays(bench: Bench) -> None:
    bench.apply("fw", InstallPackages(("ufw",)))
    done = bench.apply("less", RunCommand(argv=("dpkg", "--purge", "ufw"), why="less"))
    upgrades(bench)
    ended = bench.undo(done.id)
    assert ended.status == "committed" and "apache2" in ended.reason
    assert versions(bench)["apache2"] == UPGRADED and "ufw" in versions(bench)


def test_a_change_before_we_came_is_not_remembered(bench: Bench) -> None:
    upgrades(bench)
    bench.apply("fw", InstallPackages(("ufw",)))
    later = bench.apply("s", WriteFile(path="/etc/a.conf", content=b"x\n"))
    assert later.reason == ""
