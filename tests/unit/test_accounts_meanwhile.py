"""Accounts that others change while something of ours comes or goes, and how that is told."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots.model import InstallPackages, Key, Root, TransactionRecord
from snapshots.objects import ObjectStore
from snapshots.others import sentence
from snapshots.progress import Silent
from snapshots.recover import recover
from snapshots.whole_accounts import made_whole
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_others_edits import Programs, lists
from tests.unit.test_persons import AGED, put, there
from tests.unit.test_snapshots_meanwhile import (
    DIRECTORY,
    Meanwhile,
    content_in,
    found_of,
    undone,
    write,
)

WITH_BACKUP = {
    **AGED,
    "passwd": f"{AGED['passwd']}backup:x:34:34\n",
    "shadow": f"{AGED['shadow']}backup:old:1::::::\n",
}
SVC = {
    "passwd": "svc:x:999:999\n",
    "shadow": "svc:s:1::::::\n",
    "group": "svc:x:999:\n",
    "gshadow": "svc:!::\n",
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    put(bench, WITH_BACKUP)
    put(bench, {f"{name}-": "older\n" for name in WITH_BACKUP})
    return bench


def changes(bench: Bench, which: str, old: str, new: str) -> Callable[[], None]:
    def act() -> None:
        assert old in bench.read(f"/etc/{which}")
        lists(bench, **{which: bench.read(f"/etc/{which}").replace(old, new)})

    return act


def adds_a_system_account(bench: Bench) -> None:
    put(bench, {name: bench.read(f"/etc/{name}") + line for name, line in SVC.items()})


def locks_root(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> TransactionRecord:
    programs = Programs(monkeypatch)
    tx = bench.begin("s")
    programs.perform(
        tx, "usermod", "--lock", "root", act=changes(bench, "shadow", "root:r", "root:!r")
    )  # fmt: skip
    return tx.commit()


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ObjectStore, "add", full)


@pytest.mark.parametrize("packages", [(), ("fail2ban",)])
@pytest.mark.parametrize("recovers", [True, False])
def test_new_passwords_and_accounts_stay_on_a_full_disk(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, recovers: bool, packages: tuple[str, ...]
) -> None:
    first = bench.read("/etc/motd") if bench.host.state("/etc/motd") else ""
    tx = bench.begin("s")
    tx.perform(write("/etc/motd", "ours\n"))
    if packages:
        tx.perform(InstallPackages(packages))
    changes(bench, "shadow", "ann:a", "ann:A")()
    put(bench, {"passwd": f"{bench.read('/etc/passwd')}bob:x:1002:1002\n"})
    put(bench, {"shadow": f"{bench.read('/etc/shadow')}bob:b:2::::::\n"})
    theirs = there(bench)
    fill_the_disk(monkeypatch)
    if recovers:
        tx._held.close()
        (ended,) = recover(bench.host, bench.state, Silent())
    else:
        ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back"
    assert there(bench) == theirs
    assert (bench.read("/etc/motd") if bench.host.state("/etc/motd") else "") == first


@pytest.mark.parametrize("at", ["writing the restore", "putting accounts", "comparing with"])
def test_a_system_account_that_somebody_makes_stays_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    made = locks_root(bench, monkeypatch)
    ended = undone(bench, made.id, Meanwhile(at, lambda: adds_a_system_account(bench)))
    assert ended.status == "committed"
    assert there(bench) == {name: WITH_BACKUP[name] + SVC.get(name, "") for name in there(bench)}


@pytest.mark.parametrize("at", ["writing the restore", "comparing with"])
def test_a_password_of_a_system_account_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    made = locks_root(bench, monkeypatch)
    act = changes(bench, "shadow", "backup:old", "backup:NEW")
    ended = undone(bench, made.id, Meanwhile(at, act))
    assert ended.status == "committed" and "backup:NEW" in bench.read("/etc/shadow")


def test_what_goes_back_of_system_accounts_while_packages_go_is_kept_and_named(
    bench: Bench,
) -> None:
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    made = tx.commit()
    act = changes(bench, "shadow", "backup:old", "backup:NEW")
    ended = undone(bench, made.id, Meanwhile("writing the restore", act))
    assert ended.status == "committed" and "backup:old" in bench.read("/etc/shadow")
    assert "/etc/shadow was changed by something else meanwhile; as it was found" in ended.reason
    (found,) = found_of(bench, ended.id)
    assert b"backup:NEW" in content_in(bench, found, "/etc/shadow")


def test_accounts_of_packages_that_come_back_are_nobodys(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    put(bench, {name: bench.read(f"/etc/{name}") + line for name, line in SVC.items()})
    made = tx.commit()
    ended = undone(bench, made.id, Silent())
    assert ended.status == "committed" and ended.reason == ""


@pytest.mark.parametrize("packages", [(), ("fail2ban",)])
def test_an_account_that_somebody_made_by_hand_keeps_its_home(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, packages: tuple[str, ...]
) -> None:
    programs = Programs(monkeypatch)
    tx = bench.begin("s", roots=(Root("/home/bob", content=True),))
    if packages:
        tx.perform(InstallPackages(packages))

    def work() -> None:
        programs.perform(
            tx, "useradd", "--home-dir", "/home/bob", "bob",
            act=lambda: os.kill(os.getpid(), signal.SIGKILL),
        )  # fmt: skip

    dies_in_the_middle(bench, work)
    tx._held.close()
    put(bench, {"passwd": f"{bench.read('/etc/passwd')}bob:x:1002:1002::/home/bob:/bin/sh\n"})
    put(bench, {"shadow": f"{bench.read('/etc/shadow')}bob:hers:2::::::\n"})
    bench.host.put("/home/bob", DIRECTORY)
    bench.host.write_file("/home/bob/letter", b"hers\n")
    theirs = there(bench)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and "and 2 more were changed" in ended.reason
    assert there(bench) == theirs and bench.read("/home/bob/letter") == "hers\n"


def test_a_stale_line_of_the_name_that_an_account_of_ours_had_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists(bench, subuid="svc:100000:65536\n")
    programs = Programs(monkeypatch)
    tx = bench.begin("s")
    programs.perform(tx, "useradd", "svc", act=lambda: adds_a_system_account(bench))
    changes(bench, "shadow", "ann:a", "ann:A")()
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert "svc" not in bench.read("/etc/passwd") and "ann:A" in bench.read("/etc/shadow")
    assert bench.read("/etc/subuid") == "svc:100000:65536\n"


def test_copies_of_lists_are_not_counted() -> None:
    keys: set[Key] = {("files", f"/etc/{name}") for name in ("group", "group-", "passwd-")}
    assert sentence(keys).startswith("/etc/group and 1 more were changed by something else")


@pytest.mark.parametrize("at", ["putting accounts", "comparing with"])
def test_an_undo_that_was_cut_off_before_or_after_it_wrote_the_lists(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    programs = Programs(monkeypatch)
    tx = bench.begin("s")
    programs.perform(tx, "useradd", "svc", act=lambda: adds_a_system_account(bench))
    made = tx.commit()
    with_svc = there(bench)

    def work() -> None:
        undone(bench, made.id, Meanwhile(at, lambda: os.kill(os.getpid(), signal.SIGKILL)))

    dies_in_the_middle(bench, work)
    for name, line in SVC.items():
        put(bench, {name: bench.read(f"/etc/{name}") + line.replace("svc", "bob")})
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert {name: sorted(text.splitlines()) for name, text in there(bench).items()} == {
        name: sorted([*text.splitlines(), *SVC.get(name, "").replace("svc", "bob").splitlines()])
        for name, text in with_svc.items()
    }


def test_no_name_comes_to_stand_twice() -> None:
    passwd = "/etc/passwd"
    root, svc, other = b"root:x:0:0", b"svc:x:999:999", b"svc:x:998:998"
    now = {passwd: [root, other]}
    assert made_whole({passwd: [root, svc, other]}, {passwd: [root, svc]}, {}, now) == now
    twice = {passwd: [root, svc, svc]}
    assert made_whole(twice, twice, twice, twice) == twice
