"""Units that somebody masked or stopped: put back, and the putting back undone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from snapshots import opening
from snapshots.drift_look import look
from snapshots.drift_plan import plan
from snapshots.drift_settle import settle
from snapshots.model import Activation, Key, RunCommand, TransactionRecord, WriteFile
from snapshots.progress import Silent
from snapshots.undo import plan_undo
from tests.unit.snapshots_host import Bench

CUPS = "cups.service"
CONF = "/etc/cups/mine.conf"
MASK = f"/etc/systemd/system/{CUPS}"
RESTART = f"systemctl restart {CUPS}"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A step that wants cups running and tells it of a file."""
    made = Bench(tmp_path)
    systemctl(made, "stop", CUPS)
    tx = opening.begin(
        made.host, made.state, steps=("printing.cups",), title="", user="",
        activations=(Activation("restart", CUPS, settle_s=0.0),), progress=Silent(),
    )  # fmt: skip
    tx.perform(WriteFile(path=CONF, content=b"A 1\n"))
    tx.perform(RunCommand(argv=("systemctl", "start", CUPS), why="wanted"))
    tx.commit()
    return made


def systemctl(bench: Bench, *words: str) -> None:
    bench.host.run(("systemctl", *words))


def everything(bench: Bench) -> list[Key]:
    return [(one.thing.domain, one.thing.key) for one in look(bench.host, bench.state).seen]


def put_back(bench: Bench, keys: Sequence[Key]) -> TransactionRecord:
    return settle(
        bench.host, bench.state, "restore", keys, expect_fingerprint=None, user="",
        prove=lambda: None, progress=Silent(),
    )  # fmt: skip


def test_a_masked_unit_is_put_back_and_masked_again(bench: Bench) -> None:
    left = bench.fingerprint()
    systemctl(bench, "mask", "--now", CUPS)
    masked = bench.fingerprint()
    keys = everything(bench)
    assert {("units", CUPS), ("files", MASK)} <= set(keys)
    shown = plan(bench.host, bench.state, "restore", keys)
    assert shown.commands == ("systemctl daemon-reload", f"systemctl start {CUPS}")
    record = put_back(bench, keys)
    assert record.status == "committed" and bench.fingerprint() == left
    commands = plan_undo(bench.host, bench.state, record.id).commands
    assert commands == ("systemctl daemon-reload", f"systemctl stop {CUPS}")
    assert bench.undo(record.id).status == "committed"
    assert bench.fingerprint() == masked


@pytest.mark.parametrize("settling_first", [True, False])
def test_both_are_undone_in_any_order(bench: Bench, settling_first: bool) -> None:
    step = look(bench.host, bench.state).transaction
    systemctl(bench, "mask", "--now", CUPS)
    masked = bench.fingerprint()
    record = put_back(bench, everything(bench))
    for tx_id in (record.id, step) if settling_first else (step, record.id):
        ended = bench.undo(tx_id)
        assert ended.status == "committed", ended.reason
    assert bench.host.state(CONF) is None and bench.host.state(MASK) is not None
    assert bench.fingerprint()["units"] == masked["units"]


def test_a_unit_that_is_masked_while_it_runs_goes_on_and_it_is_said(bench: Bench) -> None:
    systemctl(bench, "mask", CUPS)
    bench.host.write_file(CONF, b"A 2\n")
    masked = bench.fingerprint()
    keys = everything(bench)
    assert ("files", MASK) in keys and ("units", CUPS) not in keys
    assert RESTART in plan(bench.host, bench.state, "restore", keys).commands
    record = put_back(bench, keys)
    shown = plan_undo(bench.host, bench.state, record.id)
    assert RESTART not in shown.commands
    ended = bench.undo(record.id)
    assert ended.status == "committed" and bench.fingerprint() == masked
    assert f"{CUPS} is masked, so systemd takes no restart for it" in ended.reason


def test_a_stopped_unit_is_not_restarted_before_it_is_stopped_again(bench: Bench) -> None:
    systemctl(bench, "stop", CUPS)
    stopped = bench.fingerprint()
    record = put_back(bench, everything(bench))
    assert RESTART not in plan_undo(bench.host, bench.state, record.id).commands
    bench.undo(record.id)
    assert bench.fingerprint() == stopped


def test_a_mask_until_the_next_boot_is_lifted_with_its_unit_and_laid_again(bench: Bench) -> None:
    left = bench.fingerprint()
    systemctl(bench, "mask", "--runtime", CUPS)
    systemctl(bench, "stop", CUPS)
    masked = bench.fingerprint()
    shown = plan(bench.host, bench.state, "restore", [("units", CUPS)])
    assert shown.commands == (f"systemctl unmask --runtime {CUPS}", f"systemctl start {CUPS}")
    record = put_back(bench, [("units", CUPS)])
    assert record.status == "committed" and bench.fingerprint() == left
    commands = plan_undo(bench.host, bench.state, record.id).commands
    assert commands == (f"systemctl mask --runtime {CUPS}", f"systemctl stop {CUPS}")
    assert bench.undo(record.id).status == "committed"
    assert bench.fingerprint() == masked


def test_what_masks_a_unit_goes_with_it_where_only_the_unit_is_put_back(bench: Bench) -> None:
    systemctl(bench, "mask", "--now", CUPS)
    masked = bench.fingerprint()
    record = put_back(bench, [("units", CUPS)])
    assert record.status == "committed" and bench.host.state(MASK) is None
    assert bench.undo(record.id).status == "committed"
    assert bench.fingerprint() == masked
