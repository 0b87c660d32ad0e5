"""Which packages an undo leaves: those that something needs, and those that a person wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from snapshots import captured, domains, undo
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.decision import Later, by_key
from snapshots.model import (
    Delta,
    InstallPackages,
    TransactionRecord,
    UndoItem,
    ValueItem,
    WriteFile,
)
from snapshots.package_ties import as_packaged, marked_in, wanted_since
from snapshots.staying import sentences, staying
from tests.unit.snapshots_host import Bench
from tests.unit.test_mounted import put


def packages(bench: Bench, tx_id: str) -> dict[str, UndoItem]:
    items = undo.plan_undo(bench.host, bench.state, tx_id).items
    return {item.key: item for item in items if item.domain == "packages"}


def installed(bench: Bench) -> set[str]:
    lines = bench.host.run(("dpkg-query", "-W")).stdout.splitlines()
    return {line.split("\t")[0] for line in lines}


def test_a_dependency_that_was_marked_as_wanted_stays(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    done = bench.apply("fw", InstallPackages(("ufw",)))
    assert {item.how for item in packages(bench, done.id).values()} == {"restore"}
    bench.host.run(("apt-mark", "manual", "iptables"))
    plan = packages(bench, done.id)
    assert plan["iptables"].how == "kept" and "marked" in plan["iptables"].note
    assert plan["ufw"].how == "restore"
    assert bench.undo(done.id).status == "committed"
    assert "iptables" in installed(bench) and "ufw" not in installed(bench)


@pytest.mark.parametrize(
    ("left", "now", "later", "why"),
    [
        ("1;auto", "1;auto", "", ""),
        ("1;auto", "2;auto", "", ""),
        ("1;auto", "2;manual", "", "marked"),
        ("1;manual", "1;manual", "", ""),
        ("1;manual", "1;manual;hold", "", "on hold"),
        ("1;auto", "1;manual", "1;manual", ""),  # a step of ours, whose undo takes it back
        ("1;auto", "config-files", "", ""),
    ],
)
def test_what_counts_as_wanted(left: str, now: str, later: str, why: str) -> None:
    mine = [Delta("packages", "a", None, ValueItem(left))]
    others = []
    if later:
        record = TransactionRecord(
            id="2", kind="apply", steps=("two",), title="", status="committed", started=""
        )
        theirs = Delta("packages", "a", ValueItem(left), ValueItem(later))
        others = [Later(record, by_key([theirs]))]
    current: Captured = {"packages": {"a": ValueItem(now)}}
    found = wanted_since(["a"], mine, others, current)
    assert list(found) == (["a"] if why else [])
    assert why in found.get("a", "")


def says(bench: Bench, status: str) -> None:
    """What dpkg says of openssh-server from now on."""
    bench.host.machine.memory.packages["openssh-server"].status = status
    bench.host.machine.save()


@pytest.mark.parametrize("ends", ["commit", "roll back"])
def test_a_trigger_that_was_run_meanwhile_is_no_difference(tmp_path: Path, ends: str) -> None:
    bench = Bench(tmp_path)
    says(bench, "triggers-pending")
    first = bench.fingerprint()
    tx = bench.begin("fw")
    tx.perform(InstallPackages(("ufw",)))
    says(bench, "installed")
    if ends == "roll back":
        assert tx.roll_back("it did not work").status == "rolled-back"
    else:
        done = tx.commit()
        assert set(packages(bench, done.id)) == {"ufw", "iptables"}
        assert bench.undo(done.id).status == "committed"
    assert bench.fingerprint() == first


def test_a_transaction_that_took_a_trigger_for_a_difference_can_be_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    says(bench, "triggers-pending")
    with monkeypatch.context() as before_the_mend:
        for module in (domains.packages, captured):
            before_the_mend.setattr(module, "TRIGGERED", frozenset())
        tx = bench.begin("fw")
        tx.perform(InstallPackages(("ufw",)))
        says(bench, "installed")
        done = tx.commit()
        assert "openssh-server" in packages(bench, done.id)
    assert set(packages(bench, done.id)) == {"ufw", "iptables"}
    assert bench.undo(done.id).status == "committed"


@pytest.mark.parametrize(
    ("left", "opened", "closed", "now", "is_heir"),
    [
        ("1;manual", "1;manual", "2;manual;hold", "2;manual;hold", True),
        ("1;auto", "1;auto", "1;manual", "1;manual", True),
        ("1;manual", "1;manual", "2;manual", "2;manual;hold", False),  # by hand, after the window
        ("1;auto", "1;auto", "1;auto;hold", "1;manual;hold", False),
    ],
)
def test_a_mark_set_in_a_window_is_the_windows(
    left: str, opened: str, closed: str, now: str, is_heir: bool
) -> None:
    mine = [Delta("packages", "a", None, ValueItem(left))]
    window = TransactionRecord(
        id="2", kind="window", steps=(), title="Update window", status="committed", started=""
    )
    theirs = Delta("packages", "a", ValueItem(opened), ValueItem(closed))
    later = [Later(window, by_key([theirs]))]
    current: Captured = {"packages": {"a": ValueItem(now)}}
    asked = wanted_since(["a"], mine, [], current)
    assert list(asked) == ["a"]
    assert marked_in(asked, mine, later, current) == ({"a": "2"} if is_heir else {})


def test_the_result_says_what_stays_and_why(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    keeper = Keeper(bench.host, bench.state)
    done = bench.apply("fw", InstallPackages(("ufw",)))
    assert staying(keeper, done) == {}
    bench.host.run(("apt-mark", "manual", "iptables"))
    stays = staying(keeper, done)
    bench.undo(done.id)
    assert sentences(keeper, stays) == [
        "The package iptables stays installed: somebody marked it as manually installed since."
    ]


def test_so_it_does_of_what_a_later_step_keeps(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    keeper = Keeper(bench.host, bench.state)
    done = bench.apply("fw", InstallPackages(("ufw",)))
    bench.apply("rules", WriteFile(path="/etc/x", content=b"x\n"), packages=("ufw",))
    stays = staying(keeper, done)
    bench.undo(done.id)
    assert sentences(keeper, stays) == [
        "The package iptables stays installed: ufw needs it (rules).",
        "The package ufw stays installed: it is left to rules, and goes when that is undone.",
    ]


def test_what_an_upgrade_brought_is_known_by_dpkgs_sums(tmp_path: Path) -> None:
    host = Bench(tmp_path).host
    for path, text in (("/usr/bin/a", b"2\n"), ("/usr/bin/b", b"edited\n")):
        put(host, path)
        host.write_file(path, text)
    md5 = "26ab0db90d72e28ad0ba1e22ee510510"  # of "2\n"
    put(host, "/var/lib/dpkg/info/thing.md5sums")
    host.write_file(
        "/var/lib/dpkg/info/thing.md5sums", f"{md5}  usr/bin/a\n{md5}  usr/bin/b\n".encode()
    )
    paths = {"/usr/bin/a", "/usr/bin/b", "/usr/bin/c"}
    assert as_packaged(host, ("thing", "without"), paths) == {"/usr/bin/a"}
    assert as_packaged(host, ("thing",), {"/usr/bin/c"}) == set()
