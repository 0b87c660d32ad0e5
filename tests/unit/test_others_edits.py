"""Whose a difference is, where ours and others' lie close together: one directory, one list."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from host.base import Completed, FileState, HostError
from host.practice import PracticeHost
from snapshots import capture, going_back, opening
from snapshots.daemons import pulled
from snapshots.edited_since import edited_since
from snapshots.guard_switch import Switch
from snapshots.model import (
    Activation,
    Change,
    Delta,
    InstallPackages,
    MakeLink,
    RemoveFile,
    Root,
    RunCommand,
    RunSql,
    SealTree,
    TestRestore,
    TransactionRecord,
    ValueItem,
    WriteFile,
)
from snapshots.others import AtWork, Others, started_again
from snapshots.own_by_journal import own_of
from snapshots.programs import may_write
from snapshots.progress import Silent
from snapshots.reached import of_change
from snapshots.records import Records
from snapshots.recover import recover
from snapshots.transaction import Transaction
from snapshots.uncaptured import refusals
from tests.unit.snapshots_host import Bench, Waits, dies_in_the_middle
from tests.unit.test_snapshots_meanwhile import (
    DIRECTORY,
    Meanwhile,
    content_in,
    found_of,
    undone,
    write,
)

CRON = "/etc/cron.d/backup"
UNIT = "/etc/systemd/system"
DROP_IN = f"{UNIT}/app.service.d"
MOMENTS = ("writing the restore", "putting files", "comparing with")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    for path in ("/etc/cron.d", "/etc/systemd", UNIT):
        bench.host.put(path, DIRECTORY)
    bench.host.write_file("/etc/motd", b"old\n")
    return bench


class Programs:
    """What programs do on the practice host, as told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.does: dict[tuple[str, ...], Callable[[], None]] = {}
        self.says: dict[tuple[str, ...], str] = {}
        real = PracticeHost.run

        def run(host: PracticeHost, argv: tuple[str, ...], **how: object) -> Completed:
            if act := self.does.get(tuple(argv)):
                act()
                return Completed(tuple(argv), 0, "", "", 0.0)
            if told := self.says.get(tuple(argv)):
                return Completed(tuple(argv), 0, told, "", 0.0)
            return real(host, argv, **how)  # type: ignore[arg-type]

        monkeypatch.setattr(PracticeHost, "run", run)

    def perform(self, tx: Transaction, *argv: str, act: Callable[[], None]) -> None:
        self.does[argv] = act
        tx.perform(RunCommand(argv=argv, why="a test"))


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(monkeypatch)


def waiting(bench: Bench, *roots: Root) -> Transaction:
    return opening.begin(
        bench.host, bench.state, steps=("s",), title="s", user="t", progress=Silent(),
        switch=cast(Switch, Waits()), roots=roots,
    )  # fmt: skip


def lists(bench: Bench, **texts: str) -> None:
    for name, text in texts.items():
        bench.host.write_file(f"/etc/{name}", text.encode())


def recovered(bench: Bench) -> TransactionRecord:
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    return ended


def locks_root(bench: Bench) -> Callable[[], None]:
    return lambda: lists(bench, shadow="root:!x\nalice:old\n")


def killed_after_locking_root(bench: Bench, programs: Programs) -> Transaction:
    lists(bench, passwd="root:x:0\nalice:x:1000\n", shadow="root:x\nalice:old\n")
    tx = bench.begin("s")
    programs.perform(tx, "usermod", "--lock", "root", act=locks_root(bench))
    tx._held.close()
    return tx


def test_what_lies_beside_what_a_program_wrote_stays_after_a_crash(
    bench: Bench, programs: Programs
) -> None:
    """A program that writes by renaming changes the directory, too: /etc itself, mostly."""
    killed_after_locking_root(bench, programs)
    bench.host.write_file("/etc/motd", b"of the administrator\n")
    bench.host.write_file(CRON, b"of the administrator\n")
    ended = recovered(bench)
    assert f"{CRON} and 1 more were changed by something else meanwhile" in ended.reason
    assert bench.read("/etc/motd") == bench.read(CRON) == "of the administrator\n"
    assert bench.read("/etc/shadow") == "root:x\nalice:old\n"


@pytest.mark.parametrize("waits", [True, False])
def test_what_came_into_a_directory_of_which_only_the_mode_changed_stays(
    bench: Bench, programs: Programs, waits: bool
) -> None:
    def chmod() -> None:
        bench.host.put("/etc/cron.d", FileState(kind="dir", mode=0o700))
        os.utime(bench.host.directory / "root/etc/cron.d")  # its ctime, on the practice host

    tx = waiting(bench) if waits else bench.begin("s")
    programs.perform(tx, "chmod", "0700", "/etc/cron.d", act=chmod)
    if waits:
        tx.commit()
    else:
        tx._held.close()
    bench.host.write_file(CRON, b"of the administrator\n")
    recovered(bench)
    assert bench.read(CRON) == "of the administrator\n"
    state = bench.host.state("/etc/cron.d")
    assert state is not None and state.mode == 0o755


def test_the_mode_of_a_directory_above_is_whose_it_is(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(write(f"{UNIT}/x.service", "x\n"))
    bench.host.put(UNIT, FileState(kind="dir", mode=0o700))
    done = tx.commit()
    assert f"{UNIT} was changed by something else meanwhile" in done.reason
    assert undone(bench, done.id, Silent()).status == "committed"
    state = bench.host.state(UNIT)
    assert state is not None and state.mode == 0o700


@pytest.mark.parametrize("at", ["failing", *MOMENTS])
def test_a_new_directory_stays_as_long_as_something_of_others_lies_in_it(
    bench: Bench, at: str
) -> None:
    def edit() -> None:
        if bench.host.state(DROP_IN) is None:
            bench.host.put(DROP_IN, DIRECTORY)
        bench.host.write_file(f"{DROP_IN}/override.conf", b"[Service]\n")

    tx = bench.begin("s")
    tx.perform(write(f"{DROP_IN}/10-ours.conf", "x\n"))
    if at == "failing":
        edit()
        ended = tx.roll_back("a proof failed")
        assert ended.status == "rolled-back", ended.reason
    else:
        ended = undone(bench, tx.commit().id, Meanwhile(at, edit))
        assert ended.status == "committed", ended.reason
    assert f"{DROP_IN}/override.conf was changed by something else meanwhile" in ended.reason
    assert bench.host.listdir(DROP_IN) == ["override.conf"]
    assert recover(bench.host, bench.state, Silent()) == []


def test_a_file_beside_the_links_that_systemctl_makes_is_not_its_own(
    bench: Bench, programs: Programs
) -> None:
    tx = bench.begin("s")
    link = f"{UNIT}/site.target.wants/x.service"

    def enable() -> None:
        bench.host.put(f"{UNIT}/site.target.wants", DIRECTORY)
        bench.host.put(link, FileState(kind="symlink", target="/usr/lib/x.service"))

    programs.perform(tx, "systemctl", "enable", "x.service", act=enable)
    bench.host.put(DROP_IN, DIRECTORY)
    bench.host.write_file(f"{DROP_IN}/override.conf", b"[Service]\n")
    done = tx.commit()
    assert {delta.key for delta in Records(bench.state).deltas(done.id)} == {
        f"{UNIT}/site.target.wants", link,
    }  # fmt: skip
    assert undone(bench, done.id, Silent()).status == "committed"
    assert bench.read(f"{DROP_IN}/override.conf") == "[Service]\n"
    assert bench.host.state(link) is None


@pytest.mark.parametrize(
    ("change", "own", "not_own"),
    [
        (SealTree("/srv/app", (), 3), "/srv/app/x", "/etc/motd"),
        (RunSql(sql=("SELECT 1",), why="w"), "", "/etc/motd"),
        (TestRestore("app", "/var/lib/x.json"), "/var/lib/x.json", "/etc/motd"),
        (RunCommand(argv=("newaliases",), why="w"), "/etc/aliases.lmdb", "/etc/motd"),
    ],
)
def test_what_takes_minutes_may_not_write_everywhere(
    change: Change, own: str, not_own: str
) -> None:
    may = may_write(change)
    assert not may(not_own) and (not own or may(own))


def kept_and_told(bench: Bench, ended: TransactionRecord) -> bool:
    (found,) = found_of(bench, ended.id)
    kept = f"as it was found it is kept in {bench.state.points / found}."
    return f"/etc/a was changed by something else meanwhile; {kept}" in ended.reason


@pytest.mark.parametrize(
    "change",
    [
        RemoveFile("/etc/a"), MakeLink("/etc/link", "motd"),
        WriteFile(path="/etc/a", content=b"password\n", secret=True),
    ],
)  # fmt: skip
def test_an_edit_of_the_very_file_is_kept_and_told(bench: Bench, change: Change) -> None:
    if not isinstance(change, MakeLink):
        bench.host.write_file("/etc/a", b"old\n")
    tx = bench.begin("s")
    tx.perform(MakeLink("/etc/a", "motd") if isinstance(change, MakeLink) else change)
    bench.host.put("/etc/a", None)
    bench.host.write_file("/etc/a", b"of the administrator\n")
    ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back" and kept_and_told(bench, ended), ended.reason


@pytest.mark.parametrize("killed", [True, False])
def test_an_edit_of_what_an_undo_just_put_back_is_kept_and_told(bench: Bench, killed: bool) -> None:
    bench.host.write_file("/etc/a", b"old\n")
    done = bench.apply("s", write("/etc/a", "ours\n"))

    def fails() -> None:
        if killed:
            os.kill(os.getpid(), signal.SIGKILL)
        bench.host.write_file("/etc/a", b"old\nof the administrator\n")
        raise HostError("a site is worse")

    if killed:

        def work() -> None:
            bench.undo(done.id, prove=fails)

        dies_in_the_middle(bench, work)
        bench.host.write_file("/etc/a", b"old\nof the administrator\n")
        ended = recovered(bench)
    else:
        ended = bench.undo(done.id, prove=fails)
    assert bench.read("/etc/a") == "ours\n" and kept_and_told(bench, ended), ended.reason


def test_what_could_not_be_kept_is_told_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))
    bench.host.write_file("/etc/a", b"of the administrator\n")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(capture.Keeper, "write", full)
    ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back" and found_of(bench, ended.id) == []
    assert "/etc/a was changed by something else meanwhile; it could not be kept." in ended.reason


@pytest.mark.parametrize("how", ["killed", "waits", "twice"])
def test_an_account_that_came_meanwhile_stays_whole(
    bench: Bench, programs: Programs, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    lists(bench, passwd="root:x:0\nalice:x:1000\n", shadow="root:x\nalice:old\n")
    tx = bench.begin("s") if how == "killed" else waiting(bench)
    programs.perform(tx, "usermod", "--lock", "root", act=locks_root(bench))
    if how == "killed":
        tx._held.close()
    else:
        tx.commit()
    lists(
        bench, passwd="root:x:0\nalice:x:1000\nbob:x:1001\n", shadow="root:!x\nalice:new\nbob:pw\n"
    )
    if how == "twice":
        with monkeypatch.context() as patched:

            def stuck(*_: object, **__: object) -> None:
                raise HostError("something is in the way")

            patched.setattr(going_back, "bring_back", stuck)
            (ended,) = recover(bench.host, bench.state, Silent())
            assert ended.status == "needs-person"
    recovered(bench)
    assert bench.read("/etc/passwd") == "root:x:0\nalice:x:1000\nbob:x:1001\n"
    assert bench.read("/etc/shadow") == "root:x\nalice:new\nbob:pw\n"


@pytest.mark.parametrize("waits", [True, False])
def test_a_member_that_came_into_the_very_group_stays(
    bench: Bench, programs: Programs, waits: bool
) -> None:
    """carol comes with the change, is given another password by somebody, and goes with it."""
    before = {
        "passwd": "root:x:0:0\n", "shadow": "root:x\n", "group": "root:x:0:\nsudo:x:27:\n",
        "gshadow": "root:*::\nsudo:*::\n",
    }  # fmt: skip
    lists(bench, **before)
    tx = waiting(bench) if waits else bench.begin("s")
    programs.perform(tx, "useradd", "-G", "sudo", "carol", act=lambda: lists(
        bench, passwd="root:x:0:0\ncarol:x:1000:1000\n", shadow="root:x\ncarol:!\n",
        group="root:x:0:\nsudo:x:27:carol\ncarol:x:1000:\n",
        gshadow="root:*::\nsudo:*::carol\ncarol:!::\n",
    ))  # fmt: skip
    if waits:
        tx.commit()
    bench.host.write_file("/etc/passwd-", b"root:x:0:0\ncarol:x:1000:1000\n")
    lists(
        bench, passwd="root:x:0:0\ncarol:x:1000:1000\nbob:x:1001:1001\n",
        shadow="root:x\ncarol:new\nbob:pw\n",
        group="root:x:0:\nsudo:x:27:carol,bob\ncarol:x:1000:\nbob:x:1001:\n",
        gshadow="root:*::\nsudo:*::carol,bob\ncarol:!::\nbob:!::\n",
    )  # fmt: skip
    ended = recovered(bench) if waits else tx.roll_back("a proof failed")
    assert ended.status == "rolled-back", ended.reason
    assert bench.read("/etc/passwd-") == "root:x:0:0\ncarol:x:1000:1000\n"
    assert {name: bench.read(f"/etc/{name}") for name in before} == {
        "passwd": "root:x:0:0\nbob:x:1001:1001\n",
        "shadow": "root:x\nbob:pw\n",
        "group": "root:x:0:\nsudo:x:27:bob\nbob:x:1001:\n",
        "gshadow": "root:*::\nsudo:*::bob\nbob:!::\n",
    }


def test_without_what_was_left_all_lists_of_accounts_go_back(
    bench: Bench, programs: Programs
) -> None:
    """Half of an account can log in nowhere."""
    tx = killed_after_locking_root(bench, programs)
    store = tx._keeper.store
    store.remove(Records(bench.state).left(tx.id)["/etc/shadow"])
    lists(
        bench, passwd="root:x:0\nalice:x:1000\nbob:x:1001\n", shadow="root:!x\nalice:old\nbob:pw\n"
    )
    recovered(bench)
    assert bench.read("/etc/passwd") == "root:x:0\nalice:x:1000\n"
    assert bench.read("/etc/shadow") == "root:x\nalice:old\n"


def test_what_never_set_out_takes_nothing_back(bench: Bench) -> None:
    """Killed between its record and its journal."""
    tx = bench.begin("s")
    tx._held.close()
    for name in ("journal.jsonl", "tables.json"):
        (Records(bench.state).where(tx.id) / name).unlink()
    bench.host.write_file("/etc/motd", b"of the administrator\n")
    recovered(bench)
    assert bench.read("/etc/motd") == "of the administrator\n"


def test_drift_is_named_only_where_it_shows_it(bench: Bench) -> None:
    """There is none before anything stands, and it looks at /etc alone."""
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))
    bench.host.write_file("/etc/motd", b"of the administrator\n")
    assert "stays as it is." in tx.roll_back("a proof failed").reason
    bench.apply("other", write("/etc/b", "x\n"))
    for path in ("/srv", "/srv/app"):
        bench.host.put(path, DIRECTORY)
    tx = bench.begin("s", roots=(Root("/srv/app", content=True),))
    tx.perform(write("/srv/app/a", "x\n"))
    bench.host.write_file("/srv/app/new", b"x\n")
    assert "stays as it is." in tx.roll_back("a proof failed").reason
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))
    bench.host.write_file("/etc/motd", b"another\n")
    assert "stays as it is; `harden-tui drift` shows it." in tx.roll_back("x").reason


def test_without_systemctl_a_unit_pulls_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert pulled(bench.host, ["a.service"]) == {"a.service"}


def test_the_history_of_etc_goes_forward_only(bench: Bench) -> None:
    """etckeeper commits while apt runs, and after; no undo may take a part of that away."""
    history = {"/etc/.git": DIRECTORY, "/etc/.git/objects": DIRECTORY}
    for path, state in history.items():
        bench.host.put(path, state)
    bench.host.write_file("/etc/.git/index", b"first\n")
    bench.host.write_file("/etc/.etckeeper", b"first\n")
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))
    tx.perform(InstallPackages(("fail2ban",)))
    bench.host.write_file("/etc/.git/index", b"second\n")
    bench.host.write_file("/etc/.git/objects/ab", b"second\n")
    bench.host.write_file("/etc/.etckeeper", b"second\n")
    done = tx.commit()
    bench.host.write_file("/etc/.git/index", b"third\n")
    assert undone(bench, done.id, Silent()).status == "committed"
    assert bench.read("/etc/.git/index") == "third\n"
    assert bench.read("/etc/.git/objects/ab") == bench.read("/etc/.etckeeper") == "second\n"
    failed = bench.begin("s")
    failed.perform(InstallPackages(("fail2ban",)))
    bench.host.write_file("/etc/.git/index", b"fourth\n")
    assert failed.roll_back("a proof failed").status == "rolled-back"
    assert bench.read("/etc/.git/index") == "fourth\n"


def test_a_table_of_others_stays_where_the_packet_filter_goes_back(bench: Bench) -> None:
    chain = Delta("firewall", "ip filter ufw-user-input", None, ValueItem("-j x"))
    nat = Delta("firewall", "ip nat DOCKER", None, ValueItem("-j DNAT"))
    at_work = AtWork()
    at_work.reaches(of_change(["firewall"], "/usr/sbin/ufw --force enable"))
    assert Others([], at_work).among([chain, nat]) == {("firewall", nat.key)}
    at_work.take([Activation("restart", "fail2ban.service")])
    assert Others([], at_work).among([chain, nat]) == {("firewall", nat.key)}
    at_work.take([], ["nftables.service"])
    assert Others([], at_work).among([chain, nat]) == set()


@pytest.mark.parametrize(
    ("argv", "tables"),
    [
        (("ufw", "--force", "enable"), {"ip filter", "ip6 filter"}),
        (("systemctl", "restart", "fail2ban.service"), {"ip filter", "ip6 filter"}),
        (("systemctl", "disable", "--now", "nftables.service"), None),
        (("something",), None),
        (("usermod", "--lock", "root"), frozenset()),
    ],
)
def test_which_tables_a_killed_change_may_have_changed(
    bench: Bench, programs: Programs, argv: tuple[str, ...], tables: set[str] | None
) -> None:
    tx = bench.begin("s")
    programs.perform(tx, *argv, act=lambda: None)
    own = own_of(Records(bench.state), tx.record)
    assert own is not None and own.reach.get("firewall", frozenset()) == tables


def test_a_setting_of_others_stays_where_a_step_sets_some(bench: Bench, programs: Programs) -> None:
    """Also after a crash: the journal says which the program was told."""
    tx = bench.begin("s")
    programs.perform(tx, "sysctl", "-w", "kernel.sysrq=0", act=lambda: None)
    mine = Delta("kernel", "kernel.sysrq", ValueItem("438"), ValueItem("0"))
    theirs = Delta("kernel", "vm.swappiness", ValueItem("60"), ValueItem("10"))
    assert tx.ours.others().among([mine, theirs]) == {("kernel", "vm.swappiness")}
    own = own_of(Records(bench.state), tx.record)
    assert own is not None
    again = AtWork()
    again.reaches(own.reach)
    assert Others(own.named, again).among([mine, theirs]) == {("kernel", "vm.swappiness")}
    again.take([Activation("restart", "systemd-sysctl.service")])
    assert Others(own.named, again).among([mine, theirs]) == set()


@pytest.mark.parametrize("waits", [True, False])
def test_what_recover_would_write_over_is_known_before(bench: Bench, waits: bool) -> None:
    bench.host.write_file("/etc/b", b"before\n")
    bench.host.write_file("/etc/passwd", b"root:x:0:0::/root:/bin/sh\n")
    tx = opening.begin(
        bench.host, bench.state, steps=("s",), title="s", user="t", progress=Silent(),
        switch=cast(Switch, Waits()) if waits else None,
    )  # fmt: skip
    for path in ("/etc/a", "/etc/b", "/etc/c"):
        tx.perform(write(path, "ours\n"))
    tx.perform(write("/etc/passwd", "root:x:0:0::/root:/bin/bash\n"))
    if waits:
        assert tx.commit().status == "pending"
    assert edited_since(bench.host, bench.state) == []
    bench.host.write_file("/etc/a", b"somebody's\n")
    bench.host.write_file("/etc/b", b"before\n")  # what going back makes of it
    bench.host.put("/etc/c", None)
    bench.host.write_file("/etc/d", b"somebody's\n")
    bench.host.write_file("/etc/passwd", b"root:x:0:0::/root:/bin/zsh\n")
    assert edited_since(bench.host, bench.state) == ["/etc/a"]
    assert bench.read("/etc/a") == "somebody's\n"


def test_a_service_that_is_started_again_is_named(bench: Bench) -> None:
    """It may have stopped of the undo; who stopped it shall know that it runs."""
    tx = opening.begin(
        bench.host, bench.state, steps=("s",), title="s", user="t", progress=Silent(),
        activations=(Activation("reload", "ssh.service"),),
    )  # fmt: skip
    tx.perform(write("/etc/a", "x\n"))
    done = tx.commit()

    def stop() -> None:
        bench.host.run(("systemctl", "stop", "cron.service"))

    ended = undone(bench, done.id, Meanwhile("putting files", stop))
    assert ended.status == "committed"
    assert ended.reason == "cron.service had stopped meanwhile and was started again."
    assert {one.unit: one.active for one in bench.host.services()}["cron.service"] == "active"
    assert started_again(["b.service", "a.service"]) == (
        "a.service, b.service had stopped meanwhile and were started again."
    )


@pytest.fixture
def with_carol(bench: Bench, programs: Programs) -> Bench:
    """carol came with the change, which waits for its confirmation."""
    lists(
        bench, passwd="root:x:0:0\n", shadow="root:x\n", gshadow="root:*::\nsudo:*::\n",
        group="root:x:0:\nsudo:x:27:\ndocker:x:999:\n",
    )  # fmt: skip
    tx = waiting(bench)
    programs.perform(tx, "useradd", "carol", act=lambda: lists(
        bench, passwd="root:x:0:0\ncarol:x:1000:1000:bash\n", shadow="root:x\ncarol:!\n",
        group="root:x:0:\nsudo:x:27:carol\ndocker:x:999:\ncarol:x:1000:\n",
        gshadow="root:*::\nsudo:*::carol\ncarol:!::\n",
    ))  # fmt: skip
    tx.commit()
    return bench


def test_an_account_that_the_change_brought_goes_whole(with_carol: Bench) -> None:
    """Though somebody gave it another shell, and a group whose name it would keep."""
    lists(with_carol, passwd="root:x:0:0\ncarol:x:1000:1000:sh\n")
    lists(with_carol, group="root:x:0:\nsudo:x:27:carol\ndocker:x:999:carol\ncarol:x:1000:\n")
    ended = recovered(with_carol)
    (found,) = found_of(with_carol, ended.id)
    kept = f"as it was found it is kept in {with_carol.state.points / found}."
    assert f"/etc/passwd was changed by something else meanwhile; {kept}" in ended.reason
    assert {name: with_carol.read(f"/etc/{name}") for name in ("passwd", "shadow", "group")} == {
        "passwd": "root:x:0:0\n", "shadow": "root:x\n",
        "group": "root:x:0:\nsudo:x:27:\ndocker:x:999:\n",
    }  # fmt: skip


def test_an_account_that_came_between_two_programs_of_ours_stays_whole(
    bench: Bench, programs: Programs
) -> None:
    """The second writes a list in which it stands already."""
    lists(bench, passwd="root:x:0:0\n", shadow="root:x\n", group="root:x:0:\nadm:x:4:\n",
          gshadow="root:*::\nadm:*::\n")  # fmt: skip
    tx = bench.begin("s")
    programs.perform(tx, "usermod", "--lock", "root", act=lambda: lists(bench, shadow="root:!x\n"))
    lists(
        bench, passwd="root:x:0:0\nbob:x:1000:1000\n", shadow="root:!x\nbob:pw\n",
        group="root:x:0:\nadm:x:4:bob\nbob:x:1000:\n", gshadow="root:*::\nadm:*::bob\nbob:!::\n",
    )  # fmt: skip
    programs.perform(tx, "chage", "root", act=lambda: lists(
        bench, shadow="root:!x:9\nbob:pw\n", group="root:x:0:\nadm:x:4:bob,ann\nbob:x:1000:\n"
    ))  # fmt: skip
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert {name: bench.read(f"/etc/{name}") for name in ("passwd", "shadow", "group")} == {
        "passwd": "root:x:0:0\nbob:x:1000:1000\n", "shadow": "root:x\nbob:pw\n",
        "group": "root:x:0:\nadm:x:4:bob\nbob:x:1000:\n",
    }  # fmt: skip
    assert bench.read("/etc/gshadow") == "root:*::\nadm:*::bob\nbob:!::\n"


@pytest.mark.parametrize("how", ["killed", "fails", "undone"])
def test_a_unit_that_somebody_enables_after_our_systemctl_is_theirs(
    bench: Bench, programs: Programs, how: str
) -> None:
    ours, theirs = (f"{UNIT}/site.target.wants/{name}.service" for name in ("app", "shop"))
    bench.host.put(f"{UNIT}/site.target.wants", DIRECTORY)
    link = FileState(kind="symlink", target="/usr/lib/app.service")
    bench.host.put(ours, link)
    tx = bench.begin("s")
    programs.perform(tx, "systemctl", "disable", "app.service",
                     act=lambda: bench.host.put(ours, None))  # fmt: skip
    bench.host.put(theirs, FileState(kind="symlink", target="/usr/lib/shop.service"))
    if how == "killed":
        tx._held.close()
        ended = recovered(bench)
    elif how == "fails":
        ended = tx.roll_back("a proof failed")
    else:
        ended = tx.commit()
        assert undone(bench, ended.id, Silent()).status == "committed"
    assert f"{theirs} was changed by something else meanwhile" in ended.reason
    assert bench.host.state(ours) is not None and bench.host.state(theirs) is not None


def test_what_fills_a_directory_while_packages_go_is_kept(bench: Bench) -> None:
    """Whose it is cannot be told then, so the undo does not take it along as it is."""
    done = bench.apply("s", InstallPackages(("fail2ban",)), write("/etc/newd/ours", "x\n"))

    def fill() -> None:
        bench.host.write_file("/etc/newd/theirs", b"of the administrator\n")

    ended = undone(bench, done.id, Meanwhile("putting files back", fill))
    assert ended.status == "rolled-back", ended.reason
    (found,) = found_of(bench, ended.id)
    assert content_in(bench, found, "/etc/newd/theirs") == b"of the administrator\n"
    assert f"is kept in {bench.state.points / found}" in ended.reason


def test_what_cannot_even_be_looked_at_needs_a_person(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx = bench.begin("s")
    tx.perform(write("/etc/a", "x\n"))

    def broken(*_: object) -> set[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(Records, "named_paths", broken)
        ended = tx.roll_back("a proof failed")
    assert ended.status == "needs-person" and "restore.sh does it by hand" in ended.reason
    assert recovered(bench).status == "rolled-back" and bench.host.state("/etc/a") is None


def test_a_file_of_ours_that_a_program_of_ours_edits_while_packages_come_is_ours(
    bench: Bench, programs: Programs
) -> None:
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    tx.perform(write("/etc/default/x", "a\n"))
    programs.perform(
        tx, "sed", "-i", "s/a/b/", "/etc/default/x",
        act=lambda: bench.host.write_file("/etc/default/x", b"b\n"),
    )  # fmt: skip
    ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back" and "something else" not in ended.reason, ended.reason


@pytest.mark.parametrize("killed", [True, False])
def test_a_unit_that_somebody_stops_after_our_systemctl_is_theirs(
    bench: Bench, programs: Programs, killed: bool
) -> None:
    tx = bench.begin("s")
    programs.perform(tx, "systemctl", "disable", "--now", "cups.service", act=lambda: None)
    for name in ("cups.service", "cron.service"):
        bench.host.run(("systemctl", "stop", name))
    if killed:
        tx._held.close()
        ended = recovered(bench)
    else:
        ended = tx.commit()
        assert {one.key for one in Records(bench.state).deltas(tx.id)} == {"cups.service"}
    assert "The unit cron.service was changed by something else meanwhile" in ended.reason
    active = {one.unit: one.active for one in bench.host.services()}
    assert active["cron.service"] != "active"
    assert (active["cups.service"] == "active") is killed


def test_nothing_is_written_into_the_history_of_etc(bench: Bench) -> None:
    (why,) = refusals(bench.host, [write("/etc/.git/hooks/pre-commit", "x\n")], ())
    assert "/etc/.git/hooks/pre-commit is part of the history of /etc, which is never put" in why


@pytest.mark.parametrize("killed", [True, False])
def test_a_tree_of_dumps_that_came_and_filled_stays(
    bench: Bench, programs: Programs, killed: bool
) -> None:
    bench.host.put("/var/backups", DIRECTORY)
    tx = bench.begin("s", roots=(Root("/var/backups/mariadb", content=False),))

    def first_backup() -> None:
        bench.host.put("/var/backups/mariadb", DIRECTORY)
        bench.host.write_file("/var/backups/mariadb/dump", b"x")

    programs.perform(tx, "systemctl", "start", "backup.service", act=first_backup)
    if killed:
        tx._held.close()
        ended = recovered(bench)
    else:
        ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back", ended.reason
    assert "/var/backups/mariadb stays with what came into it" in ended.reason
    assert bench.read("/var/backups/mariadb/dump") == "x"
