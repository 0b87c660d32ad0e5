"""What programs of packages made is there again where an undo that purged these goes back."""

from __future__ import annotations

import os
import time
from collections.abc import Container
from pathlib import Path
from typing import cast

import pytest

from host.base import FileState, HostError
from snapshots import in_reach, put_kept
from snapshots.data_back import DataBack
from snapshots.guard_switch import Switch
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, Waits, dies_in_the_middle
from tests.unit.test_mounted import put
from tests.unit.test_put_there import HOME, MINE, applied, takes

OWN = f"{HOME}/own"
ALL = (MINE, OWN, HOME)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A practice host on which packages go with the undo."""
    monkeypatch.setattr(in_reach, "going_with", lambda inversion: {"nagios"})
    monkeypatch.setattr(DataBack, "_went", lambda self: True)
    return Bench(tmp_path)


def is_kept(bench: Bench) -> bool:
    records = Records(bench.state)
    return any((records.where(one) / put_kept.DATA).exists() for one in records.ids())


def failing(bench: Bench, write: bytes = b"") -> str:
    """Why an undo was rolled back that failed after scripts took all."""
    made = applied(bench)
    bench.host.put(OWN, FileState(kind="file", mode=0o600, uid=105), b"a year")

    def fails() -> None:
        takes(bench, *ALL)
        if write:
            bench.host.put(HOME, FileState(kind="dir"))
            bench.host.put(OWN, FileState(kind="file"), write)
        raise HostError("it does not hold")

    ended = bench.undo(made, prove=fails)
    assert ended.status == "rolled-back"
    return ended.reason


def test_it_is_put_back_where_an_undo_fails(bench: Bench) -> None:
    assert failing(bench) == "it does not hold"
    own = bench.host.state(OWN)
    assert own is not None and (own.mode, own.uid, bench.read(OWN)) == (0o600, 105, "a year")
    assert bench.read(MINE) == "x" and not is_kept(bench)


def test_owner_and_mode_come_back_with_what_was_made_anew(bench: Bench) -> None:
    made = applied(bench)
    bench.host.put(HOME, FileState(kind="dir", mode=0o700, uid=33))

    def fails() -> None:
        bench.host.put(HOME, FileState(kind="dir", mode=0o755))
        bench.host.put(OWN, FileState(kind="file", mode=0o666, uid=7))
        raise HostError("it does not hold")

    before = {path: bench.host.state(path) for path in (HOME, OWN)}
    assert bench.undo(made, prove=fails).status == "rolled-back"
    for path, state in before.items():
        now = bench.host.state(path)
        assert now is not None and now.same_as(state), path


@pytest.mark.parametrize("is_gone", [True, False])
def test_at_a_later_time_only_with_what_was_gone_by_then(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    """Somebody may have closed what is there."""
    made = applied(bench)
    bench.host.put(OWN, FileState(kind="file", mode=0o600, uid=105), b"a year")

    def comes(mode: int) -> None:
        bench.host.put(OWN, FileState(kind="file", mode=mode), b"a year")

    undone = bench.undo(made, prove=lambda: takes(bench, *ALL), switch=cast(Switch, Waits()))
    assert undone.status == "pending"
    if not is_gone:
        comes(0o640)
    put_back = DataBack.put_back

    def with_the_package(self: DataBack, others: Container[str]) -> None:
        comes(0o644 if is_gone else 0o640)
        put_back(self, others)

    monkeypatch.setattr(DataBack, "put_back", with_the_package)
    (ended,) = recover(bench.host, bench.state, Silent())
    now = bench.host.state(OWN)
    assert ended.status == "rolled-back" and now is not None
    assert (now.mode, now.uid) == ((0o600, 105) if is_gone else (0o640, 0))


def test_what_was_made_anew_is_named_with_what_it_held(bench: Bench) -> None:
    reason = failing(bench, b"new")
    said = f"Made anew when the packages came back, and not as before: {OWN} (what it held: "
    assert said in reason and is_kept(bench)
    assert Path(reason.partition(said)[2].partition(")")[0]).read_bytes() == b"a year"
    assert bench.read(OWN) == "new"


def test_what_was_too_large_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(put_kept, "KEPT_BYTES", 2)
    assert failing(bench) == (
        f"it does not hold. {OWN} was removed by its package's own script; it was too large to be "
        "kept, or one of too many."
    )


def test_what_would_lie_beside_data_made_anew_is_not_put_back(bench: Bench) -> None:
    """Segments of a log that is numbered, for example: the two make none."""
    made = applied(bench)
    bench.host.put(OWN, FileState(kind="file", uid=105), b"a year")

    def fails() -> None:
        takes(bench, *ALL)
        bench.host.put(HOME, FileState(kind="dir"))
        bench.host.put(f"{HOME}/0", FileState(kind="file", uid=105), b"new")
        raise HostError("it does not hold")

    reason = bench.undo(made, prove=fails).reason
    assert f"Not put back, as a package made new data beside it: {OWN} (what it held: " in reason
    assert bench.host.listdir(HOME) == ["0", "my_check.sh"] and is_kept(bench)


def test_a_damaged_list_of_differences_loses_no_data(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(in_reach, "going_with", lambda inversion: {"nagios"})

    def damaged(*given: object) -> None:
        raise HostError("it is damaged")

    made = applied(bench)

    def fails() -> None:
        takes(bench, *ALL)
        monkeypatch.setattr(Records, "each_delta", damaged)
        raise HostError("it does not hold")

    assert bench.undo(made, prove=fails).status == "rolled-back"
    assert bench.read(OWN) == "x"


def test_it_is_kept_until_nothing_goes_back_any_more(bench: Bench) -> None:
    made = applied(bench)
    undone = bench.undo(made, prove=lambda: takes(bench, *ALL), switch=cast(Switch, Waits()))
    assert undone.status == "pending" and is_kept(bench)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert (ended.status, bench.read(OWN)) == ("rolled-back", "x")
    assert not is_kept(bench)
    assert bench.undo(made).status == "committed"
    assert not is_kept(bench) and bench.host.state(OWN) is None


def test_a_crash_loses_nothing_of_it(bench: Bench) -> None:
    made = applied(bench)

    def kill() -> None:
        takes(bench, *ALL)
        os.kill(os.getpid(), 9)

    def crash() -> None:
        bench.undo(made, prove=kill)

    dies_in_the_middle(bench, crash)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert (ended.status, bench.read(OWN), bench.read(MINE)) == ("rolled-back", "x", "x")


def test_what_a_program_removed_itself_stays_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DataBack, "_went", lambda self: False)
    assert failing(bench) == "it does not hold"
    assert bench.host.state(OWN) is None


def test_data_in_a_directory_that_was_there_before_is_put_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, data = "/var/lib/old/theirs", "/var/lib/old/data"
    put(bench.host, "/var/lib/dpkg/info/nagios.postrm")
    bench.host.write_file("/var/lib/dpkg/info/nagios.postrm", b"rm -rf /var/lib/old")
    put(bench.host, old)
    bench.host.put(old, FileState(kind="file", uid=105), b"before")
    made = applied(bench)
    bench.host.put(data, FileState(kind="file"), b"a year")
    later = time.time() + 60  # what is put back is younger than the undo, too
    monkeypatch.setattr(in_reach, "put_there", lambda *given: {})
    monkeypatch.setattr(
        in_reach, "born_s", lambda host, paths: dict.fromkeys({*paths} - {old}, later)
    )

    def fails() -> None:
        takes(bench, old, data, "/var/lib/old")
        raise HostError("it does not hold")

    assert bench.undo(made, prove=fails).reason == "it does not hold"
    assert (bench.read(old), bench.read(data)) == ("before", "a year")


def test_what_an_undo_put_back_itself_is_no_new_data(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = f"{HOME}/theirs"
    made = applied(bench)
    bench.host.put(theirs, FileState(kind="file", uid=1000), b"mine")
    ended = bench.undo(made, prove=lambda: takes(bench, theirs, *ALL), switch=cast(Switch, Waits()))
    assert ended.status == "pending" and bench.read(theirs) == "mine"
    bench.host.put(theirs, FileState(kind="file", uid=105), b"mine")  # as if a daemon's
    (ended,) = recover(bench.host, bench.state, Silent())
    assert (ended.status, ended.reason) == ("rolled-back", ended.reason.partition("Not put")[0])
    assert bench.read(OWN) == "x"
