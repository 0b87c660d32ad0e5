"""Where guided runs stand: kept for all administrators, put off, ended, begun anew, damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots.guides import Guides
from snapshots.model import SnapshotError
from snapshots.state import StateDir

LAMP, STAGE = "lamp", "pre-install"


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


def test_another_person_finds_where_one_stopped(state: StateDir) -> None:
    Guides(state).stand_at(LAMP, STAGE, "ssh.limits", by="alice")
    found = Guides(state).of(LAMP, STAGE)
    assert (found.at, found.by, found.goes_on) == ("ssh.limits", "alice", True)
    Guides(state).stand_at(LAMP, STAGE, "ssh.crypto", by="bob")
    again = Guides(state).of(LAMP, STAGE)
    assert (again.at, again.by, again.began) == ("ssh.crypto", "bob", found.began)
    assert Guides(state).of(LAMP, "post-install").goes_on is False
    assert Guides(state).of("i-doit", STAGE).goes_on is False


def test_what_is_put_off_stays_so_until_the_run_comes_back_to_it(state: StateDir) -> None:
    guides = Guides(state)
    guides.stand_at(LAMP, STAGE, "ssh.limits", by="alice")
    guides.put_off(LAMP, STAGE, "ssh.limits", by="alice")
    guides.stand_at(LAMP, STAGE, "ssh.crypto", by="alice")
    assert list(guides.of(LAMP, STAGE).later) == ["ssh.limits"]
    guides.stand_at(LAMP, STAGE, "ssh.limits", by="bob")
    assert guides.of(LAMP, STAGE).later == {}


def test_a_run_that_ended_begins_anew_and_keeps_till_then_what_was_put_off(
    state: StateDir,
) -> None:
    guides = Guides(state)
    guides.stand_at(LAMP, STAGE, "ssh.limits", by="alice")
    guides.put_off(LAMP, STAGE, "ssh.limits", by="alice")
    ended = guides.end(LAMP, STAGE, by="alice")
    assert not ended.goes_on and list(ended.later) == ["ssh.limits"]
    anew = guides.stand_at(LAMP, STAGE, "ssh.crypto", by="bob")
    assert anew.goes_on and anew.later == {}


def test_forgetting_leaves_other_runs_alone(state: StateDir) -> None:
    guides = Guides(state)
    guides.stand_at(LAMP, STAGE, "ssh.limits", by="alice")
    guides.stand_at("i-doit", STAGE, "ssh.crypto", by="alice")
    guides.forget(LAMP, STAGE)
    assert not guides.of(LAMP, STAGE).goes_on
    assert guides.of("i-doit", STAGE).at == "ssh.crypto"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"schema": "other/1"}', b'{"guides": [1]}'])
def test_a_damaged_file_is_named_and_left_as_it_is(state: StateDir, content: bytes) -> None:
    file = state.path / "guides.json"
    file.write_bytes(content)
    with pytest.raises(SnapshotError, match=r"guides\.json is damaged"):
        Guides(state).stand_at(LAMP, STAGE, "ssh.limits", by="alice")
    assert file.read_bytes() == content
