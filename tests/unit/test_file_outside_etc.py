"""A site's step writes a file outside /etc: it has a way back like any other, and is watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from host.base import FileState, HostError
from snapshots import opening
from snapshots.drift_look import look
from snapshots.drift_settle import settle
from snapshots.model import Resolutions, Root, TransactionRecord, UndoHow, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from snapshots.undo import plan_undo
from steps.resource import Context, Planned, StepError
from steps.resources.file import File
from tests.unit.given import ALICE, Given
from tests.unit.snapshots_host import Bench
from tests.unit.test_mounted import mount

TOOL = "/usr/local/bin/tool"
NEW = "/opt/acme/conf.d/new.conf"
LINES = "one\ntwo\nthree\nfour\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found = Bench(tmp_path)
    for path in ("/usr/local", "/usr/local/bin", "/opt", "/srv", "/srv/real"):
        if found.host.state(path) is None:
            found.host.put(path, FileState(kind="dir", mode=0o755))
    found.host.put("/srv/link", FileState(kind="symlink", mode=0o777, target="real"))
    return found


def planned(bench: Bench, path: str, content: str = "of the step\n", **body: Any) -> Planned:
    given = Given(bench.host, {"users": {"root": 0}, "groups": {"root": 0}})
    one = File.parse("site.x", {"path": path, "content": content, **body})
    return one.plan(Context(bench.host, given, ALICE))


def apply(bench: Bench, path: str, content: str = "of the step\n", **body: Any) -> str:
    plan = planned(bench, path, content, **body)
    tx = opening.begin(
        bench.host, bench.state, steps=("site.x",), title="x", user="tester", roots=plan.roots,
        named=(path,), progress=Silent(),
    )  # fmt: skip
    for change in plan.changes:
        tx.perform(change)
    return tx.commit().id


def keys(bench: Bench, tx_id: str) -> list[str]:
    return [delta.key for delta in Records(bench.state).each_delta(tx_id, {})]


def hows(bench: Bench, tx_id: str) -> dict[str, UndoHow]:
    return {item.key: item.how for item in plan_undo(bench.host, bench.state, tx_id).items}


def test_what_somebody_had_there_comes_back(bench: Bench) -> None:
    bench.host.write_file(TOOL, b"mine\n", FileState(kind="file", mode=0o2751, uid=7, gid=8))
    before = bench.host.state(TOOL, content=True)
    tx_id = apply(bench, TOOL, mode="0755")
    assert bench.read(TOOL) == "of the step\n"
    assert keys(bench, tx_id) == [TOOL]
    assert bench.undo(tx_id).status == "committed"
    after = bench.host.state(TOOL, content=True)
    assert before is not None and after is not None
    assert (after.sha256, after.mode, after.uid, after.gid) == (
        before.sha256, before.mode, before.uid, before.gid,
    )  # fmt: skip


def test_the_directories_made_for_it_go_with_it(bench: Bench) -> None:
    assert planned(bench, NEW).roots == (Root(NEW, content=True),)
    tx_id = apply(bench, NEW)
    assert keys(bench, tx_id) == [NEW]
    bench.undo(tx_id)
    assert bench.host.state("/opt/acme") is None
    assert bench.host.state("/opt") is not None


def test_a_directory_in_which_somebody_put_something_stays(bench: Bench) -> None:
    tx_id = apply(bench, NEW)
    bench.host.write_file("/opt/acme/mine", b"mine\n")
    assert bench.undo(tx_id).status == "committed"
    assert bench.read("/opt/acme/mine") == "mine\n"
    assert bench.host.state("/opt/acme/conf.d") is None
    bench.host.put("/opt/acme/mine", None)
    bench.undo(apply(bench, TOOL))
    assert bench.host.state("/opt/acme") is not None, "it is somebody's by now"


def test_they_go_with_the_last_that_lies_in_them(bench: Bench) -> None:
    first = apply(bench, NEW)
    second = apply(bench, "/opt/acme/conf.d/other.conf")
    bench.undo(first)
    assert bench.host.listdir("/opt/acme/conf.d") == ["other.conf"]
    bench.undo(second)
    assert bench.host.state("/opt/acme") is None


def test_one_that_somebody_gave_away_or_an_undo_that_waits_leaves_them(bench: Bench) -> None:
    tx_id = apply(bench, NEW)
    waits = bench.guarded_undo(tx_id)
    assert waits.status == "pending"
    assert bench.host.state("/opt/acme/conf.d") is not None
    recover(bench.host, bench.state, Silent())
    assert bench.read(NEW) == "of the step\n"
    bench.host.put("/opt/acme", FileState(kind="dir", mode=0o755, uid=33))
    bench.undo(tx_id)
    assert bench.host.listdir("/opt/acme") == []


def test_what_fails_leaves_no_directory(bench: Bench) -> None:
    tx = bench.begin("s", roots=(Root(NEW, content=True),))
    tx.perform(WriteFile(path=NEW, content=b"x"))
    assert tx.roll_back("it failed").status == "rolled-back"
    assert bench.host.state("/opt/acme") is None


def test_an_edit_elsewhere_in_it_is_drift_and_stays(bench: Bench) -> None:
    bench.host.write_file(TOOL, b"one\n")
    tx_id = apply(bench, TOOL, LINES)
    bench.host.write_file(TOOL, f"{LINES}mine\n".encode())
    assert [(one.thing.key, one.thing.kind) for one in look(bench.host, bench.state).seen] == [
        (TOOL, "edited")
    ]
    assert hows(bench, tx_id) == {TOOL: "merge"}
    bench.undo(tx_id)
    assert bench.read(TOOL) == "one\nmine\n"


def test_an_edit_of_the_same_line_is_asked_about(bench: Bench) -> None:
    bench.host.write_file(TOOL, b"one\n")
    tx_id = apply(bench, TOOL, "of the step\n")
    bench.host.write_file(TOOL, b"of somebody\n")
    assert hows(bench, tx_id) == {TOOL: "conflict"}
    with pytest.raises(HostError, match=TOOL):
        bench.undo(tx_id)
    assert bench.read(TOOL) == "of somebody\n"
    done: TransactionRecord = bench.undo(tx_id, resolutions=Resolutions(everything="restore"))
    assert done.status == "committed"
    assert bench.read(TOOL) == "one\n"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/srv/link/x", "/srv/link lies behind a symbolic link; nothing was written through it."
                        " Name the file where it lies: /srv/real/x."),
        ("/srv/link/a/x", "Name the file where it lies: /srv/real/a/x."),
        ("/srv/real/file/x", "/srv/real/file is a file, in which no file can lie."),
    ],
)  # fmt: skip
def test_where_no_way_leads_there_it_is_refused(bench: Bench, path: str, why: str) -> None:
    bench.host.write_file("/srv/real/file", b"")
    plan = planned(bench, path)
    assert not plan.changes
    assert why in plan.refusals[0]


@pytest.mark.parametrize("path", ["/opt//x", "//opt/x", "/opt/./x", "/opt/x/", "/opt/../x"])
def test_a_path_has_one_name(bench: Bench, path: str) -> None:
    with pytest.raises(StepError, match="path: "):
        planned(bench, path)


def test_what_is_mounted_over_it_or_no_more_hides_it(bench: Bench) -> None:
    bench.host.write_file(TOOL, b"mine\n")
    mount(bench.host, "/usr")
    tx_id = apply(bench, TOOL)
    for points, why in (
        (("/usr", "/usr/local/bin"), "something was mounted on /usr/local/bin since; unmount it"),
        ((), "what was mounted on /usr is not now; mount it first"),
    ):
        there = bench.host.state(TOOL, content=True)
        mount(bench.host, *points)
        bench.host.put(TOOL, None)
        (item,) = plan_undo(bench.host, bench.state, tx_id).items
        assert (item.how, item.note.partition(why)[1]) == ("conflict", why)
        bench.host.put(TOOL, there, b"of the step\n")
    mount(bench.host, "/usr")
    assert bench.undo(tx_id).status == "committed"
    assert bench.read(TOOL) == "mine\n"


def test_the_directories_made_for_it_come_back_with_it(bench: Bench) -> None:
    tx_id = apply(bench, NEW)
    for path in (NEW, "/opt/acme/conf.d", "/opt/acme"):
        bench.host.put(path, None)
    ended = settle(
        bench.host, bench.state, "restore", [("files", NEW)], expect_fingerprint=None,
        user="t", prove=lambda: None, progress=Silent(),
    )  # fmt: skip
    assert ended.status == "committed"
    assert bench.read(NEW) == "of the step\n"
    bench.undo(tx_id)
    assert bench.host.state("/opt/acme") is None
