"""What is said to be on the disk is there whole, or not at all."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from host import writing
from host.base import FileState
from snapshots import opening
from snapshots.durable import append_durably
from snapshots.model import SnapshotError
from snapshots.objects import ObjectStore
from snapshots.progress import Silent
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench
from tests.unit.test_package_lock import ended_pid


def test_a_line_for_which_there_is_no_room_is_not_added_in_part(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    append_durably(path, b"x" * 1000)
    child = os.fork()
    if not child:  # pragma: no cover  # a limit holds for a whole process
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1100, 1100))
        try:
            append_durably(path, b"y" * 300)
        except OSError as error:
            os._exit(7 if error.errno == errno.EFBIG else 8)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert path.read_bytes() == b"x" * 1000 + b"\n"
    append_durably(path, b"z")
    assert path.read_bytes().endswith(b"x\nz\n")


def test_metadata_is_synced_where_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    path, folder = tmp_path / "file", tmp_path / "folder"
    path.write_bytes(b"x")
    path.chmod(0o666)
    mine = (os.geteuid(), os.getegid())
    wanted = FileState("file", 0o644, *mine)
    writing.put(str(path), wanted)
    assert synced == [str(path)]
    writing.put(str(path), wanted)
    assert synced == [str(path)]  # nothing had to change
    writing.put(str(folder), FileState("dir", 0o755, *mine))
    assert synced[1:] == [str(tmp_path), str(folder)]


def test_a_sweep_leaves_what_another_session_is_writing(tmp_path: Path) -> None:
    one, two = ObjectStore(tmp_path), ObjectStore(tmp_path)
    kept = one.add(b"content of a preview, which holds no lock")
    draft = tmp_path / f".draft.{ended_pid()}-00000000"
    draft.touch()
    half = tmp_path / "ab" / f".{'ab' * 32}.{ended_pid()}-00000000"
    half.parent.mkdir(exist_ok=True)
    half.touch()
    two.sweep()
    assert one.get(kept) == b"content of a preview, which holds no lock"
    assert not draft.exists() and not half.exists()


def test_a_crash_while_a_refused_change_is_cleared_away_leaves_no_open_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record without its restore point could never be recovered."""
    bench = Bench(tmp_path)

    class Killed(BaseException):
        pass

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def killed_at_the_second(path: Path, **_: object) -> None:
        if removed:
            raise Killed
        removed.append(path)
        real(path, ignore_errors=True)

    removed: list[Path] = []
    real = opening.shutil.rmtree  # type: ignore[attr-defined]  # the module's own, put back below
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("snapshots.opening.register_secrets", no_room)
        patch.setattr("snapshots.opening.shutil.rmtree", killed_at_the_second)
        bench.begin("one")
    fresh = Bench(tmp_path)
    assert recover(fresh.host, fresh.state, Silent()) == []
    assert fresh.begin("two").commit().status == "committed"


def test_a_refused_change_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("snapshots.opening.register_secrets", no_room)
        with pytest.raises(SnapshotError, match="nothing was changed on the host"):
            bench.begin("one")
    assert not list(bench.state.transactions.iterdir())
    assert not list(bench.state.points.iterdir())
