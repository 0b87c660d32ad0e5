"""Twelve steps on the practice host, through the same engine as on a real one, and all undone."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from host.practice import PracticeHost
from snapshots.sessionlog import SessionLog
from snapshots.state import StateDir
from steps.catalog_load import load_catalogue
from steps.engine import Engine
from steps.events import Emit
from tests.hosts.program import TWELVE  # those that the practice host has all programs for
from tests.unit.person import Confirming
from tui.session import silent


def _engine(folder: Path, emit: Emit | None = None) -> Engine:
    """Without `emit`, whatever waits for a confirmation gets it."""
    host = PracticeHost(folder / "host")
    catalogue = load_catalogue(host)
    return Engine(
        host,
        StateDir(folder / "state", folder / "log"),
        catalogue,
        catalogue.checklist("i-doit"),
        {},
        emit or Confirming(lambda: _engine(folder, silent)),
        log=SessionLog(folder / "log", syslog=False),
        user="admin",
    )


def _fingerprint(folder: Path) -> dict[str, object]:
    host = PracticeHost(folder / "host")
    files = {
        path: msgspec.structs.replace(state, mtime_ns=0)
        for path, state in host.walk("/", content=True)
        if not path.startswith(("/proc/", "/run/")) or path.startswith("/proc/sys/")
    }
    memory = host.machine.memory
    units = {name: unit.active for name, unit in memory.units.items()}
    return {
        "files": files,
        "packages": msgspec.to_builtins(memory.packages),
        "units": units,
        "firewall": memory.firewall_on,
        "jails": memory.jails,
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_applied_proved_and_undone_in_any_order(tmp_path: Path, seed: int) -> None:
    blank = _engine(tmp_path).check(TWELVE)
    first = _fingerprint(tmp_path)
    assert {result.id for result in blank if result.status != "fail"} == set()

    plan = _engine(tmp_path).plan(TWELVE)
    assert len([step for step in plan.steps if step.changes and not step.refusals]) == 12
    assert _fingerprint(tmp_path) == first, "check and plan change nothing"

    for result in blank:
        outcome = _engine(tmp_path).apply([result.id])
        assert outcome.exit == 0, outcome.summary
    after = _engine(tmp_path).check(TWELVE)
    assert {result.id: result.note for result in after if result.status != "pass"} == {}
    assert _engine(tmp_path).plan(TWELVE).is_empty

    order = [result.id for result in blank]
    random.Random(seed).shuffle(order)
    for number, step_id in enumerate(order):
        outcome = _engine(tmp_path).rollback([step_id])
        assert outcome.exit == 0, outcome.summary
        left = order[number + 1 :]
        still = {r.id: r.status for r in _engine(tmp_path).check(left)} if left else {}
        assert set(still.values()) <= {"pass"}, still
    assert _fingerprint(tmp_path) == first
    assert SessionLog(tmp_path / "log", syslog=False).verify().ok


def test_of_every_step_it_says_something_sensible(tmp_path: Path) -> None:
    first = _fingerprint(tmp_path)
    results = _engine(tmp_path).check()
    assert len(results) > len(TWELVE)
    assert {one.id: one.note for one in results if one.status == "error"} == {}
    silent_ones = [one.id for one in results if not one.findings and not one.note]
    assert [one for one in silent_ones if one not in TWELVE] == []
    _engine(tmp_path).plan()
    assert _fingerprint(tmp_path) == first, "check and plan change nothing"


def test_a_plan_goes_stale_when_the_host_moves(tmp_path: Path) -> None:
    engine = _engine(tmp_path)
    approved = engine.plan(["apache.banner"]).fingerprint
    path = "/etc/apache2/conf-available/zz-harden-tui-apache.banner.conf"
    engine.host.write_file(path, b"# somebody was here\n")
    outcome = _engine(tmp_path).apply(["apache.banner"], approved)
    assert outcome.exit == 3
    assert "preview" in outcome.summary
    assert engine.host.read_bytes(path) == b"# somebody was here\n"


def test_a_change_that_breaks_the_configuration_is_rolled_back(tmp_path: Path) -> None:
    engine = _engine(tmp_path)
    first = _fingerprint(tmp_path)
    engine.given["apache.headers"] = {"referrer-policy": "no-referrer"}
    broken = "/etc/apache2/mods-available/headers.load"
    engine.host.write_file(broken, b"LoadModule nothing_module /usr/lib/none.so\n")
    outcome = engine.apply(["apache.headers"])
    assert outcome.exit == 4, outcome.summary
    engine.host.write_file(
        broken, b"LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so\n"
    )
    assert _fingerprint(tmp_path) == first


def test_all_at_once_by_name_and_the_exact_plan_of_all(tmp_path: Path) -> None:
    """An earlier step may change what a later one has to do: by name it is planned anew; what a
    person approved by its diffs is not replaced by anything else."""
    engine = _engine(tmp_path / "named")
    ids = TWELVE
    outcome = engine.apply(ids)
    assert outcome.exit == 0, outcome.summary
    after = _engine(tmp_path / "named").check(TWELVE)
    assert {one.id for one in after if one.status != "pass"} == set()

    exact = _engine(tmp_path / "exact")
    outcome = exact.apply(ids, exact.plan(ids).fingerprint)
    assert outcome.exit == 3 and "kernel.sysctl was not begun" in outcome.summary
    assert len(outcome.transactions) == 10
