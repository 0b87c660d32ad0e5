"""Two random histories on each release; `make histories` tells as many as there is time for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.histories import archive
from tests.histories.actions import Installs, Purges, Undo, Upgrade, drawn
from tests.histories.host import World
from tests.hosts.lab import LabHost

pytestmark = pytest.mark.either_release

SEEDS = (789, 1290)
"""Between them they have everything that can happen."""


@pytest.mark.parametrize("seed", SEEDS)
def test_no_edit_is_lost_and_a_full_undo_leaves_the_first_state_edits_and_upgrades(
    host: LabHost, tmp_path: Path, seed: int
) -> None:
    for deb in archive.debs():
        archive.build(deb, tmp_path)
    told = World(host, tmp_path).run(drawn(seed))
    assert told.problems == [], "\n".join([*told.done, *told.problems])
    assert told.applied and told.undos


def test_the_seeds_have_everything_that_can_happen() -> None:
    actions = [action for seed in SEEDS for action in drawn(seed).actions]
    kinds = {type(action) for action in actions}
    assert {Installs, Purges, Undo} <= kinds
    assert {action.package for action in actions if isinstance(action, Upgrade)} == {
        "webthing", "oldthing", "extra",
    }  # fmt: skip
