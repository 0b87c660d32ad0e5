"""What is kept twice: one of the two may be lost, and no crash makes an old one count."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from snapshots import history, intact, twins
from snapshots.model import SnapshotError, WriteFile
from snapshots.records import Records
from snapshots.secret_paths import SecretPaths
from snapshots.state import StateDir
from snapshots.sweep import sweep
from tests.unit.test_snapshots_intact import SECRET, Stage, flip, twice


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("twice"))


@pytest.mark.parametrize("which", ["record.json", "record-copy.json"])
@pytest.mark.parametrize("how", ["flip", "remove"])
def test_one_damaged_record_costs_nothing(stage: Stage, which: str, how: str) -> None:
    """Of any transaction, one that went back long ago among them."""
    bench = stage.copy()
    tx = bench.begin("failed")
    tx.perform(WriteFile(path="/etc/motd", content=b"other\n"))
    ids = [tx.roll_back("It failed.").id, *stage.ids]
    paths = [bench.state.transactions / tx_id / which for tx_id in ids]
    for path in paths:
        flip(path, 100) if how == "flip" else path.unlink()
    said = history.verify(bench.state)
    assert [one.split()[0] for one in said] == [str(path) for path in sorted(paths)]
    assert all(one.endswith("beside it holds the same and serves.") for one in said)
    standing = intact.standing(bench.state, practice=True)
    assert [(one.id, one.can_be_undone) for one in standing] == [(one, True) for one in stage.ids]
    assert len(history.transactions(bench.state)) == 8
    assert bench.undo(stage.ids[0]).status == "committed"
    assert history.verify(bench.state) == []


def test_a_record_is_what_was_said_last_wherever_a_crash_comes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each rename and each sync of its last word: the old record or the new one, and never
    an older one once the new one was to be read."""
    for number in range(6):
        bench = stage.copy()
        records = Records(bench.state)
        old = records.read(stage.ids[0])
        new = msgspec.structs.replace(old, status="undone")
        calls = 0

        def power_cut(real: Any, number: int = number) -> Any:
            def call(*arguments: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > number:
                    raise KeyboardInterrupt
                return real(*arguments)

            return call

        with monkeypatch.context() as cut:
            for name in ("fsync", "rename"):
                cut.setattr(os, name, power_cut(getattr(os, name)))
            with contextlib.suppress(KeyboardInterrupt):
                records.write(new)
        read = records.read(stage.ids[0])
        assert read == (new if number >= 4 else old), number
        flip(records.record_path(stage.ids[0]), 100)
        assert records.read(stage.ids[0]) in (read, new), number
        sweep(bench.state)
        assert history.verify(bench.state) == []


@pytest.mark.parametrize("name", ["key", "secret-paths", "accepted", "carried"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", ["flip", "remove"])
def test_what_is_kept_twice_serves_though_one_is_lost(
    stage: Stage, name: str, which: int, how: str
) -> None:
    """Nothing is refused, and the next change puts the lost one back."""
    bench = stage.copy()
    path = bench.state.path / twice(name)[which]
    whole = path.read_bytes()
    flip(path, 40) if how == "flip" else path.unlink()
    (said,) = history.verify(bench.state)
    other = bench.state.path / twice(name)[1 - which]
    assert said.startswith(f"{path} ") and f"{other} beside it holds the same" in said
    assert all(one.can_be_undone for one in intact.standing(bench.state, practice=True))
    assert bench.undo(stage.ids[3]).status == "committed"
    assert bench.read(SECRET) == "one\n"
    assert history.verify(bench.state) == []
    assert name != "key" or path.read_bytes() == whole


@pytest.mark.parametrize("name", ["key", "secret-paths"])
@pytest.mark.parametrize("content", [None, b"", b"[]", b'["/etc/\xff"]', b"k" * 32])
def test_no_secret_is_copied_or_doubted_once_it_is_not_known_which_it_is(
    stage: Stage, name: str, content: bytes | None
) -> None:
    """Both are lost: no other key is made, nothing is captured, and the sentence names the file."""
    bench = stage.copy()
    for each in twice(name):
        (bench.state.path / each).unlink()
        if content is not None:
            (bench.state.path / each).write_bytes(content)
    path = bench.state.path / twice(name)[0]
    assert any(said.startswith(f"{path} cannot be read") for said in history.verify(bench.state))
    standing = intact.standing(bench.state, practice=True)
    assert not any(one.can_be_undone for one in standing)
    before = bench.fingerprint()
    for refused in (lambda: bench.begin("next"), lambda: bench.undo(stage.ids[2])):
        with pytest.raises(SnapshotError, match=r"nothing was changed\. Put .*restore\.sh"):
            refused()
    assert bench.fingerprint() == before
    assert not any(b"two\n" in one.read_bytes() for one in bench.state.objects.glob("*/*"))
    assert (path.read_bytes() if path.exists() else None) == content


def test_a_crash_between_register_and_key_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDir(tmp_path / "state")
    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        cut.setattr(StateDir, "make_key", Mock(side_effect=KeyboardInterrupt))
        SecretPaths(state).register([SECRET])
    assert SecretPaths(state).paths == frozenset() and state.key() is None
    SecretPaths(state).register([SECRET])
    assert SecretPaths(state).paths == {SECRET} and state.key() is not None


def test_the_copy_is_never_older_than_what_it_serves_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the two: the file still holds, and the next sweep makes both alike."""
    path = tmp_path / "it.json"
    old, new = b'{\n  "a": 1\n}\n', b'{\n  "a": 2\n}\n'
    twins.write(path, old)
    real = os.rename

    def fails_in_between(source: Path, target: Path) -> None:
        if target == path:
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", fails_in_between)
        with pytest.raises(OSError, match="Input/output"):
            twins.write(path, new)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["it-copy.json", "it.json"]
    assert (twins.read(path), list(twins.problems(path))) == (old, [])
    flip(path, 5)
    assert twins.read(path) == new
    twins.mend(path)
    assert (twins.read(path), list(twins.problems(path))) == (new, [])
    assert path.read_bytes() == twins.copy_of(path).read_bytes()
