"""What others put in the place of a directory or of a file before a change is taken back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from host.base import FileState
from host.writing import TEMPORARY_PREFIX
from snapshots.model import TransactionRecord
from snapshots.progress import Silent
from snapshots.recover import recover
from snapshots.transaction import Transaction
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_others_edits import waiting
from tests.unit.test_snapshots_meanwhile import DIRECTORY, Meanwhile, undone, write

D = "/etc/ssh/sshd_config.d"
MOVED = "/srv/sshd"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for path in ("/srv", "/etc/ssh", D):
        if bench.host.state(path) is None:
            bench.host.put(path, DIRECTORY)
    bench.host.write_file(f"{D}/10-mine.conf", b"Port 2222\n")
    bench.host.write_file("/etc/a", b"old\n")
    return bench


def move(bench: Bench) -> None:
    """Somebody moves the directory to a place of theirs, and lays a link to it."""
    bench.host.put(MOVED, DIRECTORY)
    for name in bench.host.listdir(D):
        bench.host.write_file(f"{MOVED}/{name}", bench.host.read_bytes(f"{D}/{name}"))
        bench.host.put(f"{D}/{name}", None)
    bench.host.put(D, None)
    bench.host.put(D, FileState(kind="symlink", mode=0o777, target=f"../..{MOVED}"))


def made(bench: Bench, name: str, *, waits: bool) -> Transaction:
    tx = waiting(bench) if waits else bench.begin("s")
    tx.perform(write("/etc/a", "ours\n"))
    tx.perform(write(f"{D}/{name}", "ours\n"))
    if waits:
        tx.commit()
    else:
        tx._held.close()
    return tx


def recovered(bench: Bench) -> TransactionRecord:
    (ended,) = recover(bench.host, bench.state, Silent())
    return ended


def stays(bench: Bench, text: str) -> bool:
    state = bench.host.state(D)
    return state is not None and state.kind == "symlink" and text == bench.read(f"{D}/10-mine.conf")


@pytest.mark.parametrize("waits", [True, False])
def test_a_directory_that_somebody_moved_and_linked_is_not_replaced_by_an_empty_one(
    bench: Bench, waits: bool
) -> None:
    made(bench, "50-ours.conf", waits=waits)
    move(bench)
    ended = recovered(bench)
    assert ended.status == "needs-person"
    assert f"{D}/50-ours.conf could not be taken away: {D}, in which it lay, is" in ended.reason
    assert stays(bench, "Port 2222\n")
    assert bench.read("/etc/a") == "old\n" and bench.read(f"{D}/50-ours.conf") == "ours\n"
    bench.host.put(f"{MOVED}/50-ours.conf", None)
    ended = recovered(bench)
    assert ended.status == "rolled-back", ended.reason
    assert f"{D} and 1 more were changed by something else meanwhile" in ended.reason
    assert stays(bench, "Port 2222\n")


@pytest.mark.parametrize("waits", [True, False])
def test_what_the_change_wrote_over_behind_it_is_not_put_back_through_the_link(
    bench: Bench, waits: bool
) -> None:
    made(bench, "10-mine.conf", waits=waits)
    move(bench)
    ended = recovered(bench)
    assert ended.status == "needs-person"
    assert f"{D}/10-mine.conf could not be put back: {D}, in which it lay, is" in ended.reason
    assert stays(bench, "ours\n") and bench.read("/etc/a") == "old\n"
    assert "removed by something else" not in ended.reason


def test_a_directory_that_somebody_links_during_an_undo_stays_a_link(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "ours\n"))
    tx.perform(write(f"{D}/50-ours.conf", "ours\n"))
    done = tx.commit()
    ended = undone(bench, done.id, Meanwhile("putting files", lambda: move(bench)))
    assert ended.status == "needs-person"
    assert f"{D}/50-ours.conf could not be put back: {D}, in which it lay, is" in ended.reason
    assert stays(bench, "Port 2222\n")


@pytest.mark.parametrize("waits", [True, False])
def test_a_file_in_whose_place_somebody_made_a_directory_is_named(
    bench: Bench, waits: bool
) -> None:
    bench.host.write_file("/etc/b", b"old\n")
    tx = waiting(bench) if waits else bench.begin("s")
    for path in ("/etc/a", "/etc/b"):
        tx.perform(write(path, "ours\n"))
    if waits:
        tx.commit()
    else:
        tx._held.close()
    bench.host.put("/etc/a", None)
    bench.host.put("/etc/a", DIRECTORY)
    bench.host.write_file("/etc/a/data", b"theirs\n")
    ended = recovered(bench)
    assert ended.status == "needs-person"
    assert "/etc/a could not be put back: it is a directory now" in ended.reason
    assert bench.read("/etc/a/data") == "theirs\n" and bench.read("/etc/b") == "old\n"


def test_all_that_could_not_be_put_back_is_named(bench: Bench) -> None:
    bench.host.write_file("/etc/b", b"old\n")
    tx = bench.begin("s")
    for path in ("/etc/b", f"{D}/10-mine.conf", f"{D}/50-ours.conf"):
        tx.perform(write(path, "ours\n"))
    tx._held.close()
    bench.host.put("/etc/b", None)
    bench.host.put("/etc/b", DIRECTORY)
    bench.host.write_file("/etc/b/data", b"theirs\n")
    move(bench)
    ended = recovered(bench)
    assert ended.status == "needs-person"
    for path, what in (
        ("/etc/b", "put back"), (f"{D}/10-mine.conf", "put back"),
        (f"{D}/50-ours.conf", "taken away"),
    ):  # fmt: skip
        assert f"{path} could not be {what}: " in ended.reason, ended.reason


@pytest.mark.parametrize("is_undo", [True, False])
def test_what_a_killed_write_left_beside_the_file_goes(
    bench: Bench, tmp_path: Path, is_undo: bool
) -> None:
    """It may hold a secret; it is no file of anybody's."""

    done = bench.apply("s", write("/etc/a", "ours\n")) if is_undo else None

    def work() -> None:
        if done is not None:
            bench.undo(done.id, prove=lambda: os.kill(os.getpid(), signal.SIGKILL))
        bench.begin("s").perform(write("/etc/a", "ours\n"))

    left = f"/etc/{TEMPORARY_PREFIX}0123456789abcdef"
    theirs = f"/etc/{TEMPORARY_PREFIX}mine"
    dies_in_the_middle(bench, work)
    bench = Bench(tmp_path)
    bench.host.write_file(left, b"a password\n")
    for path in (theirs, f"{D}/{TEMPORARY_PREFIX}0123456789abcdef"):
        bench.host.write_file(path, b"x\n")
    ended = recovered(bench)
    assert ended.status == "rolled-back", ended.reason
    there = [name for name in bench.host.listdir("/etc") if name.startswith(TEMPORARY_PREFIX)]
    assert there == [f"{TEMPORARY_PREFIX}mine"]
    assert TEMPORARY_PREFIX not in "".join(bench.host.listdir(D))
    assert f"{theirs} was changed by something else" in ended.reason
    kept = sorted(bench.state.objects.rglob("*"))
    assert all(b"a password" not in one.read_bytes() for one in kept if one.is_file())
