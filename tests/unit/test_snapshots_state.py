"""The state directory: its lock and who may own it."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from snapshots.model import Busy, SnapshotError
from snapshots.state import StateDir


def test_everything_is_for_the_owner_alone(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    state.make_key()
    for path in state.path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE(state.path.stat().st_mode) == 0o700


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "state").symlink_to("real")
    with pytest.raises(SnapshotError, match="is a link"):
        StateDir(tmp_path / "state")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_strangers_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 12345, 12345)
    with pytest.raises(SnapshotError, match="belongs to user id 12345"):
        StateDir(tmp_path / "state")


def test_loose_rights_are_tightened(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    StateDir(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_the_same_thread_may_lock_again_and_another_may_not(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    seen: list[str] = []

    def other() -> None:
        try:
            with StateDir(tmp_path / "state").lock("second"):
                seen.append("locked")
        except Busy as error:
            seen.append(str(error))

    with state.lock("the first work"):
        with StateDir(tmp_path / "state").lock("inner"):
            pass
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        holder = state.holder()
        assert holder is not None and holder.pid == os.getpid()
    assert "the first work" in seen[0]
    assert state.holder() is None
    other()
    assert seen[1] == "locked"


def test_two_who_only_look_do_not_take_each_other_for_the_holder(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    with state.lock("rollback"):
        pass
    with open(state.path / "lock", "rb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH)
        assert state.holder() is None


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    pid = os.fork()
    if pid == 0:
        lock = state.lock("dying")
        lock.__enter__()
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    assert state.holder() is None
    with state.lock("next"):
        pass
