"""Packages that drifted: a mark is put back; for the rest it is said what brings them back."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots import opening
from snapshots.domains.packages import commands_to_mark
from snapshots.drift import Drifted, Standing, choices_of, why_kept
from snapshots.drift_look import look
from snapshots.drift_plan import plan
from snapshots.drift_settle import settle
from snapshots.model import (
    Activation,
    InstallPackages,
    SnapshotError,
    TransactionRecord,
    ValueItem,
    WriteFile,
)
from snapshots.progress import Silent
from steps.drift_model import DriftRow
from tests.unit.snapshots_host import Bench
from tui.drift_words import ways
from tui.text import plain
from tui.views.drift import drift_lines

UFW = ("packages", "ufw")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    tx = opening.begin(
        made.host, made.state, steps=("firewall.ufw",), title="", user="", packages=("ufw",),
        activations=(Activation("reload", "ssh.service"),), progress=Silent(),
    )  # fmt: skip
    tx.perform(InstallPackages(("ufw",)))
    tx.commit()
    return made


def thing(before: str | None, now: str | None, step: str = "firewall.ufw") -> Drifted:
    record = TransactionRecord(
        id="1", kind="apply", steps=(step,), title="", status="committed", started="", user=""
    )
    items = [None if value is None else ValueItem(value) for value in (before, now)]
    return Drifted(
        domain="packages", key="ufw", kind="value", before=items[0], now=items[1],
        standing=(Standing(record, {}),),
    )  # fmt: skip


def test_only_a_mark_or_a_hold_of_a_package_can_be_put_back() -> None:
    assert choices_of(thing("1;manual", "1;auto")) == ("accept", "restore")
    assert choices_of(thing("1;manual;hold", "1;manual")) == ("accept", "restore")
    for before, now in (
        ("1;manual", "2;manual"),
        ("1;manual", None),
        ("1;manual", "config-files"),
        (None, "1;manual"),
        (None, "config-files"),
        ("1;manual", "1;manual;half-configured"),
    ):
        assert choices_of(thing(before, now)) == ("accept",), (before, now)


def test_it_is_said_what_brings_a_package_back() -> None:
    assert why_kept(thing("1;manual", "1;auto")) == ""
    assert why_kept(thing("1;manual", None)).endswith("by `harden-tui apply firewall.ufw`.")
    came = why_kept(thing(None, "1;manual"))
    assert came.startswith("It is taken away again") and "apply firewall.ufw" in came
    assert "apt-get install ufw=1" in why_kept(thing("1;manual", "2;manual"))
    assert "dpkg --configure -a" in why_kept(thing("1;manual", "1;manual;half-configured"))
    assert "configuration" in why_kept(thing(None, "config-files"))


def test_a_mark_is_put_back_by_a_transaction_that_can_be_undone(bench: Bench) -> None:
    bench.apply("a.b", WriteFile(path="/etc/issue", content=b"x\n"))
    left = bench.fingerprint()
    bench.host.run(("apt-mark", "auto", "ufw"))
    marked = bench.fingerprint()
    (seen,) = look(bench.host, bench.state).seen
    assert (seen.thing.key, seen.choices, seen.cannot) == ("ufw", ("accept", "restore"), "")
    assert ";manual -> " in seen.diff and seen.diff.endswith(";auto")

    shown = plan(bench.host, bench.state, "restore", [UFW])  # type: ignore[list-item]
    assert shown.refusals == ()
    assert shown.commands == ("apt-mark manual ufw",), "no daemon reads a mark"
    record = settle(
        bench.host, bench.state, "restore", [UFW],  # type: ignore[list-item]
        expect_fingerprint=shown.fingerprint, user="", prove=lambda: None, progress=Silent(),
    )  # fmt: skip
    assert (record.kind, record.status) == ("drift", "committed")
    assert bench.fingerprint() == left
    assert look(bench.host, bench.state).seen == ()
    bench.undo(record.id)
    assert bench.fingerprint() == marked
    assert look(bench.host, bench.state).seen == (), "it is the host's package from then on"


def test_a_package_that_went_is_refused_and_nothing_is_touched(bench: Bench) -> None:
    bench.host.run(("dpkg", "--purge", "ufw"))
    there = bench.fingerprint()
    seen = {one.thing.key: one for one in look(bench.host, bench.state).seen}["ufw"]
    assert seen.choices == ("accept",) and "harden-tui apply firewall.ufw" in seen.cannot
    (refused,) = plan(bench.host, bench.state, "restore", [UFW]).refusals  # type: ignore[list-item]
    assert "nothing was changed" in refused and "harden-tui apply firewall.ufw" in refused
    (refused,) = plan(bench.host, bench.state, "merge", [UFW]).refusals  # type: ignore[list-item]
    assert "nothing to merge" in refused and "drift restore" not in refused
    with pytest.raises(SnapshotError, match="not put back from here"):
        settle(
            bench.host, bench.state, "restore", [UFW],  # type: ignore[list-item]
            expect_fingerprint=None, user="", prove=lambda: None, progress=Silent(),
        )  # fmt: skip
    assert bench.fingerprint() == there


def test_marks_and_holds_are_shown_as_they_are_typed() -> None:
    wanted = {"a": ValueItem("1;auto"), "b": ValueItem("1;manual;hold"), "c": None}
    now = {"a": ValueItem("1;manual"), "b": ValueItem("1;manual"), "c": ValueItem("1;auto")}
    assert commands_to_mark(wanted, now) == [
        "apt-mark auto a", "dpkg --set-selections <<< b hold",
    ]  # fmt: skip


def test_only_the_ways_that_are_possible_are_promised() -> None:
    only = DriftRow(
        domain="packages", key="ufw", kind="value", choices=("accept",), cannot="Apply it again."
    )
    assert ways([only]) == ["accept"]
    text = "\n".join(plain(line) for line in drift_lines([only], 60))
    assert "d settles it: accept." in text and "Cannot be put back here. Apply it again." in text
    both = DriftRow(domain="files", key="/etc/x", kind="new", choices=("restore", "accept"))
    assert ways([only, both]) == ["accept", "restore"]
    last = drift_lines([only, both], 60)[-1]
    assert "accept or restore." in plain(last)
