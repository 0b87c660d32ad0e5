"""Ways back where lists of accounts are odd, something kept is damaged, a disk is full, or an
attempt was made before: none stops on the way, and nothing of others goes."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from host.base import FileState, Host, HostError
from snapshots import objects
from snapshots.edited_since import edited_since
from snapshots.execute import execute
from snapshots.members import merge_accounts
from snapshots.model import Change, InstallPackages
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, dies_in_the_middle
from tests.unit.test_others_edits import Programs, lists, waiting
from tests.unit.test_persons import AGED, put
from tests.unit.test_snapshots_meanwhile import DIRECTORY, Meanwhile, undone, write

DATA = "/var/lib/fail2ban"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    put(bench, AGED)
    return bench


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(monkeypatch)


def sets_a_password(bench: Bench) -> None:
    lists(bench, shadow=bench.read("/etc/shadow").replace("ann:a:1:", "ann:A:2:"))


def stored(bench: Bench, text: str) -> Path:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return bench.state.objects / sha256[:2] / sha256


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("undoes", [False, True])
def test_an_account_has_several_ranges_of_subordinate_ids(bench: Bench, undoes: bool) -> None:
    ranges = "root:100000:65536\nroot:1000:1\nann:165536:65536\n"
    lists(bench, subuid=ranges, subgid=ranges)
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    lists(bench, subuid=f"{ranges}ann:300000:65536\n")
    if undoes:
        assert undone(bench, tx.commit().id, Silent()).status == "committed"
    else:
        assert tx.roll_back("failed").status == "rolled-back"
    assert bench.read("/etc/subuid") == f"{ranges}ann:300000:65536\n"
    assert bench.read("/etc/subgid") == ranges


@pytest.mark.parametrize("odd", ["\n", "# of this site\n", "+\n", "no colons"])
@pytest.mark.parametrize("which", ["gshadow", "group", "shadow", "passwd"])
def test_a_line_that_is_no_account_stops_no_way_back(bench: Bench, odd: str, which: str) -> None:
    lists(bench, **{which: AGED[which] + odd})
    tx = bench.begin("s")
    tx.perform(write("/etc/motd", "ours\n"))
    sets_a_password(bench)
    assert tx.roll_back("failed").status == "rolled-back"
    assert "ann:A:2:" in bench.read("/etc/shadow")
    assert bench.read(f"/etc/{which}").endswith(odd)


def test_a_full_disk_stops_no_way_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tx = bench.begin("s")
    tx.perform(write("/etc/motd", "ours\n"))
    sets_a_password(bench)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(objects, "_write", full)
    assert tx.roll_back("failed").status == "rolled-back"
    assert bench.host.state("/etc/motd") is None


@pytest.mark.parametrize("packages", [False, True])
def test_damage_to_a_list_that_nothing_needs_is_mended_at_the_next_capture(
    bench: Bench, packages: bool
) -> None:
    bench.apply("a", write("/etc/motd", "x\n"))
    damage(stored(bench, AGED["group"]))
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)) if packages else write("/etc/motd", "y\n"))
    sets_a_password(bench)
    assert tx.roll_back("failed").status == "rolled-back"
    assert "ann:A:2:" in bench.read("/etc/shadow")
    done = bench.apply("s", InstallPackages(("fail2ban",)))
    damage(stored(bench, AGED["group"]))
    assert bench.undo(done.id).status == "committed"


@pytest.mark.parametrize("packages", [False, True])
def test_a_waiting_change_goes_back_although_its_list_is_damaged(
    bench: Bench, packages: bool
) -> None:
    bench.host.write_file("/etc/motd", b"old\n")
    if packages:
        tx = waiting(bench)
        tx.perform(write("/etc/motd", "ours\n"))
        tx.perform(InstallPackages(("fail2ban",)))
        pending, back = tx.commit().id, "old\n"
    else:
        done = bench.apply("s", write("/etc/motd", "ours\n"))
        pending, back = bench.guarded_undo(done.id).id, "ours\n"
    damage(Records(bench.state).where(pending) / "delta.jsonl")
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back", ended.reason
    assert bench.read("/etc/motd") == back


def brings_data(host: Host, change: Change, *rest: object) -> None:
    execute(host, change, *rest)  # type: ignore[arg-type]
    if isinstance(change, InstallPackages):
        host.put(DATA, DIRECTORY)
        host.write_file(f"{DATA}/db", b"x")


def with_packages_that_bring_data(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/var", "/var/lib"):
        if bench.host.state(path) is None:
            bench.host.put(path, DIRECTORY)
    monkeypatch.setattr("snapshots.transaction.execute", brings_data)


def test_what_somebody_put_there_stays_also_at_a_second_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_packages_that_bring_data(bench, monkeypatch)
    bench.host.write_file("/etc/a", b"before\n")
    tx = waiting(bench)
    tx.perform(write("/etc/a", "ours\n"))
    tx.perform(InstallPackages(("fail2ban",)))
    assert tx.commit().status == "pending"
    assert edited_since(bench.host, bench.state) == []
    bench.host.write_file(f"{DATA}/mine", b"precious\n")
    content = stored(bench, "before\n")
    content.rename(f"{content}.away")
    (failed,) = recover(bench.host, bench.state, Silent())
    assert failed.status == "needs-person"
    Path(f"{content}.away").rename(content)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert bench.read(f"{DATA}/mine") == "precious\n"
    assert bench.host.state(f"{DATA}/db") is None


def test_what_our_own_first_attempt_put_back_is_not_called_somebodys(
    bench: Bench, programs: Programs
) -> None:
    locked = AGED["shadow"].replace("ann:a", "ann:!a")
    tx = bench.begin("s", progress=Meanwhile("comparing with", lambda: os.kill(os.getpid(), 9)))

    def work() -> None:
        programs.perform(tx, "usermod", "--lock", "ann", act=lambda: lists(bench, shadow=locked))
        tx.roll_back("failed")

    dies_in_the_middle(bench, work)
    tx._held.close()
    (ended,) = recover(bench.host, bench.state, Silent())
    assert bench.read("/etc/shadow") == AGED["shadow"]
    assert "something else" not in ended.reason


def test_the_copy_of_a_list_is_nobodys_edit(bench: Bench, programs: Programs) -> None:
    lists(bench, **{"shadow-": "older\n"})
    tx = waiting(bench)
    aged = AGED["shadow"].replace("ann:a:1:0:99999", "ann:a:1:0:90")
    programs.perform(
        tx, "chage", "--maxdays", "90", "ann",
        act=lambda: lists(bench, **{"shadow-": AGED["shadow"], "shadow": aged}),
    )  # fmt: skip
    tx.commit()
    lists(bench, **{"shadow-": aged, "shadow": aged.replace("root:r", "root:R")})
    assert edited_since(bench.host, bench.state) == []


def test_a_directory_that_became_a_link_onto_itself(bench: Bench) -> None:
    bench.host.put("/etc/app.d", DIRECTORY)
    tx = bench.begin("s")
    tx.perform(write("/etc/app.d/ours", "x\n"))
    bench.host.put("/etc/app.d/ours", None)
    bench.host.put("/etc/app.d", None)
    bench.host.put("/etc/app.d", FileState("symlink", 0o777, target="app.d"))
    assert tx.roll_back("failed").status in ("rolled-back", "needs-person")
    assert [one.status for one in Records(bench.state).all()] != ["open"]


def test_a_long_list_that_both_changed_is_merged_at_once() -> None:
    base, ours, theirs = (
        "".join(f"u{n}:{pw}:1:0:{age}:7:::\n" for n in range(20_000)).encode()
        for pw, age in (("a", 99999), ("A", 99999), ("a", 90))
    )
    merged = merge_accounts("/etc/shadow", base, ours, theirs)
    assert merged == ours.replace(b"99999", b"90")


def test_asking_what_is_written_over_leaves_nothing_behind(bench: Bench) -> None:
    tx = waiting(bench)
    tx.perform(write("/etc/a", "ours\n"))
    tx.commit()
    bench.host.write_file("/etc/a", b"somebody's\n")
    there = kept(bench)
    assert edited_since(bench.host, bench.state) == ["/etc/a"]
    assert kept(bench) == there


def kept(bench: Bench) -> set[Path]:
    return {path for path in bench.state.objects.rglob("*") if path.is_file()}


def test_a_list_that_became_a_link_is_no_list_without_anybody(bench: Bench) -> None:
    done = bench.apply("s", InstallPackages(("fail2ban",)))
    bench.host.write_file("/etc/passwd.real", AGED["passwd"].encode())
    sets_a_password(bench)
    bench.host.put("/etc/passwd", None)
    bench.host.put("/etc/passwd", FileState("symlink", 0o777, target="passwd.real"))
    bench.undo(done.id)
    assert bench.read("/etc/passwd.real") == AGED["passwd"]
    assert bench.host.realpath("/etc/passwd") in ("/etc/passwd", "/etc/passwd.real")
    assert "ann:x:1000" in bench.read(bench.host.realpath("/etc/passwd"))


def test_members_that_are_known_from_elsewhere_stay(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(InstallPackages(("fail2ban",)))
    lists(bench, group=AGED["group"].replace("sudo:x:27:", "sudo:x:27:ldap-admin"))
    assert tx.roll_back("failed").status == "rolled-back"
    assert "sudo:x:27:ldap-admin" in bench.read("/etc/group")


def test_what_a_packages_script_took_is_there_after_a_crash(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_packages_that_bring_data(bench, monkeypatch)
    done = bench.apply("s", InstallPackages(("fail2ban",)))
    bench.host.write_file(f"{DATA}/mine", b"precious\n")

    def wipes() -> None:
        for path in (f"{DATA}/mine", f"{DATA}/db", DATA):
            bench.host.put(path, None)
        os.kill(os.getpid(), 9)

    def work() -> None:
        undone(bench, done.id, Meanwhile("comparing with", wipes))

    dies_in_the_middle(bench, work)
    assert bench.host.state(DATA) is None
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back"
    assert bench.read(f"{DATA}/mine") == "precious\n"


def test_a_short_line_stops_no_way_back_after_a_command_that_failed(
    bench: Bench, programs: Programs
) -> None:
    lists(bench, shadow=f"{AGED['shadow']}old:x:1:0:99999\n")
    tx = bench.begin("s")

    def fails() -> None:
        raise HostError("chage failed")

    with pytest.raises(HostError):
        programs.perform(tx, "chage", "--inactive", "45", "old", act=fails)
    sets_a_password(bench)
    assert tx.roll_back("chage failed").status == "rolled-back"
    assert "ann:A:2:" in bench.read("/etc/shadow")


def test_a_look_at_what_was_edited_writes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tx = waiting(bench)
    tx.perform(write("/etc/motd", "ours\n"))
    tx.commit()
    bench.host.write_file("/etc/motd", b"theirs\n")

    def full(*_: object) -> str:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(objects.ObjectStore, "add", full)
    assert edited_since(bench.host, bench.state) == ["/etc/motd"]
