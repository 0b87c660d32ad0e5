"""Update windows on a practice host: opened, used, closed at their deadline, undone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from host.base import FileState
from snapshots import opening, windows
from snapshots.drift_look import look
from snapshots.history import open_for_step, prune, show, verify
from snapshots.model import SnapshotError
from snapshots.progress import Silent
from snapshots.records import Records
from steps import apply, rollback, window, window_seals, window_store
from steps.resource import StepError
from steps.window_work import now
from tests.unit.window_scene import ETC, TREE, Scene, files_of, opened, update


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_window_lifts_seals_records_what_changed_and_seals_again(scene: Scene) -> None:
    found = opened(scene, note="release 2")
    assert (found.state, found.steps, found.note) == ("open", ("app.tree",), "release 2")
    assert found.trees == (TREE,)
    assert not scene.is_sealed()
    update(scene)
    status, said, done = window.closing(scene.engine())
    assert status == 0, said
    assert window.current(scene.state) is None
    assert scene.is_sealed(f"{TREE}/added.php")
    assert scene.status("app.tree") == "pass"
    report = window.last_report(scene.state)
    assert report is not None
    assert {one.top: (one.new, one.edited) for one in report.files} == {
        "/etc": (0, 1),
        TREE: (1, 1),
    }
    assert report.transaction == done[0]
    assert look(scene.host, scene.state).seen == ()
    logged = [entry for entry in scene.engine().log.entries() if entry.kind == "window-close"]
    assert logged[0].fields["transaction"] == report.transaction
    assert verify(scene.state) == []


def test_what_the_application_writes_by_itself_is_not_the_windows(scene: Scene) -> None:
    opened(scene)
    scene.host.write_file(f"{TREE}/log/new.log", b"written by a visitor\n")
    window.closing(scene.engine())
    ended = window.undoing(scene.engine())
    assert ended[0] == 0, ended[1]
    assert scene.host.state(f"{TREE}/log/new.log") is not None


def test_the_seals_come_back_with_the_values_they_had(scene: Scene) -> None:
    engine = scene.engine()
    engine.rollback(["app.tree"])
    engine = scene.engine()
    engine.given["app.tree"] = {"writable": ["log", "temp"], "path": TREE}
    assert engine.apply(["app.tree"]).exit == 0
    scene.engine().answers.set_value("app.tree", "writable", ["log"])
    found = opened(scene)
    assert found.seals[0].values["writable"] == ["log", "temp"]
    assert window.closing(scene.engine())[0] == 0
    assert not scene.is_sealed(f"{TREE}/temp")
    assert scene.engine().answers.values_of("app.tree")["writable"] == ["log"]


def test_two_trees_that_one_step_sealed_both_come_back(scene: Scene) -> None:
    other = "/var/www/html/other"
    scene.host.put(other, FileState("dir", 0o755, uid=33, gid=33))
    scene.host.write_file(f"{other}/index.php", b"<?php\n")
    engine = scene.engine()
    engine.given["app.tree"] = {"path": other, "writable": ["cache"]}
    assert engine.apply(["app.tree"]).exit == 0
    found = opened(scene)
    assert {seal.roots: seal.values["writable"] for seal in found.seals} == {
        (TREE,): ["log", "imports", "temp", "upload"], (other,): ["cache"],
    }  # fmt: skip
    assert not scene.is_sealed() and not scene.is_sealed(other)
    assert window.closing(scene.engine())[0] == 0
    assert scene.is_sealed() and scene.is_sealed(other)


def test_a_step_that_seals_is_refused_while_a_window_is_open(scene: Scene) -> None:
    opened(scene)
    ended = scene.engine().apply(["app.tree"])
    assert ended.exit == 3
    assert "window close" in ended.summary
    assert not scene.is_sealed()


def test_what_was_applied_before_the_window_is_not_undone_in_it(scene: Scene) -> None:
    assert scene.engine().apply(["files.banners"]).exit == 0
    opened(scene)
    status, said, _ = rollback.rollback(scene.engine(), ["files.banners"], False, None)
    assert status == 3
    assert "window close" in said


def test_a_window_is_not_undone_like_a_step(scene: Scene) -> None:
    found = opened(scene)
    window.closing(scene.engine())
    status, said, _ = rollback.rollback(scene.engine(), [found.id], False, None)
    assert status == 3
    assert "window undo" in said


def test_a_second_window_is_refused(scene: Scene) -> None:
    opened(scene)
    status, said, _ = window.opening(scene.engine(), for_s=3600)
    assert status == 3
    assert "open already" in said


def test_a_window_is_refused_while_something_was_interrupted(scene: Scene) -> None:
    engine = scene.engine()
    opening.begin(engine.host, engine.state, steps=("x",), title="x", user="t",
                  progress=Silent())  # fmt: skip
    assert "recover" in window.plan_open(engine, for_s=60).refusals[0]


@pytest.mark.parametrize("closed", [False, True])
def test_an_update_that_failed_goes_back(scene: Scene, closed: bool) -> None:
    before = files_of(scene)
    opened(scene)
    update(scene)
    if closed:
        assert window.closing(scene.engine())[0] == 0
    planned = window.plan_undo(scene.engine())
    keys = {item.key: item.how for item in planned.items}
    assert keys == {
        ETC: "restore", f"{TREE}/index.php": "restore", f"{TREE}/added.php": "restore",
    }  # fmt: skip
    status, said, _ = window.undoing(scene.engine(), planned.fingerprint)
    assert status == 0, said
    assert files_of(scene) == before
    assert scene.is_sealed()
    assert window.current(scene.state) is None
    with pytest.raises(StepError, match="nothing to undo"):
        window.plan_undo(scene.engine())


def test_closing_is_not_told_as_something_that_became_worse(scene: Scene) -> None:
    for _ in range(2):  # with a window before it the step passes at the start
        opened(scene)
        assert window.closing(scene.engine())[0] == 0
        report = window.status(scene.state).last
        assert report is not None and report.worse == ()
    assert scene.status("window.close") == "pass"


def test_nothing_of_an_undone_window_counts_as_gone(scene: Scene) -> None:
    assert rollback.rollback(scene.engine(), ["app.tree"], False, None)[0] == 0
    assert scene.engine().apply(["app.config-secrets"]).exit == 0
    assert scene.engine().apply(["app.tree"]).exit == 0
    opened(scene)
    assert window.closing(scene.engine())[0] == 0
    assert window.undoing(scene.engine(), window.plan_undo(scene.engine()).fingerprint)[0] == 0
    assert look(scene.host, scene.state).seen == ()


def test_a_preview_that_is_out_of_date_undoes_nothing(scene: Scene) -> None:
    opened(scene)
    planned = window.plan_undo(scene.engine())
    update(scene)
    status, _, _ = window.undoing(scene.engine(), planned.fingerprint)
    assert status == 3
    assert scene.host.state(f"{TREE}/added.php") is not None


def test_what_was_applied_in_the_window_is_undone_with_it(scene: Scene) -> None:
    before = files_of(scene)
    opened(scene)
    assert scene.engine().apply(["files.banners"]).exit == 0
    update(scene)
    window.closing(scene.engine())
    assert window.plan_undo(scene.engine()).steps == ("files.banners",)
    status, said, _ = window.undoing(scene.engine())
    assert status == 0, said
    assert open_for_step(scene.state, "files.banners") == []
    assert files_of(scene) == before


def test_a_window_whose_journal_was_altered_is_undone_without_waiting(scene: Scene) -> None:
    """Of a step it would not be known what it wrote, and its undo would wait for a new login."""
    before = files_of(scene)
    made = opened(scene)
    update(scene)
    journal = scene.state.transactions / made.id / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"opened", b"0pened"))
    status, said, _ = window.undoing(scene.engine())
    assert status == 0, said
    assert files_of(scene) == before


def test_the_seals_can_be_undone_after_a_window_in_any_order(scene: Scene) -> None:
    assert scene.engine().apply(["files.banners"]).exit == 0
    opened(scene)
    update(scene)
    window.closing(scene.engine())
    assert scene.engine().rollback(["app.tree"]).exit == 0
    assert not scene.is_sealed(f"{TREE}/added.php")
    assert scene.engine().rollback(["files.banners"]).exit == 0
    assert scene.host.read_bytes(f"{TREE}/index.php") == b"<?php // the new release\n"


def test_where_a_seal_cannot_be_put_back_the_window_stays_open_and_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(scene)

    def fails(*_: Any, **__: Any) -> tuple[int, str, list[str]]:
        return 4, "the tree could not be sealed", []

    monkeypatch.setattr(apply, "apply", fails)
    status, said, _ = window.closing(scene.engine())
    monkeypatch.undo()
    assert status == 5
    assert "STAYS OPEN" in said
    found = window.current(scene.state)
    assert found is not None
    assert (found.state, found.failed) == ("open", "the tree could not be sealed")
    assert Records(scene.state).read(found.id).status == "under-way"
    assert window.closing(scene.engine())[0] == 0


def test_at_the_deadline_it_waits_for_whoever_writes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(scene)
    assert window.closing(scene.engine(), by_deadline=True)[0] == 0
    assert window.current(scene.state) == found, "not yet"
    past = (now() - timedelta(seconds=5)).isoformat()
    window_store.write(scene.state, msgspec.structs.replace(found, deadline=past))
    busy: list[tuple[str, ...]] = [(f"{TREE}/x (rsync, process 7)",)]
    monkeypatch.setattr("steps.window_busy.writers", lambda *_: busy[0])
    status, said, _ = window.closing(scene.engine(), by_deadline=True)
    assert status == 3
    assert "rsync" in said
    waiting = window.current(scene.state)
    assert waiting is not None
    assert waiting.waiting is not None
    assert waiting.waiting.writers == busy[0]
    busy[0] = ()
    assert window.closing(scene.engine(), by_deadline=True)[0] == 0
    assert window.current(scene.state) is None
    report = window.last_report(scene.state)
    assert report is not None
    assert report.how == "deadline"
    assert scene.is_sealed()


def test_the_deadline_can_be_moved(scene: Scene) -> None:
    found = opened(scene)
    assert window.extending(scene.engine(), 7200)[0] == 0
    later = window.current(scene.state)
    assert later is not None
    assert later.deadline > found.deadline


def test_a_password_of_the_application_is_in_no_diff_and_comes_back(scene: Scene) -> None:
    path = f"{TREE}/src/config.inc.php"
    was = scene.host.read_bytes(path)
    opened(scene)
    scene.host.write_file(path, b"<?php $pass = 'hunter2-new';\n")
    planned = window.plan_undo(scene.engine())
    assert "hunter2" not in msgspec.json.encode(planned).decode()
    window.closing(scene.engine())
    assert "hunter2" not in msgspec.json.encode(window.plan_undo(scene.engine())).decode()
    assert window.undoing(scene.engine())[0] == 0
    assert scene.host.read_bytes(path) == was


def test_a_start_that_cannot_be_written_goes_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise SnapshotError("the disk is full")

    monkeypatch.setattr(windows, "begin", full)
    status, said, _ = window.opening(scene.engine(), for_s=3600)
    assert status == 4, said
    assert window.current(scene.state) is None
    assert scene.is_sealed()


def test_lifting_that_fails_goes_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> tuple[int, str, list[str]]:
        return 3, "somebody holds it", []

    monkeypatch.setattr(window_seals, "lift", fails)
    status, said, _ = window.opening(scene.engine(), for_s=3600)
    assert status == 4
    assert "somebody holds it" in said
    assert scene.is_sealed()


def test_a_password_in_a_file_that_came_with_the_update_is_in_no_diff(scene: Scene) -> None:
    opened(scene)
    scene.host.write_file(f"{TREE}/.env", b"DB_PASSWORD=hunter2\n")
    assert "hunter2" not in msgspec.json.encode(window.plan_undo(scene.engine())).decode()
    window.closing(scene.engine())
    report = window.last_report(scene.state)
    assert report is not None
    assert "hunter2" not in str(show(scene.state, report.transaction))
    assert window.undoing(scene.engine())[0] == 0
    assert scene.host.state(f"{TREE}/.env") is None


def test_a_directory_with_the_name_of_a_secret_file_is_no_obstacle(scene: Scene) -> None:
    assert scene.engine().rollback(["app.tree"]).exit == 0
    scene.host.put(f"{TREE}/.env", FileState("dir", 0o755, uid=33, gid=33))
    assert scene.engine().apply(["app.tree"]).exit == 0
    opened(scene)


def test_a_tree_that_was_sealed_since_is_sealed_after_the_undo(scene: Scene) -> None:
    opened(scene)
    update(scene)
    assert window.closing(scene.engine())[0] == 0
    other = "/var/www/html/other"
    scene.host.put(other, FileState("dir", 0o755, uid=33, gid=33))
    scene.host.write_file(f"{other}/index.php", b"<?php\n")
    engine = scene.engine()
    engine.given["app.tree"] = {"path": other, "writable": ["cache"]}
    assert engine.apply(["app.tree"]).exit == 0
    status, said, _ = window.undoing(scene.engine())
    assert status == 0, said
    assert scene.is_sealed()
    assert scene.is_sealed(other)


def test_a_tree_that_is_gone_is_not_called_sealed(scene: Scene) -> None:
    opened(scene)
    real = scene.host.files.real(TREE)
    real.rename(real.with_name("moved"))
    status, said, _ = window.closing(scene.engine())
    assert status == 5
    assert f"NOT sealed, because it is not there any more: {TREE}" in said
    assert "Sealed again" not in said
    report = window.last_report(scene.state)
    assert report is not None
    assert report.sealed == ()


def test_a_conflict_with_a_window_names_a_way_that_there_is(scene: Scene) -> None:
    found = opened(scene)
    update(scene)
    assert window.closing(scene.engine())[0] == 0
    scene.host.write_file(ETC, b"Port 22\n")
    status, said, _ = window.undoing(scene.engine())
    assert status == 3
    assert "rollback" not in said
    assert f"history show {found.id}" in said


def test_the_packages_a_window_has_kept_are_not_pruned(scene: Scene) -> None:
    opened(scene)
    name, version = scene.host.run(("dpkg-query", "-W")).stdout.splitlines()[0].split("\t")[:2]
    deb = scene.state.debs / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
    other = scene.state.debs / f"{name}_0.0.1_amd64.deb"
    for path in (deb, other):
        path.write_bytes(b"")
    prune(scene.state, 30)
    assert deb.exists()
    assert not other.exists()


def test_what_guards_the_way_in_is_not_undone_with_a_window(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its undo lets go of the lock while it waits, and the window's timer would go on with ours."""
    found = opened(scene)
    assert scene.engine().apply(["files.banners"]).exit == 0
    monkeypatch.setattr(rollback, "is_guarded", lambda *_: True)
    status, said, _ = window.undoing(scene.engine())
    assert status == 3
    assert "harden-tui rollback" in said
    assert window.current(scene.state) == found
