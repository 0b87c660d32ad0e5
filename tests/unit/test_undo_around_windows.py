"""Undos of a step beside those of an update window, and of drift that was put back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from host.base import FileState
from snapshots import history, undo, windows
from snapshots.captured import only_changes
from snapshots.decision import Kept, Later, by_key
from snapshots.drift_settle import settle
from snapshots.inverse import Contents
from snapshots.invert import invert
from snapshots.model import (
    Change,
    Delta,
    Item,
    Key,
    RemoveFile,
    Root,
    RunCommand,
    SnapshotError,
    TransactionRecord,
    ValueItem,
    WriteFile,
)
from snapshots.progress import Silent
from tests.unit.snapshots_host import Bench
from tests.unit.undo_world import STORE, World, directory, text

MODE, GONE = "/etc/app.conf", "/etc/gone.conf"
CUPS = "cups.service"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.host.write_file(MODE, b"one\n", FileState(kind="file", mode=0o644))
    made.host.write_file(GONE, b"old\n", FileState(kind="file", mode=0o644))
    return made


@contextmanager
def window(bench: Bench) -> Iterator[str]:
    with bench.state.lock("test"):
        tx_id = windows.new_id(bench.state)
    windows.begin(bench.host, bench.state, tx_id, user="t", roots=(), secrets=(), progress=Silent())
    yield tx_id
    windows.finish(bench.host, bench.state, tx_id, Silent())


def chmod(bench: Bench, mode: int) -> None:
    state = bench.host.state(MODE)
    assert state is not None
    bench.host.put(MODE, msgspec.structs.replace(state, mode=mode))


def step(bench: Bench) -> tuple[Change, ...]:
    state = bench.host.state(MODE)
    assert state is not None
    return (
        WriteFile(path=MODE, content=b"one\n", mode=0o600, uid=state.uid, gid=state.gid,
                  force_state=True),
        RemoveFile(GONE),
        RunCommand(argv=("systemctl", "disable", "--now", CUPS), why="x"),
        RunCommand(argv=("sysctl", "-w", "net.ipv4.conf.all.log_martians=1"), why="x"),
    )  # fmt: skip


def the_other_way(bench: Bench) -> None:
    chmod(bench, 0o640)
    bench.host.write_file(GONE, b"old\n", FileState(kind="file", mode=0o644))
    bench.host.run(("systemctl", "enable", "--now", CUPS))
    bench.host.run(("sysctl", "-w", "net.ipv4.conf.all.log_martians=2"))


@pytest.mark.parametrize("order", ["sw", "ws"])
def test_a_step_and_a_window_after_it(bench: Bench, order: str) -> None:
    first = bench.fingerprint()
    done = bench.apply("s", *step(bench))
    with window(bench) as window_id:
        the_other_way(bench)
    for one in order:
        ended = bench.undo({"s": done.id, "w": window_id}[one])
        assert ended.status == "committed", ended.reason
    assert bench.fingerprint() == first


@pytest.mark.parametrize("order", list(itertools.permutations("tsw")))
def test_a_window_with_a_step_in_it(bench: Bench, order: tuple[str, ...]) -> None:
    if order.index("t") > order.index("w"):
        return  # what was applied in a window is undone before it
    first = bench.fingerprint()
    done = {"s": bench.apply("s", *step(bench)).id}
    with window(bench) as done["w"]:
        the_other_way(bench)
        done["t"] = bench.apply("t", *step(bench)).id
        chmod(bench, 0o604)
    for one in order:
        ended = bench.undo(done[one])
        assert ended.status == "committed", ended.reason
    assert bench.fingerprint() == first


def test_what_a_step_put_right_again_in_a_window_goes_back_with_it(bench: Bench) -> None:
    """At its end all is as at its beginning, and the window changed nothing."""
    first = bench.fingerprint()
    with window(bench) as window_id:
        bench.host.write_file(MODE, b"of the update\n", FileState(kind="file", mode=0o644))
        again = bench.apply("t", WriteFile(path=MODE, content=b"one\n"))
    bench.undo(again.id)
    assert bench.read(MODE) == "of the update\n"
    bench.undo(window_id)
    assert bench.fingerprint() == first


def test_an_undo_that_is_taken_back_leaves_the_window_as_it_was(bench: Bench) -> None:
    done = bench.apply("s", *step(bench))
    with window(bench) as window_id:
        the_other_way(bench)
    listed = (bench.state.transactions / window_id / "delta.jsonl").read_bytes()

    def fails() -> None:
        raise SnapshotError("a site does not answer")

    assert bench.undo(done.id, prove=fails).status == "rolled-back"
    assert (bench.state.transactions / window_id / "delta.jsonl").read_bytes() == listed


PUT_RIGHT = [
    order
    for order in itertools.permutations(["t1", "w1", "t2", "w2"])
    if order.index("t1") < order.index("w1") and order.index("t2") < order.index("w2")
]
"""What was applied in a window is undone before it."""


@pytest.mark.parametrize("order", PUT_RIGHT)
def test_two_windows_in_each_of_which_a_step_took_away_what_came(
    bench: Bench, order: tuple[str, ...]
) -> None:
    first = bench.fingerprint()
    done: dict[str, str] = {}
    for number in "12":
        with window(bench) as done[f"w{number}"]:
            bench.host.write_file("/etc/came.conf", b"each time\n")
            done[f"t{number}"] = bench.apply("t", RemoveFile("/etc/came.conf")).id
    for one in order:
        assert bench.undo(done[one]).status == "committed"
    assert bench.fingerprint() == first


def test_of_what_was_put_right_in_it_a_window_is_not_shown_as_the_changer(bench: Bench) -> None:
    with window(bench) as window_id:
        bench.host.write_file(MODE, b"of the update\n", FileState(kind="file", mode=0o644))
        bench.apply("t", WriteFile(path=MODE, content=b"one\n"))
    detail = history.show(bench.state, window_id)
    assert (detail.deltas, detail.told) == ((), "all")
    assert history.verify(bench.state) == []
    plan = undo.plan_undo(bench.host, bench.state, window_id)
    assert plan.items == ()


@pytest.mark.parametrize("order", ["sd", "ds"])
def test_a_step_and_drift_that_was_put_back(bench: Bench, order: str) -> None:
    done = {"s": bench.apply("s", *step(bench)).id}
    chmod(bench, 0o640)
    keys: list[Key] = [("files", MODE)]
    settled = settle(
        bench.host, bench.state, "restore", keys,
        expect_fingerprint=None, user="t", prove=lambda: None, progress=Silent(),
    )  # fmt: skip
    done["d"] = settled.id
    for one in order:
        assert bench.undo(done[one]).status == "committed"
    state = bench.host.state(MODE)
    assert state is not None and state.mode == 0o640, "the edit is there again"


def test_an_edit_of_what_a_step_removed_is_there_again_after_both_undos(bench: Bench) -> None:
    done = bench.apply("s", RemoveFile(GONE))
    bench.host.write_file(GONE, b"mine\n")
    settled = settle(
        bench.host, bench.state, "restore", [("files", GONE)],
        expect_fingerprint=None, user="t", prove=lambda: None, progress=Silent(),
    )  # fmt: skip
    bench.undo(done.id)
    assert bench.read(GONE) == "old\n"
    bench.undo(settled.id)
    assert bench.read(GONE) == "mine\n"


def test_a_window_takes_no_conflict_away_and_nothing_is_left_to_it() -> None:
    """Older windows cannot be undone: what a step gives up must not wait for that."""
    world = World({"/etc/x": text("Port 22\n")}, {"net.key": ValueItem("0")})
    one = world.apply("one", {"/etc/x": text("Port 1022\n"), "net.key": ValueItem("1")})
    with world.window() as window_id:
        world.edit({"/etc/x": text("Port 2022\n"), "net.key": ValueItem("2")})
    how = {d.delta.key: d.how for d in world.invert(one).decisions}
    assert how == {"/etc/x": "conflict", "net.key": "already"}
    world.undo(one, "keep-current")
    assert world.file("/etc/x") == "Port 2022\n"
    world.undo(window_id)
    assert world.file("/etc/x") == "Port 22\n"
    assert world.now["kernel"]["net.key"] == ValueItem("0")


@pytest.mark.parametrize("order", ["01", "10"])
def test_a_directory_goes_with_the_window_that_put_something_in_it(order: str) -> None:
    world = World({"/etc": directory()})
    one = world.apply("one", {"/etc/d": directory(), "/etc/d/a": text("a\n")})
    with world.window() as window_id:
        world.edit({"/etc/d/mine": text("mine\n")})
    for digit in order:
        world.undo((one, window_id)[int(digit)])
    assert set(world.now["files"]) == {"/etc"}


def in_order(bench: Bench, done: dict[str, str], order: str) -> None:
    first = done.pop("first")
    for one in order:
        assert bench.undo(done[one]).status == "committed"
    assert str(bench.fingerprint()) == first


def by_hand(bench: Bench, step: str, change: Callable[[], None]) -> str:
    """A transaction in which the host changes itself, as by a program a step runs."""
    tx = bench.begin(step)
    with tx.ours.at_work.noted(bench.host):
        change()
    return tx.commit().id


@pytest.mark.parametrize("order", ["".join(each) for each in itertools.permutations("usw")])
def test_a_directory_goes_with_whoever_first_put_something_in_it(bench: Bench, order: str) -> None:
    """A window did, in the directory of a step; a later step changed that file."""
    done = {"first": str(bench.fingerprint())}
    place = FileState(kind="dir", mode=0o755)
    done["u"] = by_hand(bench, "u", lambda: bench.host.put("/etc/d", place))
    with window(bench) as done["w"]:
        bench.host.write_file("/etc/d/a", b"one\ntwo\n")
    done["s"] = bench.apply("s", WriteFile(path="/etc/d/a", content=b"one\ntwo\nthree\n")).id
    in_order(bench, done, order)


@pytest.mark.parametrize("order", ["".join(each) for each in itertools.permutations("012")])
def test_a_directory_that_came_back_goes_with_whoever_filled_it(bench: Bench, order: str) -> None:
    done = {"first": str(bench.fingerprint())}
    place = FileState(kind="dir", mode=0o755)

    def take_away() -> None:
        bench.host.put("/etc/d/a", None)
        bench.host.put("/etc/d", None)

    done["0"] = by_hand(bench, "zero", lambda: bench.host.put("/etc/d", place))
    done["1"] = bench.apply("one", WriteFile(path="/etc/d/a", content=b"a\n")).id
    done["2"] = by_hand(bench, "two", take_away)
    in_order(bench, done, order)


def test_after_a_window_that_encloses_it_a_directory_goes_with_the_window(bench: Bench) -> None:
    """A step in it made the directory, the update put something there, later steps came."""
    done = {"first": str(bench.fingerprint())}
    place = FileState(kind="dir", mode=0o755)
    with window(bench) as done["w"]:
        done["t"] = by_hand(bench, "t", lambda: bench.host.put("/etc/d", place))
        bench.host.write_file("/etc/d/a", b"one\n")
    closed = msgspec.structs.replace(place, mode=0o700)
    done["m"] = by_hand(bench, "m", lambda: bench.host.put("/etc/d", closed))
    done["s"] = bench.apply("s", WriteFile(path="/etc/d/a", content=b"one\ntwo\n")).id
    in_order(bench, done, "tmsw")


def record(tx_id: str, kind: str = "apply") -> TransactionRecord:
    return msgspec.convert(
        {"id": tx_id, "kind": kind, "steps": [], "title": "", "status": "committed",
         "started": tx_id, "ended": f"{tx_id}9"},
        TransactionRecord,
    )  # fmt: skip


def upgraded_in_a_window(
    packaged: tuple[str, ...] = (), kept: Kept | None = None
) -> dict[str, tuple[Item | None, Item | None]]:
    """What the window says after the undo of the step that installed what was upgraded in it."""
    conf, old, new = "/etc/toy.conf", text("a\nb\n"), text("a\nb\nc\n")
    mine = [
        Delta("files", conf, None, old),
        Delta("packages", "toy", None, ValueItem("1;manual")),
    ]
    theirs = [
        Delta("files", conf, old, new),
        Delta("packages", "toy", ValueItem("1;manual"), ValueItem("2;manual")),
    ]
    later = Later(record("2", "window"), by_key(theirs))
    inversion = invert(
        record("1"), mine, [later],
        {"files": {conf: new}, "packages": {"toy": ValueItem("2;manual")}},
        Contents(lambda sha256: STORE[sha256]),
        kept=kept or Kept(), pristine=packaged, packaged=packaged,
    )  # fmt: skip
    assert not inversion.conflicts
    changed = only_changes(inversion.deltas_of(later))
    return {delta.key: (delta.before, delta.after) for delta in changed}


def test_what_was_upgraded_in_a_window_goes_as_a_whole() -> None:
    assert upgraded_in_a_window(packaged=("/etc/toy.conf",)) == {}


def test_a_package_that_one_of_the_window_needs_goes_with_the_window() -> None:
    kept = Kept(packages={"toy": "game"}, files={"/etc/toy.conf": "toy"}, heirs={"toy": "2"})
    assert upgraded_in_a_window(kept=kept) == {
        "/etc/toy.conf": (None, text("a\nb\nc\n")),
        "toy": (None, ValueItem("2;manual")),
    }


def test_a_package_that_another_needs_stays_as_the_window_found_it() -> None:
    kept = Kept(packages={"toy": "game"}, files={"/etc/toy.conf": "toy"})
    assert upgraded_in_a_window(kept=kept)["toy"] == (
        ValueItem("1;manual"),
        ValueItem("2;manual"),
    )


def test_of_what_a_window_does_not_capture_it_tells_nothing() -> None:
    inside = [
        Delta("files", "/var/lib/apache2/module", text("on\n"), None),
        Delta("files", "/srv/app/x", text("a\n"), text("b\n")),
        Delta("files", "/etc/x", None, text("b\n")),
        Delta("mariadb", "root@localhost", ValueItem("a"), None),
    ]
    roots = (Root("/srv/app", content=True),)
    assert [one.key for one in windows.told({}, {}, inside, roots)] == ["/etc/x", "/srv/app/x"]
