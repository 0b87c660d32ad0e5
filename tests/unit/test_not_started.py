"""Units that ran before a change and cannot be started after it was taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from host.base import CommandFailed, Completed
from snapshots import opening
from snapshots.guard_switch import Switch
from snapshots.model import Activation, Change, RunCommand, TransactionRecord, WriteFile
from snapshots.progress import Silent
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, Waits

CRON, SSH = "cron.service", "ssh.service"
MOTD = WriteFile(path="/etc/motd", content=b"changed\n")
STOP = RunCommand(argv=("systemctl", "stop", CRON), why="it is not wanted")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def waiting(bench: Bench, change: Change = MOTD, *told: Activation) -> TransactionRecord:
    tx = opening.begin(
        bench.host, bench.state, steps=("a",), title="a", user="tester", progress=Silent(),
        switch=cast(Switch, Waits()), activations=told,
    )  # fmt: skip
    tx.perform(change)
    return tx.commit()


def systemctl(bench: Bench, *words: str) -> None:
    bench.host.run(("systemctl", *words))


def refuse_to_start(monkeypatch: pytest.MonkeyPatch, bench: Bench, unit: str) -> None:
    run: Callable[..., Completed] = type(bench.host).run

    def refusing(host: object, argv: tuple[str, ...], **rest: object) -> Completed:
        if argv == ("systemctl", "start", unit):
            raise CommandFailed(Completed(argv, 1, "", f"Job for {unit} failed.\n", 0.0))
        return run(host, argv, **rest)

    monkeypatch.setattr(type(bench.host), "run", refusing)


def is_active(bench: Bench, unit: str) -> bool:
    return bench.host.run(("systemctl", "is-active", unit), ok=None).ok


@pytest.mark.parametrize(
    ("verb", "unmasked"),
    [(("mask",), False), (("mask", "--runtime"), True), (("mask", "--runtime"), False)],
)
def test_a_unit_that_ran_masked_stays_stopped_and_is_told(
    bench: Bench, verb: tuple[str, ...], unmasked: bool
) -> None:
    systemctl(bench, *verb, CRON)
    before = bench.fingerprint()
    waiting(bench, MOTD, Activation(unit=CRON, how="restart"))
    if unmasked:
        systemctl(bench, "unmask", *verb[1:], CRON)
    systemctl(bench, "stop", CRON)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert ended.reason.endswith(
        "cron.service ran before although it is masked, and cannot be started; it stays stopped."
    )
    now = bench.fingerprint()
    assert {kind for kind in now if now[kind] != before[kind]} == {"units"}
    assert not is_active(bench, CRON)


def test_the_undo_of_a_step_is_no_failure_either(bench: Bench) -> None:
    systemctl(bench, "mask", CRON)
    record = bench.apply("a", MOTD, STOP)
    ended = bench.undo(record.id)
    assert ended.status == "committed" and "cron.service ran before although" in ended.reason


def test_a_unit_of_somebody_else_that_cannot_be_started_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bench.fingerprint()
    waiting(bench)
    for unit in (CRON, SSH):
        systemctl(bench, "stop", unit)
    refuse_to_start(monkeypatch, bench, SSH)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert "ssh.service, which the change had nothing to do with, ran before it and cannot" in (
        ended.reason
    )
    assert "Job for ssh.service failed" in ended.reason
    assert "The unit cron.service was changed by something else meanwhile" in ended.reason
    assert not is_active(bench, CRON)
    assert bench.fingerprint()["files"] == before["files"]


def test_what_lets_people_in_runs_again_whoever_stopped_it(bench: Bench) -> None:
    waiting(bench)
    systemctl(bench, "stop", SSH)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and is_active(bench, SSH)


@pytest.mark.parametrize("how", ["stopped", "reloaded"])
def test_a_unit_of_the_change_needs_a_person_until_it_runs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "stopped":
        waiting(bench, STOP)
    else:
        waiting(bench, MOTD, Activation(unit=CRON, how="restart"))
        systemctl(bench, "stop", CRON)
    with monkeypatch.context() as patched:
        refuse_to_start(patched, bench, CRON)
        (ended,) = recover(bench.host, bench.state, Silent())
        assert ended.status == "needs-person" and "Job for cron.service failed" in ended.reason
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and is_active(bench, CRON)
