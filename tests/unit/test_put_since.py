"""What somebody put into a directory that came with packages stays, whichever way back it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from host.base import Completed, FileState, HostError
from host.practice import PracticeHost
from snapshots import history, objects, put_kept
from snapshots.bringing_back import bring_back
from snapshots.guard_switch import Switch
from snapshots.model import FileItem, Root, SnapshotError, TransactionRecord
from snapshots.progress import Silent
from snapshots.prune import prune
from snapshots.records import Records
from snapshots.recover import recover
from snapshots.transaction import Transaction
from tests.unit.snapshots_host import Bench, Waits, dies_in_the_middle
from tests.unit.test_mounted import put
from tests.unit.test_others_edits import waiting
from tests.unit.test_put_there import HOME, MINE, applied, brought, takes
from tests.unit.test_snapshots_meanwhile import DIRECTORY, Meanwhile, undone, write

STAYS = f"1 file came later and no package has it, so it may be yours and stays: {MINE}."
ALL = (MINE, f"{HOME}/own", HOME)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def kills() -> None:
    os.kill(os.getpid(), 9)


def scripts(bench: Bench, patch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> None:
    """What packages' own scripts, or whatever goes wrong, do each time something goes back."""

    def brings_back(*given: object, **named: object) -> object:
        done = bring_back(*given, **named)  # type: ignore[arg-type]
        for act in acts:
            act()
        return done

    patch.setattr("snapshots.going_back.bring_back", brings_back)


def dies(bench: Bench, work: Callable[[], object]) -> None:
    def works() -> None:
        work()

    dies_in_the_middle(bench, works)


def fails() -> None:
    raise HostError("a unit would not start")


def waits(bench: Bench) -> Transaction:
    """A change that brought a directory with something in it, into which somebody put a file."""
    tx = waiting(bench)
    brought(bench, tx)
    tx.perform(write("/etc/motd", "x\n"))
    assert tx.commit().status == "pending"
    put(bench.host, MINE)
    return tx


def back(bench: Bench) -> TransactionRecord:
    (ended,) = recover(bench.host, bench.state, Silent())
    return ended


def back_with(bench: Bench, *acts: Callable[[], object]) -> TransactionRecord:
    with pytest.MonkeyPatch.context() as patch:
        scripts(bench, patch, *acts)
        return back(bench)


def is_kept(bench: Bench, tx_id: str) -> bool:
    return (Records(bench.state).where(tx_id) / put_kept.NAME).exists()


def cut_off_undo(bench: Bench) -> None:
    """One that is killed once a package's script took all of its directory."""
    made = applied(bench)

    def act() -> None:
        takes(bench, *ALL)
        kills()

    dies(bench, lambda: undone(bench, made, Meanwhile("comparing with", act)))
    assert bench.host.state(HOME) is None


@pytest.mark.parametrize("first", ["fails", "is killed", "is killed after a script"])
def test_a_second_recover_of_an_undo_puts_back_what_a_script_took(bench: Bench, first: str) -> None:
    cut_off_undo(bench)
    if first == "fails":
        assert back_with(bench, lambda: takes(bench, MINE), fails).status == "needs-person"
    elif first == "is killed":
        dies(bench, lambda: back_with(bench, kills))
    else:
        dies(bench, lambda: back_with(bench, lambda: takes(bench, MINE), kills))
    ended = back(bench)
    assert (ended.status, bench.read(MINE)) == ("rolled-back", "x")
    assert not is_kept(bench, ended.id)


def test_an_undo_that_waits_has_put_it_back_and_goes_back_twice(bench: Bench) -> None:
    made = applied(bench)
    waits_for = bench.undo(made, prove=lambda: takes(bench, *ALL), switch=cast(Switch, Waits()))
    assert (waits_for.status, waits_for.reason, bench.read(MINE)) == ("pending", STAYS, "x")
    assert back_with(bench, fails).status == "needs-person"
    assert (back(bench).status, bench.read(MINE)) == ("rolled-back", "x")


def test_a_waiting_change_names_it_once_and_truly(bench: Bench) -> None:
    tx = waits(bench)
    ended = back(bench)
    assert ended.reason == f"It was taken back before anybody confirmed it. {STAYS}"
    assert bench.host.listdir(HOME) == ["my_check.sh"]
    assert not is_kept(bench, tx.id)


def test_what_came_between_two_attempts_stays_too(bench: Bench) -> None:
    waits(bench)
    assert back_with(bench, fails).status == "needs-person"
    put(bench.host, f"{HOME}/second")
    ended = back(bench)
    assert ended.status == "rolled-back"
    assert "2 files came later" in ended.reason and "was cut off" not in ended.reason
    assert bench.host.listdir(HOME) == ["my_check.sh", "second"]


def test_after_a_killed_attempt_what_packages_brought_is_nobodys(bench: Bench) -> None:
    waits(bench)
    dies(bench, lambda: back_with(bench, kills))
    assert back(bench).reason.endswith(STAYS)
    assert bench.host.listdir(HOME) == ["my_check.sh"]


@pytest.mark.parametrize("room", [True, False])
def test_a_script_takes_nothing_for_good_where_a_waiting_change_goes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, room: bool
) -> None:
    waits(bench)
    bench.host.put(MINE, FileState(kind="file", mode=0o640, uid=1000), b"precious")
    if not room:
        monkeypatch.setattr(objects, "_write", full)
        monkeypatch.setattr(put_kept, "write_durably", full)
    ended = back_with(bench, lambda: takes(bench, *ALL))
    assert (ended.status, bench.read(MINE)) == ("rolled-back", "precious")
    mine = bench.host.state(MINE)
    assert mine is not None and (mine.mode, mine.uid) == (0o640, 1000)
    assert ended.reason.endswith(STAYS)


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_script_takes_nothing_over_a_killed_attempt(bench: Bench) -> None:
    waits(bench)
    dies(bench, lambda: back_with(bench, lambda: takes(bench, *ALL), kills))
    assert bench.host.state(HOME) is None
    ended = back(bench)
    assert (ended.status, bench.read(MINE)) == ("rolled-back", "x")
    assert ended.reason.endswith(STAYS)


def test_what_is_too_large_is_named_when_it_is_gone_also_at_a_second_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_kept, "KEPT_BYTES", 0)
    waits(bench)
    lost = f"{MINE} was removed by its package's own script; it was too large to be kept"
    first = back_with(bench, lambda: takes(bench, *ALL), fails)
    assert first.status == "needs-person" and lost in first.reason
    ended = back(bench)
    assert ended.status == "rolled-back" and ended.reason.count(lost) == 1


def test_what_cannot_be_put_back_is_named_with_its_place_and_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx = waits(bench)
    real = PracticeHost.put

    def refuses(host: PracticeHost, path: str, *given: object, **how: object) -> None:
        if path == MINE and given[0] is not None:
            raise HostError(f"{path} could not be restored: No space left on device")
        real(host, path, *given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(PracticeHost, "put", refuses)
    ended = back_with(bench, lambda: takes(bench, *ALL))
    assert ended.status == "rolled-back"
    assert (
        f"{MINE} was removed by its package's own script; it could not be put back ({MINE} could "
        "not be restored: No space left on device), but what it held is kept in "
    ) in ended.reason
    item = put_kept.listed(Records(bench.state), tx.id)[MINE]
    assert isinstance(item, FileItem)
    place = objects.ObjectStore(bench.state.objects).where(item.state.sha256)
    assert f"what it held is kept in {place}." in ended.reason
    prune(bench.state, 30)
    assert place.read_bytes() == b"x" and list(history.verify(bench.state)) == []
    place.unlink()
    assert any(MINE in said for said in history.verify(bench.state))
    bench.apply("other", write("/etc/b", "x\n"))
    prune(bench.state, -1)
    assert not is_kept(bench, tx.id)


def test_a_damaged_list_stops_no_way_back_and_is_named(bench: Bench) -> None:
    cut_off_undo(bench)
    undo_id = Records(bench.state).ids()[-1]
    path = Records(bench.state).where(undo_id) / put_kept.NAME
    path.write_bytes(path.read_bytes()[:-10])
    assert any(str(path) in said for said in history.verify(bench.state))
    ended = back(bench)
    assert ended.status == "rolled-back" and f"{path} cannot be read" in ended.reason
    with pytest.raises(SnapshotError, match=r"put-there\.jsonl cannot be read"):
        prune(bench.state, 30)  # what it names is kept until it can be read, or is moved away


def killed_change(bench: Bench) -> None:
    """One that was killed after packages had come, and what it wrote after them."""

    def work() -> None:
        tx = bench.begin("s")
        brought(bench, tx)
        put_kept.note_brought(Records(bench.state), tx.id, [HOME, f"{HOME}/own"])
        put(bench.host, f"{HOME}/made-by-a-program")
        tx.perform(write("/etc/motd", "x\n"))

    dies_in_the_middle(bench, work)


def test_after_a_killed_change_what_came_since_stays(bench: Bench) -> None:
    killed_change(bench)
    put(bench.host, MINE)
    ended = back(bench)
    assert ended.status == "rolled-back" and ended.reason.endswith(STAYS)
    assert bench.host.listdir(HOME) == ["my_check.sh"]


def test_a_change_that_fails_takes_its_own_along_and_leaves_a_persons(bench: Bench) -> None:
    tx = bench.begin("s")
    brought(bench, tx)
    put_kept.note_brought(Records(bench.state), tx.id, [HOME, f"{HOME}/own"])
    put(bench.host, f"{HOME}/made-by-a-program")
    put(bench.host, MINE)
    bench.host.put(MINE, FileState(kind="file", mode=0o640, uid=1000), b"x")
    ended = tx.roll_back("it failed")
    assert (ended.status, ended.reason) == ("rolled-back", f"it failed. {STAYS}")
    assert bench.host.listdir(HOME) == ["my_check.sh"]


def test_where_dpkg_does_not_answer_it_goes_back_and_all_that_may_be_somebodys_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(bench)
    real = PracticeHost.run

    def run(host: PracticeHost, argv: tuple[str, ...], **how: object) -> Completed:
        if tuple(argv[:2]) == ("dpkg-query", "-S"):
            raise HostError("`dpkg-query` took too long")
        return real(host, argv, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(PracticeHost, "run", run)
    ended = back(bench)
    assert ended.status == "rolled-back" and ended.reason.endswith(STAYS)
    assert bench.read(MINE) == "x"


def of_a_person(bench: Bench) -> None:
    bench.host.put(MINE, FileState(kind="file", mode=0o640, uid=1000), b"x")


def test_what_a_person_puts_there_while_it_goes_back_stays(bench: Bench) -> None:
    waits(bench)
    takes(bench, MINE)
    ended = back_with(bench, lambda: of_a_person(bench), lambda: put(bench.host, f"{HOME}/script"))
    assert ended.status == "rolled-back" and ended.reason.endswith(STAYS)
    assert bench.host.listdir(HOME) == ["my_check.sh"]


def test_what_a_person_puts_there_while_it_is_undone_stays(bench: Bench) -> None:
    made = applied(bench)
    takes(bench, MINE)
    ended = bench.undo(made, prove=lambda: of_a_person(bench))
    assert (ended.status, ended.reason) == ("committed", STAYS)
    assert bench.host.listdir(HOME) == ["my_check.sh"]


def test_what_came_after_packages_were_cut_off_is_kept_and_named_once(bench: Bench) -> None:
    killed_change(bench)
    tx_id = Records(bench.state).ids()[-1]
    of_a_person(bench)
    Records(bench.state).journal(tx_id, "stayed", "by hand", path=MINE)
    dies(bench, lambda: back_with(bench, lambda: takes(bench, MINE), kills))
    assert bench.host.state(MINE) is None
    ended = back(bench)
    assert (ended.status, bench.read(MINE)) == ("rolled-back", "x")
    assert ended.reason.count(MINE) == 1 and "before it was cut off" in ended.reason


@pytest.mark.parametrize("theirs", [True, False])
def test_a_tree_that_a_script_took_is_not_said_to_stay(bench: Bench, theirs: bool) -> None:
    for path in ("/var", "/var/lib"):
        bench.host.put(path, DIRECTORY)
    tx = bench.begin("s", roots=(Root(HOME),))
    brought(bench, tx)
    if theirs:
        of_a_person(bench)
    with pytest.MonkeyPatch.context() as patch:
        scripts(bench, patch, lambda: takes(bench, *(ALL if theirs else ALL[1:])))
        ended = tx.roll_back("it failed")
    assert ended.status == "rolled-back"
    assert ended.reason == (f"it failed. {STAYS}" if theirs else "it failed")
    assert (bench.host.state(HOME) is not None) == theirs
