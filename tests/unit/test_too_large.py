"""A file too large to keep stands in nobody's way, and is neither written over nor removed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from host import base, files
from host.base import FileState, HostError
from snapshots import history, opening, undo
from snapshots.captured import loses_content, same_state
from snapshots.drift_look import look
from snapshots.drift_plan import plan
from snapshots.model import FileItem, RemoveFile, Resolutions, RunCommand, SnapshotError, WriteFile
from snapshots.progress import Silent
from tests.unit.snapshots_host import Bench

LARGE = "/etc/backup.tar"
SMALL = "/etc/site.conf"
LIMIT = 256 * 1024


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(base, "LARGEST_READ_BYTES", LIMIT)
    return Bench(tmp_path)


def write(path: str = SMALL) -> WriteFile:
    return WriteFile(path=path, content=b"a\n")


def put_large(bench: Bench, path: str = LARGE, more: int = 1) -> None:
    bench.host.write_file(path, bytes(LIMIT + more))


def test_it_blocks_neither_a_change_nor_its_undo(bench: Bench) -> None:
    first = bench.fingerprint()
    put_large(bench)
    record = bench.apply("a", write())
    put_large(bench, more=2)  # it goes on growing
    assert bench.undo(record.id).status == "committed"
    assert bench.host.state(SMALL) is None
    assert bench.host.read_bytes(LARGE) == bytes(LIMIT + 2)
    bench.host.put(LARGE, None)
    assert bench.fingerprint() == first
    assert history.verify(bench.state) == []


@pytest.mark.parametrize("change", [write(LARGE), RemoveFile(LARGE)])
def test_nothing_is_begun_that_would_lose_it(bench: Bench, change: WriteFile | RemoveFile) -> None:
    put_large(bench)
    with pytest.raises(SnapshotError, match=r"is larger than .* Move it away, then try again"):
        opening.begin(
            bench.host, bench.state, steps=("a",), title="a", user="", named=(change.path,),
            progress=Silent(),
        )  # fmt: skip
    assert history.transactions(bench.state) == []


def test_an_undo_that_would_remove_it_is_refused_before_anything_is_touched(bench: Bench) -> None:
    record = bench.apply("a", write(), write("/etc/other.conf"))
    put_large(bench, SMALL)
    choice = Resolutions(everything="restore")
    shown = undo.plan_undo(bench.host, bench.state, record.id, choice)
    assert "Move it away" in shown.cannot
    with pytest.raises(SnapshotError, match="Move it away"):
        bench.undo(record.id, resolutions=choice)
    assert bench.read("/etc/other.conf") == "a\n"
    kept = Resolutions(everything="keep-current")
    assert bench.undo(record.id, resolutions=kept).status == "committed"
    assert bench.host.read_bytes(SMALL) == bytes(LIMIT + 1)


def test_what_was_before_is_not_offered_in_place_of_it(bench: Bench) -> None:
    bench.host.write_file(SMALL, b"before\n")
    made = bench.apply("a", write()).id
    put_large(bench, SMALL)
    (item,) = undo.plan_undo(bench.host, bench.state, made).conflicts
    assert "move it away first" in item.cannot["restore"]
    assert bench.undo(made, resolutions=Resolutions("keep-current")).status == "committed"
    assert bench.host.read_bytes(SMALL) == bytes(LIMIT + 1)


def test_what_a_command_lost_is_told_and_not_called_undone(bench: Bench) -> None:
    put_large(bench)
    tx = bench.begin("a")
    tx.perform(RunCommand(argv=("sysctl", "-w", "net.ipv4.conf.all.log_martians=1"), why="x"))
    with tx.ours.at_work.noted(bench.host):
        bench.host.put(LARGE, None)
    record = tx.commit()
    with pytest.raises(SnapshotError, match=r"/etc/backup.tar, larger .*, was not kept"):
        bench.undo(record.id)


def test_going_back_says_what_cannot_come_back(bench: Bench) -> None:
    put_large(bench)
    tx = bench.begin("a")
    tx.perform(write())
    with tx.ours.at_work.noted(bench.host):
        bench.host.put(LARGE, None)
    ended = tx.roll_back("it failed")
    assert ended.status == "needs-person"
    assert "/etc/backup.tar was larger than" in ended.reason and "backup" in ended.reason
    assert bench.host.state(SMALL) is None


def test_going_back_removes_none_that_came_meanwhile(bench: Bench) -> None:
    tx = bench.begin("a")
    tx.perform(write())
    with tx.ours.at_work.noted(bench.host):
        put_large(bench)
    ended = tx.roll_back("it failed")
    assert ended.status == "needs-person" and "left as it is: move it away" in ended.reason
    assert bench.host.read_bytes(LARGE) == bytes(LIMIT + 1)
    assert bench.host.state(SMALL) is None


def test_drift_accepts_it_and_does_not_take_it_away(bench: Bench) -> None:
    bench.apply("a", write())
    put_large(bench)
    (seen,) = look(bench.host, bench.state).seen
    assert (seen.thing.kind, seen.choices) == ("new", ("accept",))
    assert "Move it away by hand" in seen.cannot
    planned = plan(bench.host, bench.state, "restore", [("files", LARGE)])
    assert "Move it away by hand" in planned.refusals[0]


def test_its_size_is_asked_before_anything_is_read(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    state = files.state(str(sparse), content=True)
    assert state is not None and state.is_too_large
    with pytest.raises(HostError, match="it is larger than 512 MiB"):
        files.read_bytes(str(sparse), limit_bytes=base.LARGEST_READ_BYTES)


def test_what_is_captured_without_content_says_nothing_of_its_size() -> None:
    log = FileState(kind="file", mode=0o640, size_bytes=1)
    grown = msgspec.structs.replace(log, size_bytes=base.LARGEST_READ_BYTES + 1)
    assert same_state(log, grown) and not loses_content(FileItem(grown), FileItem(log))
    hashed = msgspec.structs.replace(log, sha256="a" * 64)
    assert not same_state(hashed, grown) and not same_state(grown, hashed)
    assert loses_content(FileItem(grown), FileItem(hashed)) and loses_content(FileItem(grown), None)
