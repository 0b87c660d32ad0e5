"""Files of which only content, or only mode, owner and flags were changed since."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from host.base import FLAG_IMMUTABLE
from snapshots.model import Resolution, Resolutions, UndoItem, WriteFile
from snapshots.undo import plan_undo
from tests.unit.snapshots_host import Bench
from tests.unit.test_others_edits import Programs

PATH = "/etc/made.conf"


def planned(bench: Bench, tx_id: str, *chosen: Resolution) -> UndoItem:
    resolutions = Resolutions(chosen[0] if chosen else None)
    (item,) = plan_undo(bench.host, bench.state, tx_id, resolutions).items
    return item


def test_a_mode_changed_since_goes_with_the_file_and_that_is_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = bench.fingerprint()
    made = bench.apply("s", WriteFile(path=PATH, content=b"one\n"))
    assert planned(bench, made.id).note == ""
    there = bench.host.state(PATH)
    assert there is not None
    bench.host.put(PATH, msgspec.structs.replace(there, mode=0o640, uid=7), content=b"one\n")
    item = planned(bench, made.id)
    assert (item.how, item.note) == (
        "restore", "its mode and owner changed since; that goes with it",
    )  # fmt: skip
    bench.undo(made.id)
    assert bench.fingerprint() == first


def test_a_file_in_which_nothing_is_left_goes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.apply("s", WriteFile(path=PATH, content=b"one\n"))
    bench.host.write_file(PATH, b"")
    item = planned(bench, made.id)
    assert (item.how, item.note) == ("restore", "nothing but the step's is left in it")


@pytest.mark.parametrize("choice", ["keep-current", "merge", "restore"])
def test_a_file_that_somebody_locked_is_asked_about(tmp_path: Path, choice: Resolution) -> None:
    bench = Bench(tmp_path)
    first = bench.fingerprint()
    made = bench.apply("s", WriteFile(path=PATH, content=b"one\n"))
    there = bench.host.state(PATH)
    assert there is not None
    locked = msgspec.structs.replace(there, flags=FLAG_IMMUTABLE)
    bench.host.put(PATH, locked, content=b"one\n")
    item = planned(bench, made.id)
    assert (item.how, item.note) == ("conflict", "somebody locked it since (chattr +i or +a)")
    how = "kept" if choice == "keep-current" else "restore"
    assert planned(bench, made.id, choice).how == how
    bench.undo(made.id, resolutions=Resolutions(choice))
    now = bench.host.state(PATH)
    if choice == "keep-current":
        assert now is not None and now.flags == FLAG_IMMUTABLE and bench.read(PATH) == "one\n"
    else:
        assert bench.fingerprint() == first


def test_of_what_only_the_mode_was_changed_no_content_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody wrote since was never captured; it stays where it is."""
    bench = Bench(tmp_path)
    bench.host.write_file(PATH, b"one\n")
    first = bench.host.state(PATH)
    assert first is not None
    closed = msgspec.structs.replace(first, mode=0o600)
    tx = bench.begin("s")
    Programs(monkeypatch).perform(
        tx, "chmod", "0600", PATH, act=lambda: bench.host.put(PATH, closed, content=b"one\n")
    )
    made = tx.commit()
    bench.host.write_file(PATH, b"somebody's, never seen before\n")
    plan = plan_undo(bench.host, bench.state, made.id)
    assert plan.cannot == "" and [item.how for item in plan.items] == ["merge"]
    bench.undo(made.id)
    now = bench.host.state(PATH)
    assert now is not None and now.mode == first.mode
    assert bench.read(PATH) == "somebody's, never seen before\n"
