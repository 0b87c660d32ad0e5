"""Transactions on the practice host: commit, go back, recover, undo."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from host.base import HostError
from snapshots import history, opening, recover, settle, undo
from snapshots.durable import sync_directory
from snapshots.model import (
    Conflict,
    FileItem,
    InstallPackages,
    MakeLink,
    RemoveFile,
    RunCommand,
    SnapshotError,
    TransactionRecord,
    Validation,
    WriteFile,
)
from snapshots.objects import ObjectStore
from snapshots.points import Points
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.unfinished import to_recover
from tests.unit.snapshots_host import Bench, dies_in_the_middle

DROP_IN = "/etc/ssh/sshd_config.d/00-test.conf"
MOTD = "/etc/motd"
MARTIANS = RunCommand(argv=("sysctl", "-w", "net.ipv4.conf.all.log_martians=1"), why="log them")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def write(content: str, path: str = DROP_IN, *, secret: bool = False) -> WriteFile:
    return WriteFile(path=path, content=content.encode(), secret=secret)


def everything() -> tuple[WriteFile | InstallPackages | RunCommand, ...]:
    stop = RunCommand(argv=("systemctl", "disable", "--now", "cups.service"), why="not needed")
    return (write("MaxAuthTries 3\n"), InstallPackages(("ufw",)), MARTIANS, stop)


def test_commit_records_what_changed(bench: Bench) -> None:
    record = bench.apply("a", *everything())
    detail = history.show(bench.state, record.id)
    changed = {(delta.domain, delta.key) for delta in detail.deltas}
    assert ("files", DROP_IN) in changed
    assert ("packages", "ufw") in changed and ("packages", "iptables") in changed
    assert ("kernel", "net.ipv4.conf.all.log_martians") in changed
    assert ("units", "cups.service") in changed
    assert "+MaxAuthTries 3" in next(d.diff for d in detail.deltas if d.key == DROP_IN)
    assert record.status == "committed"
    assert history.verify(bench.state) == []


def test_undo_gives_back_the_first_state(bench: Bench) -> None:
    first = bench.fingerprint()
    record = bench.apply("a", *everything())
    assert bench.fingerprint() != first
    plan = undo.plan_undo(bench.host, bench.state, record.id)
    assert bench.undo(record.id, plan.fingerprint).status == "committed"
    assert bench.fingerprint() == first
    statuses = [(r.kind, r.status) for r in history.transactions(bench.state)]
    assert statuses == [("apply", "undone"), ("rollback", "committed")]
    assert history.open_for_step(bench.state, "a") == []


@pytest.mark.parametrize("newest_first", [True, False])
def test_two_steps_undone_in_either_order(bench: Bench, newest_first: bool) -> None:
    first = bench.fingerprint()
    main = "/etc/ssh/sshd_config"
    one = bench.apply("one", write(bench.read(main) + "# one\n", main), *everything()[1:])
    two = bench.apply(
        "two",
        write(bench.read(main) + "# two\n", main),
        InstallPackages(("fail2ban",)),
        packages=("fail2ban",),
    )
    ids = [two.id, one.id] if newest_first else [one.id, two.id]
    bench.undo(ids[0])
    assert bench.read(main).endswith("# one\n" if newest_first else "# two\n")
    assert ("# two" in bench.read(main)) is not newest_first
    bench.undo(ids[1])
    assert bench.fingerprint() == first


def test_a_package_a_later_step_declared_stays_until_that_is_undone(bench: Bench) -> None:
    first = bench.fingerprint()
    one = bench.apply("one", InstallPackages(("ufw",)))
    two = bench.apply("two", write("x\n"), packages=("ufw",))
    plan = undo.plan_undo(bench.host, bench.state, one.id)
    assert {i.how for i in plan.items if i.domain == "packages"} == {"handed-over"}
    bench.undo(one.id)
    assert "ufw" in bench.host.run(("dpkg-query", "-W")).stdout
    bench.undo(two.id)
    assert bench.fingerprint() == first


def test_a_failure_goes_back_to_the_state_before(bench: Bench) -> None:
    first = bench.fingerprint()
    tx = bench.begin("a")
    for change in everything():
        tx.perform(change)
    with pytest.raises(HostError, match="cannot be had"):
        tx.perform(InstallPackages(("no-such-package",)))
    record = tx.roll_back("no such package")
    assert record.status == "rolled-back"
    assert record.reason.startswith("no such package. As it was found everything is kept in ")
    assert bench.fingerprint() == first


@pytest.mark.parametrize(("damaged", "named"), [(b"cut off", ()), (b"preciouz\n", (MOTD,))])
def test_what_was_damaged_is_kept_anew_while_the_host_has_it(
    bench: Bench, damaged: bytes, named: tuple[str, ...]
) -> None:
    """A content kept earlier is relied on by what goes back; in time it can still be had."""
    bench.host.write_file(MOTD, b"precious\n")
    bench.apply("earlier", WriteFile(path="/etc/issue", content=b"x\n"))
    kept = ObjectStore(bench.state.objects).where(hashlib.sha256(b"precious\n").hexdigest())
    kept.write_bytes(damaged)
    tx = opening.begin(
        bench.host, bench.state, steps=("later",), title="later", user="tester", named=named,
        progress=Silent(),
    )  # fmt: skip
    tx.perform(WriteFile(path=MOTD, content=b"new\n"))
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert bench.read(MOTD) == "precious\n"
    assert history.verify(bench.state) == []


def test_a_damaged_list_is_written_anew_by_the_next_restore_point(bench: Bench) -> None:
    one = bench.apply("one", WriteFile(path="/etc/issue", content=b"x\n"))
    store = ObjectStore(bench.state.objects)
    points = Points(bench.state.points, store)
    shared = points.manifest(f"{one.id}.after").chunks
    for sha256 in shared.values():
        content = bytearray(store.get(sha256))
        content[-2] ^= 1
        store.where(sha256).write_bytes(content)
    tx = bench.begin("two")
    tx.perform(WriteFile(path=MOTD, content=b"new\n"))
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert history.verify(bench.state) == []


def test_a_configuration_that_does_not_hold_is_refused(bench: Bench) -> None:
    tx = opening.begin(
        bench.host,
        bench.state,
        steps=("a",),
        title="a",
        user="tester",
        validations=(Validation(("sshd", "-t")), Validation(("no-such-program", "-t"))),
        progress=Silent(),
    )
    tx.perform(write("NoSuchKeyword yes\n"))
    with pytest.raises(SnapshotError, match="does not accept"):
        tx.validate()
    assert tx.roll_back("invalid").status == "rolled-back"
    assert bench.host.state(DROP_IN) is None


def test_a_killed_transaction_is_recovered(bench: Bench) -> None:
    first = bench.fingerprint()

    def work() -> None:
        tx = bench.begin("a")
        for change in everything():
            tx.perform(change)

    dies_in_the_middle(bench, work)
    fresh = Bench(bench.state.path.parent)
    assert fresh.fingerprint() != first
    assert [r.steps for r in to_recover(Records(fresh.state).all())] == [("a",)]
    with pytest.raises(SnapshotError, match="harden-tui recover"):
        fresh.begin("b")
    (record,) = recover.recover(fresh.host, fresh.state, Silent())
    assert record.status == "rolled-back"
    assert fresh.fingerprint() == first
    assert recover.recover(fresh.host, fresh.state, Silent()) == []


def test_a_killed_undo_is_recovered_to_before_the_undo(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = bench.apply("a", *everything())
    applied = bench.fingerprint()

    def work() -> None:
        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("snapshots.settle.prepare", dies)
        monkeypatch.setattr("snapshots.transaction.Transaction.roll_back", dies)
        bench.undo(record.id)

    dies_in_the_middle(bench, work)
    fresh = Bench(bench.state.path.parent)
    assert fresh.fingerprint() != applied
    (ended,) = recover.recover(fresh.host, fresh.state, Silent())
    assert (ended.kind, ended.status) == ("rollback", "rolled-back")
    assert fresh.fingerprint() == applied
    assert Records(fresh.state).read(record.id).status == "committed"
    assert fresh.undo(record.id).status == "committed"


def test_an_undo_killed_after_it_counted_is_finished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.fingerprint()
    one = bench.apply("one", write("A 1\n"))
    two = bench.apply("two", write("A 1\nB 2\n"))

    def work() -> None:
        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("snapshots.settle._finish", dies)
        monkeypatch.setattr("snapshots.transaction.Transaction.roll_back", dies)
        bench.undo(one.id)

    dies_in_the_middle(bench, work)
    fresh = Bench(bench.state.path.parent)
    assert fresh.read(DROP_IN) == "B 2\n"
    assert recover.recover(fresh.host, fresh.state, Silent()) == []
    assert Records(fresh.state).read(one.id).status == "undone"
    fresh.undo(two.id)
    assert fresh.fingerprint() == first


@pytest.mark.parametrize("synced", [".settle", "transaction"])
def test_an_undo_whose_differences_found_no_room_leaves_none_of_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, synced: str
) -> None:
    record = bench.apply("one", write("A 1\n"))
    applied = bench.fingerprint()

    def fails(path: Path) -> None:
        if path.name == synced or (synced == "transaction" and (path / settle.FOLDER).exists()):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync_directory(path)

    with monkeypatch.context() as patch:
        patch.setattr("snapshots.settle.sync_directory", fails)
        ended = bench.undo(record.id)
    assert ended.status == "rolled-back" and bench.fingerprint() == applied
    left = {path.name for path in (bench.state.transactions / ended.id).iterdir()}
    assert not left & {".settle", settle.FOLDER}
    assert bench.undo(record.id).status == "committed"


def test_an_undo_is_finished_although_the_disk_fails_once_at_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = bench.apply("one", write("A 1\n"))
    finish, failed = settle._finish, list[str]()

    def fails_once(records: Records, record: TransactionRecord, folder: Path) -> None:
        if not failed:
            failed.append(record.id)
            raise OSError(errno.ENOSPC, "No space left on device")
        finish(records, record, folder)

    monkeypatch.setattr("snapshots.settle._finish", fails_once)
    ended = bench.undo(one.id)
    assert failed == [ended.id] and ended.status == "committed"
    records = Records(bench.state)
    assert records.read(one.id).status == "undone"
    assert not (records.where(ended.id) / settle.FOLDER).exists()


def test_an_administrators_edit_in_the_same_place_is_a_conflict(bench: Bench) -> None:
    main = "/etc/ssh/sshd_config"
    record = bench.apply("a", write("MaxAuthTries 3\n", main))
    bench.host.write_file(main, b"MaxAuthTries 9\n")
    before = bench.fingerprint()
    plan = undo.plan_undo(bench.host, bench.state, record.id)
    (conflict,) = plan.conflicts
    assert [side.label for side in conflict.sides] == ["before", "now", "after"]
    assert conflict.sides[1].text == "MaxAuthTries 9\n"
    with pytest.raises(Conflict, match="nothing was touched"):
        bench.undo(record.id)
    assert bench.fingerprint() == before
    assert len(history.transactions(bench.state)) == 1


def test_an_undo_that_was_approved_is_exact(bench: Bench) -> None:
    record = bench.apply("a", write("A 1\n"))
    plan = undo.plan_undo(bench.host, bench.state, record.id)
    bench.host.write_file(DROP_IN, b"A 1\nmine\n")
    with pytest.raises(SnapshotError, match="changed since"):
        bench.undo(record.id, plan.fingerprint)
    bench.undo(record.id)
    assert bench.read(DROP_IN) == "mine\n"


def test_an_undo_that_fails_goes_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    record = bench.apply("a", *everything())
    applied = bench.fingerprint()
    original = type(bench.host).run

    def run(self: object, argv: tuple[str, ...], **rest: object) -> object:
        if argv[:2] == ("dpkg", "--purge"):
            raise HostError("dpkg broke")
        return original(self, argv, **rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(type(bench.host), "run", run)
    ended = bench.undo(record.id)
    assert ended.status == "rolled-back"
    assert "dpkg broke" in ended.reason
    assert bench.fingerprint() == applied
    assert Records(bench.state).read(record.id).status == "committed"


def test_where_going_back_fails_too_nobody_is_told_that_the_host_is_as_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = bench.apply("a", *everything())
    original = type(bench.host).run

    def run(self: object, argv: tuple[str, ...], **rest: object) -> object:
        if argv[0] == "dpkg" or argv[:2] == ("systemctl", "daemon-reload"):
            raise HostError("the disk is dying")
        return original(self, argv, **rest)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(type(bench.host), "run", run)
    ended = bench.undo(record.id)
    assert ended.status == "needs-person"
    assert "as before" not in ended.reason
    assert ended.reason.startswith(
        "the disk is dying. Going back failed too: the disk is dying. The"
    )


@pytest.mark.parametrize("programs", [True, False])
def test_what_programs_wrote_is_on_the_disk_before_a_record_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, programs: bool
) -> None:
    synced: list[str] = []

    def sync(host: object, paths: object) -> None:
        synced.extend(record.status for record in Records(bench.state).all())

    monkeypatch.setattr(type(bench.host), "sync", sync)
    changes = (InstallPackages(("ufw",)),) if programs else ()
    record = bench.apply("a", WriteFile(path="/etc/new.conf", content=b"x\n"), *changes)
    assert synced == (["open", "open"] if programs else [])
    bench.undo(record.id)
    assert synced[2:] == (["committed", "open"] * 2 if programs else [])


def test_links_and_removals_come_back(bench: Bench) -> None:
    first = bench.fingerprint()
    record = bench.apply("a", RemoveFile("/etc/motd"), MakeLink("/etc/new", "/etc/passwd"))
    assert bench.host.state("/etc/motd") is None
    bench.undo(record.id)
    assert bench.fingerprint() == first


class TestSecrets:
    PATH = "/etc/secret.conf"

    def stored(self, bench: Bench, word: bytes) -> list[Path]:
        return [p for p in bench.state.path.rglob("*") if p.is_file() and word in p.read_bytes()]

    def test_content_is_nowhere(self, bench: Bench) -> None:
        bench.apply("a", write("password=hunter2\n", self.PATH, secret=True))
        bench.apply("b", write("A 1\n"))
        assert self.stored(bench, b"hunter2") == []

    def test_its_creation_is_undone(self, bench: Bench) -> None:
        first = bench.fingerprint()
        record = bench.apply("a", write("password=hunter2\n", self.PATH, secret=True))
        bench.apply("b", write("A 1\n"))
        bench.undo(record.id)
        assert bench.host.state(self.PATH) is None
        bench.undo(history.transactions(bench.state)[1].id)
        assert bench.fingerprint() == first

    def test_what_was_no_secret_comes_back(self, bench: Bench) -> None:
        bench.host.write_file(self.PATH, b"password=unset\n")
        first = bench.fingerprint()
        record = bench.apply("a", write("password=hunter2\n", self.PATH, secret=True))
        bench.undo(record.id)
        assert bench.fingerprint() == first

    def test_a_replaced_secret_comes_back(self, bench: Bench) -> None:
        bench.apply("a", write("password=hunter2\n", self.PATH, secret=True))
        second = bench.apply("b", write("password=hunter3\n", self.PATH, secret=True))
        assert self.stored(bench, b"hunter3") == []
        bench.undo(second.id)
        assert bench.read(self.PATH) == "password=hunter2\n"

    def test_an_undo_that_fails_puts_it_back_and_keeps_no_copy(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench.host.write_file(self.PATH, b"password=unset\n")
        record = bench.apply("a", write("password=hunter2\n", self.PATH, secret=True))

        def breaks(*_: object, **__: object) -> None:
            raise HostError("the disk broke")

        with monkeypatch.context() as broken:
            broken.setattr("snapshots.settle.prepare", breaks)
            ended = bench.undo(record.id)
        assert (ended.status, bench.read(self.PATH)) == ("rolled-back", "password=hunter2\n")
        assert self.stored(bench, b"hunter2") == []
        assert bench.undo(record.id).status == "committed"
        assert bench.read(self.PATH) == "password=unset\n"

    def test_going_back_needs_no_content(self, bench: Bench) -> None:
        bench.apply("a", write("password=hunter2\n", self.PATH, secret=True))
        tx = bench.begin("b")
        tx.perform(write("A 1\n"))
        assert tx.roll_back("no").status == "rolled-back"
        assert bench.read(self.PATH) == "password=hunter2\n"

    def test_a_first_secret_that_failed_goes_back(self, bench: Bench) -> None:
        bench.host.write_file(self.PATH, b"password=unset\n")
        first = bench.fingerprint()
        tx = bench.begin("a")
        tx.perform(write("password=hunter2\n", self.PATH, secret=True))
        assert tx.roll_back("no").status == "rolled-back"
        assert bench.fingerprint() == first
        tx = bench.begin("b")
        tx.perform(write("A 1\n"))
        tx.commit()


def test_the_way_back_is_there_before_the_first_change(bench: Bench) -> None:
    tx = bench.begin("a")
    point = bench.state.points / f"{tx.id}.before"
    assert (point / "manifest.json").exists() and (point / "restore.sh").exists()
    assert Records(bench.state).read(tx.id).status == "open"
    tx.roll_back("enough")


def test_what_no_capture_covers_is_not_a_difference(bench: Bench) -> None:
    record: TransactionRecord = bench.apply("a", write("same\n"), write("same\n"))
    deltas = Records(bench.state).deltas(record.id)
    assert [d.key for d in deltas] == [DROP_IN]
    assert isinstance(deltas[0].after, FileItem)


def test_an_undo_that_is_not_proved_goes_back(bench: Bench) -> None:
    first = bench.fingerprint()
    record = bench.apply("a", WriteFile(path="/etc/a.conf", content=b"a\n"))
    applied = bench.fingerprint()

    def unproved() -> None:
        assert bench.host.state("/etc/a.conf") is None
        raise SnapshotError("a site does not answer")

    ended = bench.undo(record.id, prove=unproved)
    assert ended.status == "rolled-back" and "a site does not answer" in ended.reason
    assert bench.fingerprint() == applied
    assert bench.undo(record.id).status == "committed"
    assert bench.fingerprint() == first


@pytest.mark.parametrize("asks", [True, False])
def test_an_undo_without_room_for_its_way_back_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, asks: bool
) -> None:
    record = bench.apply("a", write("MaxAuthTries 3\n"))
    bench.host.write_file("/etc/added-since", b"by somebody\n")

    def full(_store: ObjectStore, _content: bytes) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as no_room:
        no_room.setattr(ObjectStore, "add", full)
        with pytest.raises(SnapshotError, match="nothing was changed on the host"):
            if asks:
                undo.plan_undo(bench.host, bench.state, record.id)
            else:
                bench.undo(record.id)
    assert bench.read(DROP_IN) == "MaxAuthTries 3\n"
    assert bench.undo(record.id).status == "committed"
