"""What recover says of work that was cut off: before, after, or not begun; and what it sweeps."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from host.base import FileState
from snapshots import guard, history, opening, others, twins, undo
from snapshots.model import SnapshotError, TransactionStatus, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records, last_id
from snapshots.sessionlog import SessionLog
from snapshots.sweep import sweep
from steps import recovery, rollback
from steps.catalog_load import load_catalogue
from steps.engine import Engine
from steps.recovery import NOTHING, SWITCHED_OFF, CutOff, recover
from steps.sshd_merged import COPIES
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_package_lock import ended_pid

CHANGE = WriteFile(path="/etc/ssh/sshd_config.d/00-test.conf", content=b"MaxAuthTries 3\n")


def an_engine(bench: Bench) -> Engine:
    catalogue = load_catalogue(bench.host)
    log = SessionLog(bench.state.log_dir, syslog=False)
    return Engine(
        bench.host, bench.state, catalogue, catalogue.checklist("i-doit"), {}, lambda event: None,
        log=log, user="admin",
    )  # fmt: skip


def cut_off(command: str, *steps: str) -> CutOff:
    return CutOff(command, steps, os.getpid(), "2000-01-01T00:00:00.000Z")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_had_not_begun_is_in_the_state_before(bench: Bench) -> None:
    engine = an_engine(bench)
    assert recover(engine) == (0, NOTHING, [])
    _, said, _ = recover(engine, [cut_off("apply", "ssh.limits")])
    assert said == "Nothing of ssh.limits had begun: the host is in the state before it."
    _, said, _ = recover(engine, [cut_off("rollback", "ssh.limits")])
    assert "Nothing of the undo of ssh.limits had begun" in said


def test_what_was_complete_is_in_the_state_after(bench: Bench) -> None:
    record = bench.apply("ssh.limits", CHANGE)
    engine = an_engine(bench)
    _, said, closed = recover(engine, [cut_off("apply", "ssh.limits")])
    assert said.startswith("ssh.limits was complete before the interruption and is kept")
    assert "the state after it" in said and closed == []
    bench.undo(record.id)
    _, said, _ = recover(engine, [cut_off("rollback", "ssh.limits")])
    assert "the undo of ssh.limits was complete" in said


def test_what_was_in_the_middle_is_in_the_state_before(bench: Bench) -> None:
    def change() -> None:
        bench.begin("ssh.limits").perform(CHANGE)

    dies_in_the_middle(bench, change)
    engine = an_engine(bench)
    _, said, closed = recover(engine, [])
    assert said == "Brought back to the state before: ssh.limits."
    assert len(closed) == 1
    # That recovery may have been cut off itself, before it could say so.
    _, said, closed = recover(engine, [cut_off("recover")])
    assert said.startswith("ssh.limits had been brought back before the interruption")
    assert "the state before it" in said and closed == []


def test_all_that_a_transaction_says_of_its_way_back_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Services that were started again, what stays with what came into it, notes."""
    bench.begin("ssh.limits").perform(CHANGE)
    words = "third.service had stopped meanwhile and was started again."
    monkeypatch.setattr(others, "started_again", lambda _: words)
    _, said, _ = recover(an_engine(bench), [])
    why = f"It was interrupted (process {os.getpid()} ended before it did)."
    assert said == f"Brought back to the state before: ssh.limits. {why} {words}"


def test_what_went_back_is_said_beside_what_did_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: tuple[tuple[TransactionStatus, str], ...] = (
        ("rolled-back", "It went back. /etc/a stays."),
        ("needs-person", "Going back failed too: why."),
    )
    made = [
        msgspec.structs.replace(bench.apply(step, CHANGE), status=status, reason=reason)
        for step, (status, reason) in zip(("one", "two"), ends, strict=True)
    ]
    monkeypatch.setattr(recovery, "roll_back_open", lambda *_: made)
    _, said, _ = recover(an_engine(bench), [])
    assert said == (
        "Not everything could be brought back: two: Going back failed too: why."
        " It went back. /etc/a stays."
    )


def test_what_a_crash_left_is_swept_and_what_is_needed_stays(bench: Bench) -> None:
    record = bench.apply("one", CHANGE)
    left = f"{ended_pid()}-0123abcd"
    for path in (
        bench.state.transactions / record.id / f".record.json.{left}",
        bench.state.path / f".secret-paths.json.{left}",
        bench.state.points / f".{record.id}.after.{left}" / "manifest.json",
        bench.state.transactions / "20200101T000000.000000Z-aaaaaa" / f".record.json.{left}",
        bench.state.points / "20200101T000000.000000Z-aaaaaa.before" / "manifest.json",
        bench.state.debs / ".half.deb",
        bench.state.path / "reserve",
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    whole = sorted(bench.state.path.rglob("*"))
    sweep(bench.state)
    gone = {str(path.relative_to(bench.state.path)) for path in whole if not path.exists()}
    assert len(gone) == 10, gone  # seven, and the three folders made for them
    assert history.verify(bench.state) == []
    assert bench.undo(record.id).status == "committed"


def test_what_a_rehearsal_could_not_take_away_goes_with_a_recovery(bench: Bench) -> None:
    """A disk that failed once: the rehearsal was refused and nothing was open, its copy stayed."""
    left = f"{COPIES}{ended_pid()}-00000000"
    bench.host.put(left, FileState(kind="dir", mode=0o700))
    bench.host.write_file(f"{left}/0.conf", b"Port 22\n")
    assert recover(an_engine(bench)) == (0, NOTHING, [])
    assert bench.host.state(left) is None


@pytest.mark.parametrize("waiting", [True, False])
def test_a_guard_that_cannot_be_read_is_not_confirmed(bench: Bench, waiting: bool) -> None:
    before = bench.fingerprint()
    if waiting:
        record = bench.apply("ssh.limits", CHANGE)
        records = Records(bench.state)
        records.write(msgspec.structs.replace(records.read(record.id), status="pending"))
    place = guard.directory(bench.state)
    place.mkdir(mode=0o700)
    (place / "guard.json").write_bytes(b"\0" * 40)
    (place / "armed").touch()
    assert history.verify(bench.state) == [f"{place / 'guard.json'} was altered on the disk."]
    with pytest.raises(SnapshotError, match="`harden-tui recover` takes back what is not"):
        bench.begin("other")
    status, said, _ = recover(an_engine(bench))
    assert status == 0 and SWITCHED_OFF in said
    assert ("Brought back to the state before: ssh.limits." in said) is waiting
    assert bench.fingerprint() == before and not place.exists()
    bench.begin("other").commit()


def test_what_was_made_counts_also_where_the_clock_was_set_back(bench: Bench) -> None:
    bench.apply("before", CHANGE)
    last = last_id(bench.state.transactions)
    record = bench.apply("ssh.limits", msgspec.structs.replace(CHANGE, content=b"x\n"))
    work = CutOff("apply", ("ssh.limits",), os.getpid(), "2999-01-01T00:00:00.000Z", last)
    assert recover(an_engine(bench), [work])[1] == (
        "ssh.limits was complete before the interruption and is kept: the host is in the state"
        " after it."
    )
    later = msgspec.structs.replace(work, last=record.id, started="2000-01-01T00:00:00.000Z")
    assert "Nothing of ssh.limits had begun" in recover(an_engine(bench), [later])[1]


def test_a_transaction_whose_record_was_lost_is_damage_and_not_swept(bench: Bench) -> None:
    record = bench.apply("one", CHANGE)
    twins.remove(Records(bench.state).record_path(record.id))
    sweep(bench.state)
    assert (bench.state.transactions / record.id / "delta.jsonl").exists()
    assert (bench.state.points / f"{record.id}.before").is_dir()
    assert any(record.id in problem for problem in history.verify(bench.state))


def test_a_restore_point_is_there_whole_or_not_at_all(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        monkeypatch.setattr("snapshots.points.sync_files", lambda paths: os._exit(9))
        opening.begin(bench.host, bench.state, steps=("a",), title="a", user="x", progress=Silent())

    dies_in_the_middle(bench, die)
    assert history.verify(bench.state) == []


def test_what_another_session_undid_since_a_preview_is_refused_by_its_name(bench: Bench) -> None:
    record = bench.apply("a", WriteFile(path="/etc/motd", content=b"x\n"))
    shown = undo.plan_undo(bench.host, bench.state, record.id).fingerprint
    bench.undo(record.id)
    exit_status, said, _ = rollback.rollback(an_engine(bench), [record.id], False, shown)
    assert exit_status == 3
    assert said.startswith("a was undone since this preview, in another session; nothing was")
