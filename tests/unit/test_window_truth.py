"""Update windows: a clock that is set back, an undo that is given up, a close that is cut off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from host.base import FileState
from snapshots import history, records, undo
from snapshots import windows as snapshot_windows
from snapshots.model import SnapshotError
from steps import recovery, window, window_close, window_hold, window_open, window_undo, window_work
from steps.engine import Engine
from tests.unit.test_window_killed import killed
from tests.unit.window_scene import Scene, files_of, opened, update


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


class Clock:
    """The time of day as harden-tui sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shift = timedelta(0)
        for module in (records, snapshot_windows):
            monkeypatch.setattr(module, "now_text", self.text)
        monkeypatch.setattr("snapshots.opening.now_text", self.text)
        monkeypatch.setattr("snapshots.transaction.now_text", self.text)
        for other in (window_work, window_close, window_open, window_undo):
            monkeypatch.setattr(other, "now", self.now)

    def text(self) -> str:
        return (datetime.now(UTC) + self.shift).isoformat(timespec="microseconds")

    def now(self) -> datetime:
        return (datetime.now(UTC) + self.shift).replace(microsecond=0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def close(scene: Scene) -> None:
    ended, said, _ = window.closing(scene.engine())
    assert ended == 0, said


def test_what_was_applied_after_the_close_stays_though_the_clock_was_set_back(
    scene: Scene, clock: Clock
) -> None:
    opened(scene)
    update(scene)
    close(scene)
    clock.shift = timedelta(hours=-1)
    assert scene.engine().apply(["files.banners"]).exit == 0
    assert window.plan_undo(scene.engine()).steps == ()


def test_what_was_applied_in_it_goes_with_it_though_the_clock_was_set_back(
    scene: Scene, clock: Clock
) -> None:
    first = files_of(scene)
    opened(scene)
    assert scene.engine().apply(["files.banners"]).exit == 0
    clock.shift = timedelta(hours=-1)
    close(scene)
    planned = window.plan_undo(scene.engine())
    assert planned.steps == ("files.banners",)
    ended, said, _ = window.undoing(scene.engine(), planned.fingerprint)
    assert ended == 0, said
    assert files_of(scene) == first


def test_what_an_undo_that_was_given_up_saw_is_not_shown_as_what_the_window_did(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(scene)
    assert scene.engine().apply(["files.banners"]).exit == 0
    scene.host.write_file("/etc/first.conf", b"first\n")
    real = undo.undo

    def failing(host: Any, state: Any, tx_id: str, **more: Any) -> Any:
        def no() -> None:
            raise SnapshotError("a site does not answer")

        return real(host, state, tx_id, **(more | {"prove": no} if tx_id == found.id else more))

    with monkeypatch.context() as patch:
        patch.setattr(undo, "undo", failing)
        assert window.undoing(scene.engine())[0] == 4
    assert history.show(scene.state, found.id).told == "not-yet"
    scene.host.put("/etc/first.conf", None)
    scene.host.write_file("/etc/second.conf", b"second\n")
    close(scene)
    shown = history.show(scene.state, found.id)
    assert [one.key for one in shown.deltas] == ["/etc/second.conf"]
    assert shown.since is None
    assert history.verify(scene.state) == []


def test_an_edit_after_a_step_in_an_open_window_goes_with_the_window(scene: Scene) -> None:
    """Its preview says that all goes back to the start, and so it does."""
    first = files_of(scene)
    opened(scene)
    assert scene.engine().apply(["files.banners"]).exit == 0
    scene.host.write_file("/etc/issue.net", b"mine, in the window\n")
    planned = window.plan_undo(scene.engine())
    assert planned.refusals == ()
    ended, said, _ = window.undoing(scene.engine(), planned.fingerprint)
    assert ended == 0, said
    assert files_of(scene) == first


def test_a_close_that_was_cut_off_at_its_end_leaves_no_hold_to_its_undo(scene: Scene) -> None:
    """What was held back is let go of before the close is written down, and is no change of the
    window's."""
    assert scene.engine().rollback(["app.tree"]).exit == 0
    for directory in ("/etc/apt", "/etc/apt/apt.conf.d"):
        if scene.host.state(directory) is None:
            scene.host.put(directory, FileState(kind="dir", mode=0o755))

    def engine() -> Engine:
        made = scene.engine()
        made.guarding = msgspec.structs.replace(made.guarding, program=("/usr/bin/harden-tui",))
        return made

    first = files_of(scene)
    assert window.opening(engine(), for_s=3600)[0] == 0
    held = (window_hold.NEEDRESTART, window_hold.APT)
    assert any(scene.host.state(path) for path in held)
    killed(lambda: window.closing(engine()), "steps.window_store.end", 1, after=False)
    assert recovery.recover(engine())[0] == 0
    assert files_of(scene) == first
    planned = window.plan_undo(scene.engine())
    assert window.undoing(engine(), planned.fingerprint)[0] == 0
    assert files_of(scene) == first
