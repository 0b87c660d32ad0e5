"""What an undo lays down beside its end: finished or taken back, whatever failed in between."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from snapshots import recover, settle
from snapshots.model import SnapshotError, TransactionRecord, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records
from tests.unit.snapshots_host import Bench, dies_in_the_middle

MOTD = "/etc/motd"


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def two_in_one_file(bench: Bench) -> tuple[str, str]:
    one = bench.apply("one", WriteFile(path=MOTD, content=b"a\n"))
    two = bench.apply("two", WriteFile(path=MOTD, content=b"a\nb\n"))
    return one.id, two.id


def lists(bench: Bench) -> dict[str, bytes]:
    records = Records(bench.state)
    return {
        tx_id: (records.where(tx_id) / "delta.jsonl").read_bytes()
        for tx_id in records.ids()
        if records.read(tx_id).kind == "apply"
    }


def test_a_guarded_undo_that_went_back_before_it_counted_stands_in_nobodys_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.fingerprint()
    one, two = two_in_one_file(bench)
    applied, were = bench.fingerprint(), lists(bench)
    end = Records.end

    def fails(self: Records, record: TransactionRecord) -> None:
        if record.status == "pending":
            full()
        end(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(Records, "end", fails)
        ended = bench.guarded_undo(one)
    assert ended.status == "rolled-back"
    assert bench.fingerprint() == applied and lists(bench) == were
    assert not (Records(bench.state).where(ended.id) / settle.REVOCABLE).exists()
    assert recover.recover(bench.host, bench.state, Silent()) == []
    for tx_id in (one, two):
        assert bench.undo(tx_id).status == "committed"
    assert bench.fingerprint() == first


def test_a_guarded_undo_killed_before_it_counted_is_taken_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two_in_one_file(bench)
    applied, were = bench.fingerprint(), lists(bench)

    def work() -> None:
        def dies(*_: object) -> None:
            os.kill(os.getpid(), 9)

        monkeypatch.setattr("snapshots.transaction.Transaction.finish", dies)
        bench.guarded_undo(one)

    dies_in_the_middle(bench, work)
    fresh = Bench(bench.state.path.parent)
    (ended,) = recover.recover(fresh.host, fresh.state, Silent())
    assert ended.status == "rolled-back"
    assert fresh.fingerprint() == applied and lists(fresh) == were
    assert fresh.undo(one).status == "committed"


@pytest.mark.parametrize("broken_off", [False, True])
def test_a_guarded_undo_that_nobody_confirmed_leaves_every_list_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, broken_off: bool
) -> None:
    one, _ = two_in_one_file(bench)
    three = bench.apply("three", WriteFile(path=MOTD, content=b"a\nb\nc\n")).id
    applied, were = bench.fingerprint(), lists(bench)
    pending = bench.guarded_undo(one)
    assert pending.status == "pending" and lists(bench) != were
    with monkeypatch.context() as patch:
        if broken_off:  # after a list is back
            patch.setattr("snapshots.settle.sync_directory", full)
        (ended,) = recover.recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert recover.recover(bench.host, bench.state, Silent()) == []
    assert not (Records(bench.state).where(ended.id) / settle.REVOCABLE).exists()
    assert bench.fingerprint() == applied and lists(bench) == were
    assert bench.undo(three).status == "committed"


def test_a_disk_that_fails_is_told_with_its_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two_in_one_file(bench)
    with monkeypatch.context() as patch:
        patch.setattr("snapshots.settle._finish", full)
        ended = bench.undo(one)
        assert ended.status == "committed"
        with pytest.raises(SnapshotError, match=rf"{ended.id} \(No space left on device\)"):
            bench.begin("three")
    assert Records(bench.state).read(one).status == "committed"
    settle.finish_settling(bench.state)
    assert Records(bench.state).read(one).status == "undone"


@pytest.mark.parametrize("moved", ["undone", "later"])
def test_what_a_person_moved_away_keeps_nothing_from_being_finished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    """A damaged record's message says to move its folder away."""
    one, two = two_in_one_file(bench)
    with monkeypatch.context() as patch:
        patch.setattr("snapshots.settle._finish", full)
        ended = bench.undo(one)
    records = Records(bench.state)
    shutil.move(records.where(one if moved == "undone" else two), bench.state.path / "away")
    settle.finish_settling(bench.state)
    assert not (records.where(ended.id) / settle.FOLDER).exists()
    bench.begin("three")
