"""A guard that is over, completely or not: nothing joins it, and `recover` ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots import guard as guards
from snapshots import opening
from snapshots.guard_switch import Switch
from snapshots.model import SnapshotError, TransactionRecord, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from steps import guarding
from steps.apply import interrupted
from tests.unit.snapshots_host import Bench
from tests.unit.test_recovery_words import an_engine

MOTD = WriteFile(path="/etc/motd", content=b"changed\n")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was set waiting: no process of a guard waits beside the tests."""
    found: list[str] = []
    monkeypatch.setattr(Switch, "_start", lambda switch: found.append("started"))
    return found


@pytest.fixture
def bench(tmp_path: Path, started: list[str]) -> Bench:
    return Bench(tmp_path)


def switch(bench: Bench) -> Switch:
    return Switch(bench.host, bench.state, program=(), window_s=300, user="tester")


def guarded(bench: Bench, step: str, by: Switch) -> TransactionRecord:
    """Made, and waiting."""
    tx = opening.begin(
        bench.host, bench.state, steps=(step,), title=step, user="tester", progress=Silent(),
        switch=by,
    )  # fmt: skip
    tx.perform(MOTD)
    return tx.commit()


def alter(bench: Bench, record: TransactionRecord) -> Callable[[], object]:
    """Its journal; until what is returned was called it cannot be taken back completely."""
    path = Records(bench.state).where(record.id) / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b"change", b"chance", 1))
    return lambda: path.write_bytes(path.read_bytes().replace(b"chance", b"change", 1))


def put_back_by_script(bench: Bench) -> None:
    """As `guard.sh` leaves it."""
    place = guards.directory(bench.state)
    (place / "by-script").touch()
    (place / "armed").unlink()


def test_nothing_joins_what_was_put_back_by_script(bench: Bench, started: list[str]) -> None:
    by = switch(bench)
    record = guarded(bench, "ssh.forwarding", by)
    by.wait()
    mend = alter(bench, record)
    assert [r.status for r in recover(bench.host, bench.state, Silent())] == ["needs-person"]
    engine = an_engine(bench)
    exit_status, said = guarding.confirm(engine, without_login=True)
    assert exit_status == 3 and "ssh.forwarding could not be taken back completely" in said
    assert "Run `harden-tui recover` to try it again" in interrupted(engine)
    assert guards.deadline_s(bench.state) <= guards.boottime_s()  # the script need not wait
    put_back_by_script(bench)
    for why in (interrupted(engine), engine.apply(["ssh.limits"]).summary):
        assert "restore.sh. Run `harden-tui recover` to complete it. Nothing was changed" in why
    with pytest.raises(SnapshotError, match="Nothing was changed now"):
        guarded(bench, "ssh.limits", switch(bench))
    with pytest.raises(SnapshotError, match="Nothing was changed now"):
        switch(bench).arm(record)
    assert len(started) == 1
    # The script has done what it can, so the record alone says what is left.
    assert [r.status for r in recover(bench.host, bench.state, Silent())] == ["needs-person"]
    assert guards.read(bench.state) is None and interrupted(engine) == ""
    second = guarded(bench, "ssh.limits", switch(bench))
    guard = guards.read(bench.state)
    assert guard is not None and guard.transactions == (second.id,)
    assert guards.is_armed(bench.state) and len(started) == 2
    # What cannot be taken back keeps neither the later change nor its switch.
    ended = {r.id: r.status for r in recover(bench.host, bench.state, Silent())}
    assert ended == {record.id: "needs-person", second.id: "rolled-back"}
    assert guards.read(bench.state) is None
    mend()
    assert [r.status for r in recover(bench.host, bench.state, Silent())] == ["rolled-back"]


def test_a_guard_that_is_off_is_begun_anew(bench: Bench, started: list[str]) -> None:
    """Whoever switched it off was killed before it took the rest away."""
    guarded(bench, "ssh.forwarding", switch(bench))
    guard = guards.read(bench.state)
    assert guard is not None
    recover(bench.host, bench.state, Silent())
    guards.write(bench.state, guard)
    later = guarded(bench, "ssh.limits", switch(bench))
    now = guards.read(bench.state)
    assert now is not None and now.transactions == (later.id,)
    assert guards.is_armed(bench.state) and started == ["started", "started"]


def test_what_failed_on_the_way_is_not_named_any_more(bench: Bench) -> None:
    by = switch(bench)
    guarded(bench, "ssh.limits", by)
    tx = opening.begin(
        bench.host, bench.state, steps=("firewall.ufw",), title="x", user="tester",
        progress=Silent(), switch=by,
    )  # fmt: skip
    tx.roll_back("It failed.")
    guard = guards.read(bench.state)
    assert guard is not None and guard.called == guard.steps == ("ssh.limits",)


def test_an_undo_is_called_one(bench: Bench) -> None:
    record = bench.apply("ssh.limits", MOTD)
    bench.undo(record.id, switch=switch(bench))
    engine = an_engine(bench)
    guard = guarding.standing(engine)
    assert guard is not None and guard.steps == ("ssh.limits",)
    assert guarding.event(engine, guard, "waiting").step == "undo of ssh.limits"
    assert guards.waiting(bench.state).startswith("undo of ssh.limits waits for your confirmation")
    exit_status, said = guarding.confirm(engine, without_login=True)
    assert (exit_status, said) == (0, "undo of ssh.limits is kept, without a new login.")
