"""Rules of the packet filter, units and settings that others changed before a change goes back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from host.base import FileState, Host
from snapshots import transaction
from snapshots.domains.firewall import Firewall
from snapshots.model import (
    Change,
    Item,
    Root,
    RunCommand,
    RunSql,
    SealTree,
    TestRestore,
    TransactionRecord,
    ValueItem,
)
from snapshots.others import AtWork
from snapshots.progress import Silent
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench
from tests.unit.test_others_edits import Programs, waiting
from tests.unit.test_snapshots_meanwhile import DIRECTORY, found_of, write

UFW = ("ufw", "--force", "enable")
INPUT, FORWARD, MINE, V6 = (
    "ip filter INPUT", "ip filter FORWARD", "inet mine input", "ip6 filter INPUT",
)  # fmt: skip
RULES: dict[str, Item] = {}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A host whose packet filter is `RULES`."""

    def restore(_self: Firewall, _host: Host, wanted: Mapping[str, Item | None], _: object) -> None:
        for key, item in wanted.items():
            RULES.pop(key, None)
            if item is not None:
                RULES[key] = item

    RULES.clear()
    rules(**{INPUT: "accept", FORWARD: "accept", MINE: "accept", V6: "accept"})
    monkeypatch.setattr(Firewall, "capture", lambda *_: dict(RULES))
    monkeypatch.setattr(Firewall, "restore", restore)
    return Bench(tmp_path)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(monkeypatch)


def rules(**texts: str) -> None:
    RULES.update({key: ValueItem(text) for key, text in texts.items()})


def recovered(bench: Bench) -> TransactionRecord:
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    return ended


def test_a_rule_of_others_is_told_or_stays_where_a_waiting_firewall_goes_back(
    bench: Bench, programs: Programs
) -> None:
    tx = waiting(bench)
    programs.perform(tx, *UFW, act=lambda: rules(**{INPUT: "drop"}))
    tx.commit()
    rules(**{FORWARD: "theirs", MINE: "theirs", V6: "theirs"})
    ended = recovered(bench)
    assert {
        INPUT: ValueItem("accept"), FORWARD: ValueItem("accept"), V6: ValueItem("accept"),
        MINE: ValueItem("theirs"),
    } == RULES  # fmt: skip
    (found,) = found_of(bench, ended.id)
    kept = f"as it was found it is kept in {bench.state.points / found}."
    changed = f"{FORWARD} and 1 more were changed by something else meanwhile; {kept}"
    assert f"The packet filter's {changed}" in ended.reason
    assert f"The packet filter's {MINE} was changed by something else" in ended.reason


def test_other_tables_are_none_of_a_waiting_change_of_one(bench: Bench, programs: Programs) -> None:
    tx = waiting(bench)
    argv = ("systemctl", "restart", "nftables.service")
    programs.perform(tx, *argv, act=lambda: rules(**{MINE: "ours"}))
    tx.commit()
    rules(**{INPUT: "theirs", V6: "theirs"})
    ended = recovered(bench)
    assert RULES[MINE] == ValueItem("accept")
    assert RULES[INPUT] == RULES[V6] == ValueItem("theirs")
    assert "is kept in" not in ended.reason


def test_what_may_be_others_is_kept_and_said_whatever_kind_it_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows which of the rules the program made that was cut off."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))
    with monkeypatch.context() as patched:
        patched.setattr(AtWork, "_changes", dies)
        with pytest.raises(KeyboardInterrupt):
            tx.perform(RunCommand(argv=UFW, why="w"))
    tx._held.close()
    rules(**{INPUT: "theirs"})
    ended = recovered(bench)
    (found,) = found_of(bench, ended.id)
    kept = f"As it was found everything is kept in {bench.state.points / found}."
    assert RULES[INPUT] == ValueItem("accept") and kept in ended.reason


@pytest.mark.parametrize(
    "change",
    [
        SealTree("/srv/it's", ()),
        RunSql(sql=("SELECT 'x", "FLUSH PRIVILEGES"), why="w"),
        TestRestore("app", "/var/lib/x.json"),
    ],
)
def test_what_is_edited_after_a_kill_in_what_writes_elsewhere_is_theirs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    tx = bench.begin("s")
    with monkeypatch.context() as patched:
        patched.setattr(AtWork, "_changes", dies)
        with pytest.raises(KeyboardInterrupt):
            tx.perform(change)
    tx._held.close()
    bench.host.write_file("/etc/motd", b"theirs\n")
    bench.host.run(("systemctl", "stop", "cron.service"))
    rules(**{INPUT: "theirs"})
    ended = recovered(bench)
    assert "/etc/motd and 2 more were changed by something else meanwhile" in ended.reason
    assert bench.read("/etc/motd") == "theirs\n" and RULES[INPUT] == ValueItem("theirs")
    assert "cron.service" not in {
        one.unit for one in bench.host.services() if one.active == "active"
    }


def test_after_a_kill_in_a_seal_its_own_tree_goes_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.host.put("/srv", DIRECTORY)
    bench.host.put("/srv/app", DIRECTORY)
    bench.host.put("/srv/app/x", FileState(kind="file", mode=0o644), b"x\n")
    tx = bench.begin("s", roots=(Root("/srv/app", content=True),))

    def seal(*_: object) -> None:
        bench.host.put("/srv/app/x", FileState(kind="file", mode=0o600), b"x\n")
        raise KeyboardInterrupt

    monkeypatch.setattr(transaction, "execute", seal)
    with pytest.raises(KeyboardInterrupt):
        tx.perform(SealTree("/srv/app", ()))
    tx._held.close()
    recovered(bench)
    state = bench.host.state("/srv/app/x")
    assert state is not None and state.mode == 0o644
