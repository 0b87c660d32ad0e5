"""Whatever is pruned: what is in force can still be undone, and ends at the first state."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots import history, intact, twins
from snapshots.model import RemoveFile, SnapshotError, WriteFile
from snapshots.records import Records
from tests.unit.snapshots_host import Bench

PATHS = ("/etc/motd", "/etc/hostname", "/etc/sysctl.conf", "/etc/relay.password")
SECRET = PATHS[-1]

APPLY = st.tuples(st.just("apply"), st.sampled_from(PATHS), st.integers(0, 3))
REMOVE = st.tuples(st.just("remove"), st.sampled_from(PATHS[:3]), st.just(0))
UNDO = st.tuples(st.just("undo"), st.just(""), st.integers(0, 9))
AGE = st.tuples(st.just("age"), st.just(""), st.integers(0, 9))
PRUNE = st.tuples(st.just("prune"), st.just(""), st.integers(1, 60))


def in_force(bench: Bench) -> list[str]:
    return [
        record.id
        for record in history.transactions(bench.state)
        if (record.kind, record.status) == ("apply", "committed")
    ]


def act(bench: Bench, number: int, what: str, path: str, value: int) -> None:
    records = Records(bench.state)
    standing = in_force(bench)
    if what == "apply":
        content = f"{number} {value}\n".encode() * (value + 1)
        secret = path == SECRET
        bench.apply(f"s{number}", WriteFile(path=path, content=content, secret=secret))
    elif what == "remove":
        if bench.host.state(path) is not None:
            bench.apply(f"s{number}", RemoveFile(path))
    elif what == "undo" and standing:
        # The latest: an earlier one may conflict, which is another test's subject.
        bench.undo(standing[-1])
    elif what == "age" and records.ids():
        record = records.read(records.ids()[value % len(records.ids())])
        old = (datetime.now(UTC) - timedelta(days=100)).isoformat()
        records.write(msgspec.structs.replace(record, started=old, ended=old))
    elif what == "prune":
        history.prune(bench.state, value)
        assert history.verify(bench.state) == []
        assert all(one.can_be_undone for one in intact.standing(bench.state, practice=True))


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(APPLY, REMOVE, UNDO, AGE, PRUNE), min_size=3, max_size=10))
def test_after_any_prune_everything_in_force_still_undoes(
    actions: list[tuple[str, str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        first = bench.fingerprint()
        for number, (what, path, value) in enumerate(actions):
            act(bench, number, what, path, value)
        for record in history.transactions(bench.state):
            old = "2020-01-01T00:00:00+00:00"
            Records(bench.state).write(msgspec.structs.replace(record, started=old, ended=old))
        history.prune(bench.state, 1)
        for tx_id in reversed(in_force(bench)):
            assert bench.undo(tx_id).status == "committed"
            history.prune(bench.state, 1)
        assert bench.fingerprint() == first
        assert history.verify(bench.state) == []


def test_what_needs_a_lost_record_is_not_pruned(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.host.write_file("/etc/motd", b"precious\n")
    made = bench.apply("one", WriteFile(path="/etc/motd", content=b"new\n")).id
    bench.apply("two", WriteFile(path="/etc/hostname", content=b"new\n"))
    records = Records(bench.state)
    record = records.read(made)
    twins.remove(records.record_path(made))
    for attempt in (history.going, history.prune):
        with pytest.raises(SnapshotError, match=rf"{made}/record.json and its copy are gone"):
            attempt(bench.state, 365)
    records.write(record)
    assert history.prune(bench.state, 365) == []
    assert bench.undo(made).status == "committed"
    assert bench.read("/etc/motd") == "precious\n"


def test_what_a_prune_refuses_is_not_said_to_go_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.undo(bench.apply("one", WriteFile(path="/etc/motd", content=b"a\n")).id)
    standing = bench.apply("two", WriteFile(path="/etc/hostname", content=b"new\n")).id
    damaged = Records(bench.state).where(standing) / "delta.jsonl"
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b"before", b"befora"))
    for attempt in (history.going, history.prune):
        with pytest.raises(SnapshotError, match=r"delta\.jsonl"):
            attempt(bench.state, -1)
    damaged.write_bytes(content)
    gone = {record.id for record in history.going(bench.state, -1)}
    assert gone == {name.rpartition(".")[0] for name in history.prune(bench.state, -1)}
