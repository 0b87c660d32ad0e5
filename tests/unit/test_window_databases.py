"""Databases of a window that is undone: nothing that was written to them is lost unseen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from host import dumps as dumping
from host.base import FileState, Host
from snapshots import history
from steps import apply, recovery, rollback, window, window_store
from steps.outcome import NEEDS_PERSON, ROLLED_BACK
from tests.unit.window_scene import Scene, opened, update


class Server:
    """Databases by name, each with one text in it, and dumps that are files of the host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.holds = {"shop": "at the start"}
        self.restored = 0
        monkeypatch.setattr(dumping, "refusal", lambda *_: "")
        monkeypatch.setattr(dumping, "is_there", lambda _, name: name in self.holds)
        monkeypatch.setattr(dumping, "dump", self.dump)
        monkeypatch.setattr(dumping, "restore", self.restore)

    def dump(self, host: Host, name: str, path: str, say: Callable[[str], None]) -> dumping.Kept:
        parts = path.split("/")
        for depth in range(2, len(parts)):
            if host.state("/".join(parts[:depth])) is None:
                host.put("/".join(parts[:depth]), FileState("dir", 0o700))
        content = self.holds[name].encode()
        host.put(path, FileState("file", 0o600), content)
        return dumping.Kept(len(content), hashlib.sha256(content).hexdigest())

    def restore(self, host: Host, name: str, path: str, *_: Any) -> None:
        self.restored += 1
        self.holds[name] = host.read_bytes(path).decode()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def fails(ended: int) -> Callable[..., tuple[int, str, list[str]]]:
    return lambda *_, **__: (ended, "it did not go", [])


def kept_by_undo(scene: Scene) -> list[str]:
    return [
        content
        for path in scene.host.glob(f"{scene.state.path}/windows/*/before-undo-*.sql")
        for content in [scene.host.read_bytes(path).decode()]
    ]


def test_what_visitors_write_stays_while_sealing_is_tried_again(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(scene, dumps=["shop"])
    server.holds["shop"] = "converted by the update"
    with monkeypatch.context() as patch:
        patch.setattr(apply, "apply", fails(ROLLED_BACK))
        status, said, _ = window.undoing(scene.engine())
    assert status == NEEDS_PERSON, said
    assert server.holds["shop"] == "at the start"
    server.holds["shop"] = "an order since"
    status, said, _ = recovery.recover(scene.engine())
    assert status == 0, said
    assert (server.holds["shop"], server.restored) == ("an order since", 1)
    assert scene.is_sealed()
    assert kept_by_undo(scene) == ["converted by the update"]


def test_each_undo_keeps_what_it_gives_up(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(scene, dumps=["shop"])
    update(scene)
    server.holds["shop"] = "half of the update"
    with monkeypatch.context() as patch:
        patch.setattr(rollback, "rollback", fails(ROLLED_BACK))
        assert window.undoing(scene.engine())[0] == ROLLED_BACK
    assert kept_by_undo(scene) == [], "nothing was given up"
    server.holds["shop"] = "the whole update"
    status, said, _ = window.undoing(scene.engine())
    assert status == 0, said
    assert server.holds["shop"] == "at the start"
    assert kept_by_undo(scene) == ["the whole update"]


def test_a_window_that_was_not_opened_takes_no_dumps_away(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(scene, dumps=["shop"])
    assert window.closing(scene.engine())[0] == 0
    last = window_store.last(scene.state)
    assert last is not None
    # Named by the second, and this test takes less.
    elsewhere = msgspec.structs.replace(last.window, folder="20200101T000000Z")
    (scene.state.path / "windows" / elsewhere.folder).mkdir()
    window_store.end(scene.state, elsewhere, last.report)
    with monkeypatch.context() as patch:
        patch.setattr("snapshots.windows.begin", _full)
        assert window.opening(scene.engine(), for_s=3600)[0] == ROLLED_BACK
    assert (scene.state.path / "windows" / elsewhere.folder).exists()
    opened(scene)
    assert not (scene.state.path / "windows" / elsewhere.folder).exists()


def _full(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def test_an_undo_whose_dump_is_gone_touches_nothing(scene: Scene, server: Server) -> None:
    found = opened(scene, dumps=["shop"])
    update(scene)
    scene.host.put(found.dumps[0].path, None)
    status, said, _ = window.undoing(scene.engine())
    assert status == 3
    assert "backup" in said
    assert window.current(scene.state) == found


def test_an_altered_dump_is_seen_before_anything_is_undone(scene: Scene, server: Server) -> None:
    """Of the same size, so that only its content tells."""
    found = opened(scene, dumps=["shop"])
    update(scene)
    path = found.dumps[0].path
    content = scene.host.read_bytes(path)
    scene.host.put(path, scene.host.state(path), content[:-1] + b"X")
    (refusal,) = window.plan_undo(scene.engine()).refusals
    assert f"The dump {path} of the database shop was altered" in refusal
    status, said, _ = window.undoing(scene.engine())
    assert (status, "nothing was undone" in said) == (3, True)
    assert window.current(scene.state) == found


def test_history_verify_looks_at_the_dumps(scene: Scene, server: Server) -> None:
    found = opened(scene, dumps=["shop"])
    there = Path(found.dumps[0].path)  # on a real host the one and only
    there.write_bytes(scene.host.read_bytes(str(there)))
    assert history.verify(scene.state) == []
    assert window.closing(scene.engine())[0] == 0
    there.write_bytes(b"at the Start")
    assert history.verify(scene.state) == [f"The dump {there} was altered on the disk."]
    there.unlink()
    (said,) = history.verify(scene.state)
    assert said == f"The dump {there} cannot be read (No such file or directory)."


def test_an_undo_that_counts_is_not_given_up_for_a_log_that_is_full(
    scene: Scene, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(scene, dumps=["shop"])
    update(scene)
    server.holds["shop"] = "converted"
    real = rollback.rollback

    def unlogged(*given: Any) -> tuple[int, str, list[str]]:
        _, said, done = real(*given)
        return NEEDS_PERSON, f"{said} The session log could not be written.", done

    monkeypatch.setattr(rollback, "rollback", unlogged)
    status, said, _ = window.undoing(scene.engine())
    assert status == NEEDS_PERSON
    assert "was undone" in said
    assert "session log" in said
    assert server.holds["shop"] == "at the start"
    assert scene.is_sealed()
    assert window.current(scene.state) is None


def test_an_undo_that_left_something_is_not_called_as_before(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(scene)
    update(scene)
    monkeypatch.setattr(rollback, "rollback", fails(NEEDS_PERSON))
    status, said, _ = window.undoing(scene.engine())
    assert status == NEEDS_PERSON
    assert "not all is as before" in said
