"""Update windows whose opening, closing or undo is killed, at every point there is."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snapshots.drift_look import look
from snapshots.history import transactions, verify
from steps import recovery, window
from steps.engine import Engine
from tests.unit.window_scene import TREE, Scene, files_of, opened, update


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


POINTS: list[tuple[str, str, int]] = [
    *(("open", "steps.window_store.write", number) for number in (1, 2, 3)),
    ("open", "snapshots.windows.begin", 1),
    ("open", "snapshots.records.Records.write", 1),
    ("open", "snapshots.records.Records.end", 1),
    ("open", "snapshots.points.Points.write", 3),
    ("open", "snapshots.sessionlog.SessionLog.append", 1),
    ("close", "steps.window_store.write", 1),
    ("close", "snapshots.windows.finish", 1),
    ("close", "snapshots.points.Points.write", 1),
    ("close", "snapshots.points.Points.write", 2),
    ("close", "snapshots.points.Points.write", 3),
    ("close", "snapshots.records.Records.end", 1),
    ("close", "snapshots.records.Records.end", 2),
    ("close", "steps.window_store.end", 1),
    ("close", "steps.window_store.forget", 1),
    ("undo", "snapshots.windows.finish", 1),
    ("undo", "steps.window_seals.put_back", 1),
    ("undo", "steps.window_store.end", 1),
]
"""Work, a function in it, and before which of its calls the process is killed; and after it."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("work", "function", "number"), POINTS)
def test_a_kill_at_any_point_leaves_nothing_half_sealed(
    scene: Scene, work: str, function: str, number: int, when: str
) -> None:
    untouched = files_of(scene)
    if work != "open":
        opened(scene)
        update(scene)
    do: dict[str, Callable[[Engine], Any]] = {
        "open": lambda engine: window.opening(engine, for_s=3600),
        "close": window.closing,
        "undo": window.undoing,
    }
    killed(lambda: do[work](scene.engine()), function, number, after=when == "after")

    found = window.current(scene.state)
    status, said, _ = recovery.recover(scene.engine())
    assert status == 0, said
    left = window.current(scene.state)
    if left is not None:
        assert left.state == "open", "what was interrupted has ended"
        assert found is not None
        assert not scene.is_sealed()
        assert window.closing(scene.engine())[0] == 0
    assert window.current(scene.state) is None
    assert scene.status("app.tree") == "pass"
    assert not [r for r in transactions(scene.state) if r.status in ("open", "under-way")]
    assert verify(scene.state) == []
    assert look(scene.host, scene.state).seen == ()
    if work == "open":
        assert files_of(scene) == untouched
    elif work == "close":
        assert scene.is_sealed(f"{TREE}/added.php")
        report = window.last_report(scene.state)
        assert report is not None
        counted = {one.top: (one.new, one.edited) for one in report.files}
        assert counted == {"/etc": (0, 1), TREE: (1, 1)}


def killed(work: Callable[[], object], function: str, number: int, *, after: bool) -> None:
    """Do it in a process of its own that ends at once at that call, as by kill -9."""
    child = os.fork()
    if child == 0:
        try:
            patch = pytest.MonkeyPatch()
            name = function.rpartition(".")[2]
            target: Any = pytest.importorskip(".".join(function.split(".")[:2]))
            for part in function.split(".")[2:-1]:
                target = getattr(target, part)
            real = getattr(target, name)
            calls = [0]

            def dying(*given: Any, **named: Any) -> Any:
                calls[0] += 1
                if calls[0] == number and not after:
                    os._exit(9)
                answer = real(*given, **named)
                if calls[0] == number:
                    os._exit(9)
                return answer

            patch.setattr(target, name, dying)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 9, f"{function} was not called {number} times"
