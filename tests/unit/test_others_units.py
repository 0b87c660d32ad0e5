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
from snapshots.others import AtWork
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from snapshots.transaction import Transaction
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_others_edits import Programs
from tests.unit.test_snapshots_meanwhile import DIRECTORY, Meanwhile, undone, write

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


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(monkeypatch)


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


def link(bench: Bench, path: str, target: str = "/usr/lib/x.service") -> None:
    bench.host.put(path, FileState(kind="symlink", mode=0o777, target=target))


SYSTEM = "/etc/systemd/system"
ALIAS, ALSO = f"{SYSTEM}/print.service", f"{WANTS}/cups.path"


def disable_while_somebody_works(bench: Bench, programs: Programs) -> Transaction:
    """A step disables cups, also by another name that somebody gave it; at the same time somebody
    enables a unit, writes a drop-in and edits a unit, of cups, too."""
    bench.host.write_file(f"{SYSTEM}/mine.service", b"old\n")
    bench.host.write_file(f"{SYSTEM}/{CUPS}", b"[Install]\nAlso=cups.path\n")
    link(bench, OURS)
    link(bench, ALSO)
    link(bench, ALIAS, f"{SYSTEM}/{CUPS}")
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))

    def disable() -> None:
        for path in (OURS, ALSO, ALIAS):
            bench.host.put(path, None)
        link(bench, THEIRS)
        for path in (f"{SYSTEM}/shop.target.wants", f"{SYSTEM}/{CUPS}.d"):
            bench.host.put(path, DIRECTORY)
        link(bench, f"{SYSTEM}/shop.target.wants/shop.service")
        for path in THEIR_FILES:
            bench.host.write_file(path, b"theirs\n")

    argv = ("systemctl", "disable", CUPS)
    programs.says[("systemctl", "cat", CUPS)] = "[Install]\nAlso=cups.path\n"
    programs.perform(tx, *argv, act=disable)
    return tx


THEIR_FILES = (f"{SYSTEM}/mine.service", f"{SYSTEM}/{CUPS}", f"{SYSTEM}/{CUPS}.d/override.conf")


def what_is_whose(bench: Bench) -> tuple[bool, bool]:
    """Whether all of the administrator's is there, and all that the step took away."""
    theirs = all(bench.read(path) == "theirs\n" for path in THEIR_FILES)
    links = (THEIRS, f"{SYSTEM}/shop.target.wants/shop.service")
    ours = [bench.host.state(path) is not None for path in (OURS, ALSO, ALIAS)]
    assert len(set(ours)) == 1, ours
    return theirs and None not in map(bench.host.state, links), ours[0]


@pytest.mark.parametrize("fails", [True, False])
def test_what_others_do_while_our_systemctl_waits_is_theirs(
    bench: Bench, programs: Programs, fails: bool
) -> None:
    tx = disable_while_somebody_works(bench, programs)
    ended = tx.roll_back("a proof failed") if fails else tx.commit()
    assert what_is_whose(bench) == (True, fails)
    assert f"{SYSTEM}/{CUPS} and 6 more were changed by something else meanwhile" in ended.reason
    if not fails:
        keys = {one.key for one in Records(bench.state).deltas(ended.id)}
        assert keys == {"/etc/a", OURS, ALSO, ALIAS}
        assert bench.undo(ended.id).status == "committed"
        assert what_is_whose(bench) == (True, True)


def test_what_others_did_since_our_systemctl_was_killed_is_theirs(
    bench: Bench, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(AtWork, "_changes", dies)
        with pytest.raises(KeyboardInterrupt):
            disable_while_somebody_works(bench, programs)
    argv = ("systemctl", "disable", CUPS)
    bench.host.run(argv)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    assert what_is_whose(bench) == (True, True)
    assert f"{SYSTEM}/{CUPS} and 6 more were changed by something else meanwhile" in ended.reason
