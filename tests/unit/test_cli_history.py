"""`history` on a state directory with a past: what is told, and what is let go of."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from snapshots import guard as guards
from snapshots.guard import Guard
from snapshots.model import TransactionStatus, WriteFile
from snapshots.records import Records
from tests.unit.snapshots_host import Bench
from tui import runs
from tui.entry import main

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def told(bench: Bench, capfd: pytest.CaptureFixture[str]) -> Told:
    """Run `history …`: (exit status, standard output, standard error)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        state = ("--practice", "--state-dir", str(bench.state.path))
        exit_status = main([*state, "history", *arguments])
        shown = capfd.readouterr()
        return exit_status, shown.out, shown.err

    return call


def write(content: str) -> WriteFile:
    return WriteFile(path="/etc/motd", content=content.encode())


def one_undone_below_another(bench: Bench) -> str:
    """The other answers for both then."""
    one = bench.apply("one", write("a\n"))
    two = bench.apply("two", write("a\nb\n"))
    bench.undo(one.id)
    return two.id


def age(bench: Bench) -> None:
    records = Records(bench.state)
    for record in records.all():
        old = "2020-01-01T00:00:00+00:00"
        records.write(msgspec.structs.replace(record, started=old, ended=old))


def test_nothing_is_pruned_while_a_change_waits_for_its_confirmation(
    bench: Bench, told: Told
) -> None:
    one = bench.apply("one", write("a\n"))
    age(bench)
    bench.guarded_undo(one.id)
    exit_status, out, err = told("prune", "--keep-days", "1", "--yes")
    assert (exit_status, out) == (3, "")
    assert "never confirmed" in err


def test_what_was_left_to_a_step_is_told_apart_from_what_it_did(bench: Bench, told: Told) -> None:
    tx_id = one_undone_below_another(bench)
    exit_status, out, _ = told("show", tx_id)
    did, heading, since = out.partition("Left to it since one was undone")
    assert exit_status == 0 and heading
    assert "\n     a\n    +b\n" in did and "+b" in since and "\n     a\n" not in since
    document = json.loads(told("show", tx_id, "--format", "json")[1])
    assert document["since"]["undone"] == ["one"]
    assert [delta["key"] for delta in document["since"]["deltas"]] == ["/etc/motd"]


def test_what_was_pruned_is_not_said_to_have_touched_nothing(bench: Bench, told: Told) -> None:
    undone = bench.apply("one", write("a\n"))
    bench.undo(undone.id)
    bench.apply("two", write("b\n"))
    empty = bench.apply("three")
    age(bench)
    assert told("prune", "--keep-days", "1", "--yes")[0] == 0
    exit_status, out, _ = told("show", undone.id)
    assert exit_status == 0 and "it was pruned" in out and "touched nothing" not in out
    assert json.loads(told("show", undone.id, "--format", "json")[1])["told"] == "pruned"
    assert "It touched nothing." in told("show", empty.id)[1]
    assert json.loads(told("show", empty.id, "--format", "json")[1])["told"] == "all"


def test_a_lost_list_is_damage_and_named(bench: Bench, told: Told) -> None:
    tx_id = bench.apply("one", write("a\n")).id
    lost = Records(bench.state).where(tx_id) / "delta.jsonl"
    lost.unlink()
    for form in ("text", "json"):
        exit_status, out, err = told("show", tx_id, "--format", form)
        assert (exit_status, out) == (3, "")
        assert f"{lost} is missing" in " ".join(err.split())


@pytest.mark.parametrize(
    ("status", "said"), [("rolled-back", "taken back before"), ("under-way", "not at its end")]
)
def test_what_never_got_a_list_says_why(
    bench: Bench, told: Told, status: TransactionStatus, said: str
) -> None:
    tx = bench.begin("one")
    tx._held.close()
    Records(bench.state).write(msgspec.structs.replace(tx.record, status=status))
    exit_status, out, _ = told("show", tx.id)
    assert exit_status == 0 and said in " ".join(out.split())


def test_what_goes_is_listed_before_it_goes(
    bench: Bench, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone = bench.apply("one", write("a\n"))
    undo = bench.undo(undone.id)
    standing = bench.apply("two", write("b\n"))
    assert "is over" in told("prune", "--keep-days", "1", "--dry-run")[1]
    age(bench)
    before = sorted(bench.state.path.rglob("*"))
    exit_status, out, _ = told("prune", "--keep-days", "1", "--dry-run")
    assert exit_status == 0 and "can be undone afterwards" in " ".join(out.split())
    assert "2020-01-01" in out and "apply one" in out and undone.id in out and undo.id in out
    assert standing.id not in out
    shown = json.loads(told("prune", "--keep-days", "1", "--dry-run", "--format", "json")[1])
    assert [record["id"] for record in shown["transactions"]] == [undone.id, undo.id]
    asked: list[str] = []

    def no(question: str) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr("tui.cli_change.is_terminal", lambda stream: True)
    monkeypatch.setattr("builtins.input", no)
    exit_status, out, _ = told("prune", "--keep-days", "1")
    assert exit_status == 3 and asked and undone.id in out and "cannot be undone" not in out
    assert sorted(bench.state.path.rglob("*")) == before
    exit_status, out, _ = told("prune", "--keep-days", "1", "--yes")
    assert exit_status == 0 and "diffs of 2 transactions are gone" in " ".join(out.split())
    assert "is over" in told("prune", "--keep-days", "1", "--yes")[1]
    assert undone.id not in told("prune", "--keep-days", "1", "--dry-run")[1]
    assert bench.undo(standing.id).status == "committed"


def test_what_is_open_is_at_work_as_long_as_somebody_holds_the_lock(
    bench: Bench, told: Told
) -> None:
    tx = bench.begin("one")
    tx._held.close()
    runs.create(bench.state.path, command="apply", steps=("old",), user="")
    ours = runs.create(bench.state.path, command="rollback", steps=("one",), user="")
    runs.mark(ours, status="running")
    (runs.create(bench.state.path, command="x", steps=(), user="") / "run.json").write_text("{")
    with bench.state.lock("rollback"):
        document = json.loads(told("list", "--format", "json")[1])
        at_work = document["at_work"]
        assert (at_work["what"], at_work["pid"]) == ("rollback", os.getpid())
        assert at_work["run"] == ours.name and document["own_record"] is False
        out = " ".join(told("list")[1].split())
        assert f"at work on this host: rollback (process {os.getpid()}" in out
        assert "recover" not in out
    assert json.loads(told("list", "--format", "json")[1])["at_work"] is None
    assert "What is open was interrupted: `harden-tui recover`" in told("list")[1]


def test_what_is_pending_waits_as_long_as_it_is_guarded(bench: Bench, told: Told) -> None:
    undo = bench.guarded_undo(bench.apply("one", write("a\n")).id)
    guard = Guard(
        transactions=(undo.id,), steps=("one",), names=("undo of one",), phase="waiting",
        boot=guards.this_boot(), window_s=300, user="",
    )  # fmt: skip
    assert "was never confirmed: `harden-tui recover`" in told("list")[1]
    guards.write(bench.state, guard)
    guards.set_deadline(bench.state, 300)
    assert json.loads(told("list", "--format", "json")[1])["waits"] == ["undo of one"]
    out = " ".join(told("list")[1].split())
    assert "undo of one waits for your confirmation (" in out and "never confirmed" not in out
    guards.write(bench.state, msgspec.structs.replace(guard, phase="confirmed"))
    assert json.loads(told("list", "--format", "json")[1])["waits"] == []
    (guards.directory(bench.state) / "guard.json").write_text("{")
    assert json.loads(told("list", "--format", "json")[1])["waits"] == []
