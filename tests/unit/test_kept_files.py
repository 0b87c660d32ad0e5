"""Something else in place of a file of the state directory is damage, and waited for by nobody."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots import kept_files
from snapshots.model import SnapshotError
from snapshots.objects import ObjectStore
from snapshots.records import Records
from snapshots.secret_paths import PREFIX, SecretPaths
from snapshots.state import StateDir
from tests.unit.restore_points import ETC, make_points

pytestmark = pytest.mark.timeout(20)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        os.chdir(path.parent)  # the whole path may be too long for a socket
        one.bind(path.name)


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "directory": Path.mkdir,
    "link": lambda path: path.symlink_to("/etc/hostname"),
    "socket": _socket,
}


@pytest.fixture(params=KINDS)
def put(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Puts something else in the place of a file."""
    monkeypatch.chdir("/")

    def replace(path: Path) -> None:
        path.unlink(missing_ok=True)
        KINDS[request.param](path)

    return replace


def test_only_regular_files_are_opened(tmp_path: Path, put: Callable[[Path], None]) -> None:
    (tmp_path / "file").write_text("there\n")
    assert kept_files.read(tmp_path / "file") == b"there\n"
    put(tmp_path / "file")
    with pytest.raises(OSError, match="it is no regular file"):
        kept_files.read(tmp_path / "file")


def test_an_object_is_damaged_then(tmp_path: Path, put: Callable[[Path], None]) -> None:
    store = ObjectStore(StateDir(tmp_path / "state").objects)
    sha256 = store.add(b"")
    store.sync()
    put(store.where(sha256))
    assert not store.is_whole(sha256) and not store.has(sha256)
    with pytest.raises(SnapshotError, match="it is no regular file"):
        store.get(sha256)


def test_a_secret_is_damaged_then(tmp_path: Path, put: Callable[[Path], None]) -> None:
    state = StateDir(tmp_path / "state")
    secrets = SecretPaths(state)
    secrets.register(["/etc/secret"])
    hashed = secrets.hashed(hashlib.sha256(b"word\n").hexdigest())
    secrets.keep_known(hashed, b"word\n")
    put(state.secret_contents / hashed.removeprefix(PREFIX))
    with pytest.raises(SnapshotError, match="it is no regular file"):
        secrets.content(hashed)


def test_records_and_restore_points_are_damaged_then(
    tmp_path: Path, put: Callable[[Path], None]
) -> None:
    records = Records(StateDir(tmp_path / "state"))
    tx_id = records.create_id()
    records.where(tx_id).mkdir()
    for name in ("record.json", "record-copy.json", "delta.jsonl"):
        put(records.where(tx_id) / name)
    with pytest.raises(SnapshotError, match="cannot be read"):
        records.read(tx_id)
    with pytest.raises(SnapshotError, match="it is no regular file"):
        records.deltas(tx_id)
    points = make_points(tmp_path)
    points.write("one", "host", ETC, {"files": {}})
    for name in ("manifest.json", "restore.list"):
        put(points.path / "one" / name)
    with pytest.raises(SnapshotError, match="it is no regular file"):
        points.manifest("one")
