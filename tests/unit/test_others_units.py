"""Whose a unit is: of an undo and of drift those that were decided, and what systemd moves with
them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from host.base import FileState
from snapshots.drift_look import look
from snapshots.drift_settle import settle
from snapshots.model import Key, RunCommand, TransactionRecord, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_snapshots_meanwhile import DIRECTORY, Meanwhile, undone

CUPS = "cups.service"
WANTS = "/etc/systemd/system/multi-user.target.wants"
OURS, THEIRS = f"{WANTS}/{CUPS}", f"{WANTS}/shop.service"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for path in ("/etc/systemd", "/etc/systemd/system", WANTS):
        if bench.host.state(path) is None:
            bench.host.put(path, DIRECTORY)
    return bench


def stopped(bench: Bench) -> TransactionRecord:
    """A step that stops cups."""
    return bench.apply(
        "s",
        RunCommand(argv=("systemctl", "stop", CUPS), why="w"),
        WriteFile(path="/etc/a", content=b"x\n"),
    )


def administrate(bench: Bench) -> None:
    """Somebody stops a service and enables another."""
    bench.host.run(("systemctl", "stop", "cron.service"))
    bench.host.put(THEIRS, FileState(kind="symlink", target="/usr/lib/shop.service"))


def active(bench: Bench) -> set[str]:
    return {one.unit for one in bench.host.services() if one.active == "active"}


def is_theirs(bench: Bench, ended: TransactionRecord) -> bool:
    return (
        f"{THEIRS} and 1 more were changed by something else meanwhile" in ended.reason
        and "cron.service" not in active(bench)
        and bench.host.state(THEIRS) is not None
    )


def test_units_that_somebody_moves_during_an_undo_are_theirs(bench: Bench) -> None:
    done = stopped(bench)
    ended = undone(bench, done.id, Meanwhile("putting units", lambda: administrate(bench)))
    assert ended.status == "committed" and is_theirs(bench, ended), ended.reason
    assert CUPS in active(bench)
    assert {one.key for one in Records(bench.state).deltas(ended.id)} == {CUPS, "/etc/a"}


def test_units_that_somebody_moves_after_an_undo_was_killed_are_theirs(
    bench: Bench, tmp_path: Path
) -> None:
    done = stopped(bench)

    def work() -> None:
        bench.undo(done.id, prove=lambda: os.kill(os.getpid(), signal.SIGKILL))

    dies_in_the_middle(bench, work)
    bench = Bench(tmp_path)
    assert CUPS in active(bench)
    administrate(bench)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and is_theirs(bench, ended), ended.reason
    assert CUPS not in active(bench)


def test_units_that_somebody_moves_while_drift_is_put_back_are_theirs(bench: Bench) -> None:
    bench.host.run(("systemctl", "stop", CUPS))
    bench.apply(
        "s",
        RunCommand(argv=("systemctl", "start", CUPS), why="w"),
        WriteFile(path="/etc/a", content=b"x\n"),
    )
    bench.host.run(("systemctl", "stop", CUPS))
    keys: list[Key] = [
        (one.thing.domain, one.thing.key) for one in look(bench.host, bench.state).seen
    ]
    assert keys == [("units", CUPS)]
    ended = settle(
        bench.host, bench.state, "restore", keys, expect_fingerprint=None, user="",
        prove=lambda: None, progress=Meanwhile("putting units", lambda: administrate(bench)),
    )  # fmt: skip
    assert ended.status == "committed" and is_theirs(bench, ended), ended.reason
    assert CUPS in active(bench)
