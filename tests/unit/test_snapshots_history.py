"""History: what it shows, what it proves, what it lets go; and a disk that is full."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import msgspec
import pytest

from host.base import FileState, TreeRule
from snapshots import delta_list, history, recover, settle, sums
from snapshots.debs import KeptDebs, sum_of
from snapshots.model import (
    Delta,
    FileItem,
    Root,
    RunCommand,
    SealTree,
    SnapshotError,
    TransactionStatus,
    WriteFile,
)
from snapshots.objects import ObjectStore
from snapshots.progress import Silent
from snapshots.records import ORIGINAL, Records
from tests.unit.snapshots_host import Bench

DROP_IN = "/etc/ssh/sshd_config.d/00-test.conf"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def write(content: str) -> WriteFile:
    return WriteFile(path=DROP_IN, content=content.encode())


def test_a_sealed_tree_is_shown_in_a_line(bench: Bench) -> None:
    tree = "/srv/app"
    for directory in ("/srv", tree):
        if bench.host.state(directory) is None:
            bench.host.put(directory, FileState(kind="dir", mode=0o755))
    for number in range(30):
        bench.host.write_file(f"{tree}/f{number}", b"x")
    tx = bench.begin("a", roots=(Root(tree),))
    tx.perform(SealTree(tree, (TreeRule(tree, file_mode=0o440),)))
    record = tx.commit()
    shown = history.show(bench.state, record.id).deltas
    assert [d.diff for d in shown if "files below" in d.diff] == [
        f"30 files below {tree}: mode 0644 -> 0440"
    ]
    bench.host.write_file(f"{tree}/new", b"made by the application")
    bench.undo(record.id)
    state = bench.host.state(f"{tree}/f1")
    assert state is not None and state.mode == 0o644
    assert bench.host.state(f"{tree}/new") is not None


def test_verify_names_what_was_altered(bench: Bench) -> None:
    record = bench.apply("a", write("A 1\n"))
    assert history.verify(bench.state) == []
    store = ObjectStore(bench.state.objects)
    delta = Records(bench.state).deltas(record.id)[0]
    (sha256,) = history.contents_of(delta.after)
    store.where(sha256).write_text("tampered")
    problems = history.verify(bench.state)
    assert any("altered" in problem for problem in problems)
    assert any(record.id in problem and DROP_IN in problem for problem in problems)


def age(bench: Bench) -> None:
    """Make everything a year old."""
    records = Records(bench.state)
    for record in records.all():
        old = "2020-01-01T00:00:00+00:00"
        records.write(msgspec.structs.replace(record, started=old, ended=old))


def test_prune_keeps_what_can_still_be_undone(bench: Bench) -> None:
    first = bench.fingerprint()
    one = bench.apply("one", write("A 1\n"))
    two = bench.apply("two", write("A 1\nB 2\n"))
    bench.undo(two.id)
    age(bench)
    gone = history.prune(bench.state, 30)
    assert gone and not any(point.startswith(one.id) for point in gone)
    assert history.verify(bench.state) == []
    assert [r.status for r in history.transactions(bench.state)][:2] == ["committed", "undone"]
    bench.undo(one.id)
    assert bench.fingerprint() == first


@pytest.mark.parametrize("merged", [False, True])
def test_prune_keeps_what_an_undo_that_nobody_confirms_brings_back(
    bench: Bench, merged: bool
) -> None:
    first = bench.fingerprint()
    one = bench.apply("one", write("A 1\n"))
    two = bench.apply(
        "two", write("A 1\nB 2\n") if merged else WriteFile(path="/etc/motd", content=b"x\n")
    )
    age(bench)
    assert bench.guarded_undo(one.id).status == "pending"
    assert history.prune(bench.state, 30) == []
    recover.recover(bench.host, bench.state, Silent())
    assert history.verify(bench.state) == []
    assert bench.undo(one.id).status == "committed"
    assert bench.undo(two.id).status == "committed"
    assert bench.fingerprint() == first


@pytest.mark.parametrize("folder", [settle.FOLDER, settle.REVOCABLE])
def test_prune_keeps_the_contents_of_lists_that_are_not_in_place_yet(
    bench: Bench, folder: str
) -> None:
    undone = bench.undo(bench.apply("one", write("A 1\n")).id)
    records = Records(bench.state)
    store = ObjectStore(bench.state.objects)
    item = FileItem(FileState("file", sha256=store.add(b"waits")))
    store.sync()
    beside = records.where(undone.id) / folder
    beside.mkdir()
    lines = delta_list.encoded([Delta("files", DROP_IN, item, None)])
    (beside / f"{undone.undoes}.jsonl").write_bytes(b"".join(lines))
    history.prune(bench.state, 30)
    assert store.get(item.state.sha256) == b"waits"


@pytest.mark.parametrize("status", ["open", "pending", "needs-person", "under-way"])
def test_prune_keeps_the_packages_that_going_back_needs(
    bench: Bench, status: TransactionStatus
) -> None:
    """Which of them went is known at the end of a transaction, and it did not come so far."""
    version = bench.host.run(("dpkg-query", "-W", "-f", "${Version}", "cups-daemon")).stdout
    kept = bench.state.debs / f"cups-daemon_{version.replace(':', '%3a')}_amd64.deb"
    other = bench.state.debs / "cups-daemon_0.1_amd64.deb"
    for deb in (kept, other):
        deb.write_bytes(b"a package")
        sum_of(deb).write_bytes(sums.listing_of([deb]))
    tx = bench.begin("a")
    tx.perform(RunCommand(argv=("apt-get", "purge", "-y", "cups-daemon"), why="a test"))
    tx._held.close()  # as if the process had died
    Records(bench.state).write(msgspec.structs.replace(tx.record, status=status))
    age(bench)
    assert history.prune(bench.state, 30) == []
    assert KeptDebs(bench.state.debs).find("cups-daemon", version) == kept
    assert not other.exists()


def test_prune_sweeps_what_a_crash_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.apply("one", write("A 1\n"))
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr("host.scratch.suffix", lambda: f"{ended.pid}-00000000")
    ObjectStore(bench.state.objects).add(b"half")
    (bench.state.points / "20200101T000000.000000Z-aaaaaa.before").mkdir()
    gone = history.prune(bench.state, 30)
    assert gone == ["20200101T000000.000000Z-aaaaaa.before"]
    assert list(bench.state.objects.rglob(".*")) == []
    assert history.verify(bench.state) == []


def test_prune_touches_nothing_where_something_is_damaged(bench: Bench) -> None:
    record = bench.apply("one", write("A 1\n"))
    bench.undo(record.id)
    bench.apply("two", write("B 2\n"))
    age(bench)
    for name in ("manifest.json", "restore.list"):
        (bench.state.points / f"{history.transactions(bench.state)[2].id}.before" / name).unlink()
    before = sorted(path.name for path in bench.state.path.rglob("*"))
    with pytest.raises(SnapshotError):
        history.prune(bench.state, 30)
    assert sorted(path.name for path in bench.state.path.rglob("*")) == before


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_refuses_to_begin(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.fingerprint()
    monkeypatch.setattr("snapshots.points.sync_files", full)
    with pytest.raises(SnapshotError, match="No space left on device; nothing was changed"):
        bench.begin("a")
    monkeypatch.undo()
    assert bench.fingerprint() == first
    assert history.transactions(bench.state) == []
    assert history.verify(bench.state) == []
    bench.apply("a", write("A 1\n"))


def test_a_disk_that_fills_up_goes_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.fingerprint()
    tx = bench.begin("a")
    tx.perform(write("A 1\n"))
    monkeypatch.setattr("snapshots.points.sync_files", full)
    with pytest.raises(SnapshotError, match="No space left on device"):
        tx.commit()
    assert tx.roll_back("the disk is full").status == "rolled-back"
    assert bench.fingerprint() == first


def test_an_end_that_cannot_be_written_is_recovered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.fingerprint()
    tx = bench.begin("a")
    tx.perform(write("A 1\n"))
    monkeypatch.setattr("snapshots.twins.write", full)
    monkeypatch.setattr("snapshots.records.append_durably", full)
    record = tx.roll_back("it failed")
    assert record.status == "needs-person"
    assert "Make room there" in record.reason
    assert bench.fingerprint() == first
    monkeypatch.undo()
    (ended,) = recover.recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"


def test_a_record_that_says_committed_is_never_gone_back_from(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx = bench.begin("a")
    tx.perform(write("A 1\n"))
    monkeypatch.setattr(tx, "write_after", lambda after, outside: None)
    monkeypatch.setattr("snapshots.twins.sync_directory", full)  # after the rename
    assert tx.commit().status == "committed"
    monkeypatch.undo()
    assert recover.recover(bench.host, bench.state, Silent()) == []
    assert bench.read("/etc/ssh/sshd_config.d/00-test.conf") == "A 1\n"


@pytest.mark.parametrize(
    "program", [(), ("sysctl", "-w", "net.ipv4.ip_forward=1"), ("lslocks", "--json")]
)
def test_what_recover_writes_over_is_kept_and_no_more_than_ours(
    bench: Bench, program: tuple[str, ...]
) -> None:
    """A program of ours that ended is known by what it wrote; one that was cut off may have done
    anything that it may."""
    by_program = program[:1] == ("lslocks",)  # of which nobody knows what it writes
    tx = bench.begin("a")
    tx.perform(write("A 1\n"))
    if program:
        tx.perform(RunCommand(argv=program, why="a test"))
    tx._held.close()  # as if the process had died
    if program:
        told = Records(bench.state).where(tx.id) / "journal.jsonl"
        *lines, last = told.read_bytes().splitlines(keepends=True)
        assert b"wrote" in last
        told.write_bytes(b"".join(lines))
    bench.host.write_file("/etc/ssh/sshd_config.d/00-test.conf", b"A 2\n")
    bench.host.write_file("/etc/motd", b"an administrator was here\n")
    (ended,) = recover.recover(bench.host, bench.state, Silent())
    shown = {d.key: d.diff for d in history.show(bench.state, ended.id).deltas}
    assert "+A 2" in shown["/etc/ssh/sshd_config.d/00-test.conf"]
    assert ("+an administrator was here" in shown.get("/etc/motd", "")) == by_program
    assert (bench.host.state("/etc/motd") is None) == by_program
    assert ("/etc/motd was changed by something else" in ended.reason) != by_program
    assert f"{ended.id}.found0" in ended.reason, "of the very file it is said, too"


def shown(bench: Bench, tx_id: str) -> dict[str, str]:
    return {d.key: d.diff for d in history.show(bench.state, tx_id).deltas}


def rebased(bench: Bench) -> tuple[str, str, str]:
    """Three in one file, of which the first is undone: the second answers for its lines."""
    one = bench.apply("one", write("A 1\n"))
    two = bench.apply("two", write("A 1\nB 2\n"))
    three = bench.apply("three", write("A 1\nB 2\nC 3\n"))
    return one.id, two.id, three.id


def test_what_a_step_did_stays_shown_when_an_earlier_one_is_undone(bench: Bench) -> None:
    first = bench.fingerprint()
    one, two, three = rebased(bench)
    were = {tx_id: shown(bench, tx_id) for tx_id in (two, three)}
    assert bench.undo(one).rebased == (two, three)
    assert {tx_id: shown(bench, tx_id) for tx_id in (two, three)} == were
    since = history.show(bench.state, two).since
    assert since is not None and since.undone == ("one",)
    assert [d.key for d in since.deltas] == [DROP_IN] and since.let_go == ()
    assert since.deltas[0].diff != were[two][DROP_IN]
    bench.undo(two)
    assert shown(bench, two) == were[two]
    assert history.show(bench.state, two).since is None  # it answers for nothing any more
    assert shown(bench, three) == were[three]
    assert history.verify(bench.state) == []
    bench.undo(three)
    assert bench.fingerprint() == first


def test_prune_keeps_what_a_step_did_as_long_as_it_stands(bench: Bench) -> None:
    one, two, three = rebased(bench)
    were = shown(bench, two)
    bench.undo(one)
    bench.undo(three)
    bench.apply("last", WriteFile(path="/etc/motd", content=b"x\n"))
    age(bench)
    assert history.prune(bench.state, 30)
    assert shown(bench, two) == were and "missing" not in were[DROP_IN]
    assert history.verify(bench.state) == []
    where = Records(bench.state).where
    assert (where(two) / ORIGINAL).exists() and not (where(three) / ORIGINAL).exists()


def test_what_a_step_did_is_never_made_up_where_its_list_is_lost(bench: Bench) -> None:
    one, two, _ = rebased(bench)
    bench.undo(one)
    path = Records(bench.state).where(two) / ORIGINAL
    path.unlink()
    assert history.verify(bench.state) == [f"{path} is missing."]
    with pytest.raises(SnapshotError, match=f"{path} is missing"):
        history.show(bench.state, two)
    assert bench.undo(two).status == "committed"  # which needs it not


def test_an_undo_that_nobody_confirmed_leaves_what_is_shown_as_it_was(bench: Bench) -> None:
    one, two, three = rebased(bench)
    were = {tx_id: history.show(bench.state, tx_id) for tx_id in (two, three)}
    bench.guarded_undo(one)
    assert history.show(bench.state, two).since is not None
    recover.recover(bench.host, bench.state, Silent())
    assert {tx_id: history.show(bench.state, tx_id) for tx_id in (two, three)} == were
    assert history.verify(bench.state) == []


def test_a_list_of_an_earlier_build_is_shown_as_it_is(bench: Bench) -> None:
    """Its undo replaced the list and kept no original."""
    one, two, _ = rebased(bench)
    undone = bench.undo(one)
    records = Records(bench.state)
    records.write(msgspec.structs.replace(records.read(undone.id), rebased=()))
    (records.where(two) / ORIGINAL).unlink()
    assert "+B 2" in shown(bench, two)[DROP_IN]
    assert history.verify(bench.state) == []
