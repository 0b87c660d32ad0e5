"""Drift and update windows: what was changed in one is its own, whatever steps came in between."""

from __future__ import annotations

import pytest

from snapshots import drift_settle
from snapshots.drift_look import look
from snapshots.model import WriteFile
from tests.unit.snapshots_host import Bench
from tests.unit.test_undo_around_windows import MODE, bench, window

__all__ = ["bench"]

OTHER, NEW = "/etc/other.conf", "/etc/new.conf"


def drifted(bench: Bench) -> list[str]:
    return [one.thing.key for one in look(bench.host, bench.state).seen]


@pytest.mark.parametrize("later", [False, True])
def test_what_was_changed_after_a_step_in_it_is_no_drift(bench: Bench, later: bool) -> None:
    with window(bench):
        bench.apply("t", WriteFile(path=MODE, content=b"two\n"))
        bench.host.write_file(MODE, b"by the admin\n")
        bench.host.write_file(NEW, b"by the admin\n")
        assert NEW in drifted(bench)
    if later:
        bench.apply("s", WriteFile(path=OTHER, content=b"x\n"))
    assert drifted(bench) == []


def test_what_drifted_before_it_is_drift_after_it(bench: Bench) -> None:
    bench.apply("s", WriteFile(path=MODE, content=b"two\n"), WriteFile(path=OTHER, content=b"x\n"))
    bench.host.write_file(MODE, b"mine\n")
    bench.host.write_file(OTHER, b"mine\n")
    with window(bench):
        bench.apply("t", WriteFile(path=NEW, content=b"new\n"))
        bench.host.write_file(OTHER, b"of the update\n")
    assert drifted(bench) == [MODE], "the window made the other its own"
    bench.apply("u", WriteFile(path="/etc/u.conf", content=b"u\n"))
    assert drifted(bench) == [MODE]


def test_what_was_accepted_in_it_is_no_drift(bench: Bench) -> None:
    bench.apply("s", WriteFile(path=MODE, content=b"two\n"))
    bench.host.write_file(MODE, b"mine\n")
    with window(bench):
        bench.apply("t", WriteFile(path=NEW, content=b"new\n"))
        drift_settle.accept(
            bench.host, bench.state, [("files", MODE)], expect_fingerprint=None, user="t",
        )  # fmt: skip
    assert drifted(bench) == []


def test_an_edit_after_it_is_drift(bench: Bench) -> None:
    with window(bench):
        bench.apply("t", WriteFile(path=MODE, content=b"two\n"))
    bench.host.write_file(MODE, b"mine\n")
    assert drifted(bench) == [MODE]
