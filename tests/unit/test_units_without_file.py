"""A unit that systemd still calls active although its package is gone."""

from __future__ import annotations

import pytest

from host.base import Completed
from snapshots.captured import WITHOUT_FILE, differences
from snapshots.domains.base import Scope
from snapshots.domains.units import NOT_FOUND, Units
from snapshots.goal import Goal, what_is_left
from snapshots.model import ValueItem
from snapshots.progress import Silent
from tests.unit.snapshots_host import Bench

ORPHAN = ValueItem(WITHOUT_FILE)
UFW = "ufw.service"


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        (ValueItem("active"), ORPHAN, False),
        (ORPHAN, ValueItem("active"), False),
        (None, ORPHAN, True),
        (ORPHAN, ValueItem("failed"), True),
    ],
)
def test_what_is_a_difference(
    before: ValueItem | None, after: ValueItem | None, counts: bool
) -> None:
    sides = [{"units": {} if item is None else {UFW: item}} for item in (before, after)]
    assert bool(differences(sides[0], sides[1])) is counts  # type: ignore[arg-type]  # plain dicts


def test_nobody_can_start_it_again() -> None:
    goal = Goal(captured={"units": {UFW: ORPHAN}})
    assert what_is_left(goal, {"units": {}}) == []


def test_it_is_stopped_where_it_was_not_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, ...]] = []
    states = [f"{UFW} not-found active exited ufw.service", f"{UFW} not-found failed failed x", ""]
    run = bench.host.run

    def answer(argv: tuple[str, ...], **more: object) -> Completed:
        if tuple(argv) == NOT_FOUND:
            return Completed(argv=argv, returncode=0, stdout=states[0], stderr="", seconds=0.0)
        if argv[0] == "systemctl" and argv[1] in ("stop", "start", "reset-failed"):
            said.append(tuple(argv))
            states.pop(0)
            return Completed(argv=argv, returncode=0, stdout="", stderr="", seconds=0.0)
        return run(argv, **more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(bench.host, "run", answer)
    units = Units()
    assert units.capture(bench.host, Scope())[UFW] == ORPHAN
    units.restore(bench.host, {UFW: None}, Silent())
    assert said == [("systemctl", "stop", UFW), ("systemctl", "reset-failed", UFW)]


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))
