"""What others write while a change or an undo is at work, and names that are no UTF-8."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from host.base import Completed, FileState, HostError
from host.practice import PracticeHost
from snapshots import drift_look, leaving, opening, ours, transaction, undo
from snapshots.daemons import pulled
from snapshots.drift import Choice
from snapshots.drift_settle import settle
from snapshots.guard_switch import Switch
from snapshots.model import (
    Activation,
    Delta,
    FileItem,
    RemoveFile,
    Root,
    RunCommand,
    TransactionRecord,
    ValueItem,
    WriteFile,
)
from snapshots.objects import ObjectStore
from snapshots.others import AtWork, Others
from snapshots.own_by_journal import own_of
from snapshots.points import Points, place_of, point_before
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from steps import recovery
from tests.unit.snapshots_host import Bench, Waits
from tests.unit.test_practice_round_trip import _engine
from tests.unit.test_recovery_words import an_engine

REFUSED = 3
DIRECTORY = FileState(kind="dir", mode=0o755)
LATIN_1 = os.fsdecode(b"/etc/caf\xe9")


def write(path: str, text: str) -> WriteFile:
    return WriteFile(path=path, content=text.encode())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class Meanwhile(Silent):
    """Does something the first time a piece of work begins."""

    def __init__(self, at: str, act: Callable[[], object]) -> None:
        self._at = at
        self._act: Callable[[], object] | None = act
        self._awake = True

    def sleeps(self) -> None:
        """Nothing happens before it `wakes`."""
        self._awake = False

    def wakes(self) -> None:
        self._awake = True

    def doing(self, what: str, done: int = 0, total: int = 0) -> None:
        if self._awake and what.startswith(self._at) and self._act is not None:
            act, self._act = self._act, None
            act()


def undone(bench: Bench, tx_id: str, progress: Silent) -> TransactionRecord:
    return undo.undo(
        bench.host, bench.state, tx_id, expect_fingerprint=None, user="t", progress=progress
    )


def content_in(bench: Bench, point_id: str, path: str) -> bytes:
    store = ObjectStore(bench.state.objects)
    item = Points(bench.state.points, store).load(point_id)["files"][path]
    assert isinstance(item, FileItem)
    return store.get(item.state.sha256)


def found_of(bench: Bench, tx_id: str) -> list[str]:
    points = Points(bench.state.points, ObjectStore(bench.state.objects))
    return [name for name in points.ids() if name.startswith(f"{tx_id}.found")]


def test_an_edit_while_a_change_fails_stays(bench: Bench) -> None:
    bench.host.write_file("/etc/motd", b"old\n")
    bench.host.write_file("/etc/gone", b"x\n")
    tx = bench.begin("s")
    tx.perform(write("/etc/a.conf", "x\n"))
    bench.host.write_file("/etc/motd", b"of the administrator\n")
    bench.host.put("/etc/gone", None)
    bench.host.put("/etc/link", FileState(kind="symlink", target="motd"))
    ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back" and "/etc/gone and 2 more were changed by" in ended.reason
    assert bench.read("/etc/motd") == "of the administrator\n"
    assert bench.host.state("/etc/gone") is None and bench.host.state("/etc/link")
    changed = {delta.key for delta in Records(bench.state).deltas(tx.id)}
    assert changed == {"/etc/a.conf"}


def test_an_edit_while_a_program_of_ours_fails_is_kept(bench: Bench) -> None:
    """It may have made that itself, so it goes back."""
    bench.host.write_file("/etc/motd", b"old\n")
    tx = bench.begin("s")
    tx.perform(RunCommand(argv=("sysctl", "-w", "net.ipv4.ip_forward=1"), why="a test"))
    with tx.ours.at_work.noted(bench.host):
        bench.host.write_file("/etc/motd", b"of the administrator\n")
    assert tx.roll_back("a proof failed").status == "rolled-back"
    assert bench.read("/etc/motd") == "old\n"
    (point,) = found_of(bench, tx.id)
    assert content_in(bench, point, "/etc/motd") == b"of the administrator\n"
    changed = {delta.key for delta in Records(bench.state).deltas(tx.id)}
    assert "/etc/motd" in changed, "history show tells what was found"


def drifted(bench: Bench) -> set[str]:
    answer = drift_look.look(bench.host, bench.state)
    return {one.thing.key for one in answer.seen}


def test_what_others_did_during_a_change_is_none_of_it(bench: Bench) -> None:
    """Nor goes with its undo: it is drift."""
    bench.host.write_file("/etc/motd", b"old\n")
    tx = bench.begin("s")
    tx.perform(write("/etc/new/a.conf", "x\n"))
    bench.host.write_file("/etc/motd", b"mine\n")
    done = tx.commit()
    assert "/etc/motd was changed by something else meanwhile" in done.reason
    assert {delta.key for delta in Records(bench.state).deltas(done.id)} == {
        "/etc/new", "/etc/new/a.conf",
    }  # fmt: skip
    assert drifted(bench) == {"/etc/motd"}
    assert undone(bench, done.id, Silent()).status == "committed"
    assert bench.read("/etc/motd") == "mine\n" and bench.host.state("/etc/new") is None


@pytest.mark.parametrize("unit", ["auditd.service", "app.service"])
def test_what_a_daemon_writes_beside_what_it_takes_is_of_the_change(
    bench: Bench, unit: str
) -> None:
    """Of one that is known to write there; what another wrote may be anybody's."""
    tx = opening.begin(
        bench.host, bench.state, steps=("s",), title="s", user="t",
        activations=(Activation("reload", unit),), progress=Silent(),
    )  # fmt: skip
    tx.perform(write("/etc/audit/rules.d/a.conf", "x\n"))
    tx.activate()
    bench.host.write_file("/etc/audit/made-of-it", b"x\n")
    bench.host.write_file("/etc/motd", b"mine\n")
    done = tx.commit()
    theirs = {"/etc/motd"} | ({"/etc/audit/made-of-it"} if unit == "app.service" else set())
    assert drifted(bench) == theirs
    assert undone(bench, done.id, Silent()).status == "committed"
    assert {path for path in ("/etc/audit/made-of-it", "/etc/motd") if bench.host.state(path)} == (
        theirs
    )


@pytest.mark.parametrize("fails", [True, False])
def test_a_file_that_a_program_of_ours_wrote_too_goes_back(bench: Bench, fails: bool) -> None:
    """What somebody changed in it after that is kept and told, or stays, and is none of ours."""
    bench.host.write_file("/etc/securetty", b"root:x\nalice:old\n")
    bench.host.write_file("/etc/gone", b"x\n")
    tx = bench.begin("s")
    with tx.ours.noted():
        bench.host.write_file("/etc/securetty", b"root:!x\nalice:old\n")
        bench.host.put("/etc/gone", None)
    bench.host.write_file("/etc/securetty", b"root:!x\nalice:new\n")
    if fails:
        ended = tx.roll_back("a proof failed")
        (point,) = found_of(bench, ended.id)
        assert content_in(bench, point, "/etc/securetty") == b"root:!x\nalice:new\n"
        assert point in ended.reason and "/etc/securetty was changed by something" in ended.reason
        assert bench.read("/etc/securetty") == "root:x\nalice:old\n"
    else:
        ended = tx.commit()
        assert "/etc/securetty was changed by something else meanwhile: that is no" in ended.reason
        assert drifted(bench) == {"/etc/securetty"}
        assert undone(bench, ended.id, Silent()).status == "committed"
        assert bench.read("/etc/securetty") == "root:x\nalice:new\n"
    assert bench.read("/etc/gone") == "x\n"


@pytest.mark.parametrize("waits", [True, False])
def test_a_list_of_accounts_goes_back_with_what_others_changed_in_it(
    bench: Bench, waits: bool
) -> None:
    """An account stands in several, and half of one can log in nowhere."""
    bench.host.write_file("/etc/passwd", b"root:x:0\nalice:x:1000\n")
    bench.host.write_file("/etc/shadow", b"root:x\nalice:old\n")
    tx = opening.begin(
        bench.host, bench.state, steps=("s",), title="s", user="t", progress=Silent(),
        switch=cast(Switch, Waits()) if waits else None,
    )  # fmt: skip
    with tx.ours.noted():
        bench.host.write_file("/etc/shadow", b"root:!x\nalice:old\n")
    if waits:
        tx.commit()
    bench.host.write_file("/etc/shadow", b"root:!x\nalice:new\nbob:y\n")
    bench.host.write_file("/etc/passwd", b"root:x:0\nalice:x:1000\nbob:x:1001\n")
    if waits:
        (ended,) = recover(bench.host, bench.state, Silent())
    else:
        ended = tx.roll_back("a proof failed")
    assert ended.status == "rolled-back"
    assert "/etc/passwd and 1 more were changed by something else meanwhile: that" in ended.reason
    assert "it is kept in" not in ended.reason
    assert bench.read("/etc/shadow") == "root:x\nalice:new\nbob:y\n"
    assert bench.read("/etc/passwd") == "root:x:0\nalice:x:1000\nbob:x:1001\n"


@pytest.mark.parametrize(
    "path",
    ["/etc/systemd/system/x.timer", "/etc/rc.local", "/etc/cron.d/backup", "/home/bob/.ssh/id_new"],
)
@pytest.mark.parametrize("end", ["commit", "fail", "die"])
def test_a_neighbour_is_none_of_the_change(bench: Bench, path: str, end: str) -> None:
    """In /etc as in a tree that is captured with its content."""
    for above in ("/etc/systemd/system", "/home", "/home/bob", "/home/bob/.ssh", "/etc/cron.d"):
        bench.host.put(above, DIRECTORY)
    tx = bench.begin("s", roots=(Root("/home/bob/.ssh", content=True),))
    tx.perform(write("/etc/cron.d/ours", "x\n"))
    tx.perform(write("/home/bob/.ssh/authorized_keys", "x\n"))
    bench.host.write_file(path, b"of bob\n")
    tx.activate()
    if end == "fail":
        ended = tx.roll_back("a proof failed")
    elif end == "die":
        tx._held.close()  # as if the process had died
        (ended,) = recover(bench.host, bench.state, Silent())
    else:
        ended = tx.commit()
        assert drifted(bench) == {path}
        assert undone(bench, ended.id, Silent()).status == "committed"
    assert f"{path} was changed by something else meanwhile: that is no part" in ended.reason
    assert bench.read(path) == "of bob\n"
    assert bench.host.state("/etc/cron.d/ours") is None
    assert bench.host.state("/home/bob/.ssh/authorized_keys") is None


AT = ("capturing", "putting files", "comparing with")


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize("how", ["fail", "die", "pending", "undo", "drift"])
def test_an_edit_while_it_goes_back_stays_and_is_told(bench: Bench, how: str, at: str) -> None:
    bench.host.write_file("/etc/motd", b"old\n")
    edit = Meanwhile(at, lambda: bench.host.write_file("/etc/motd", b"mine\n"))

    def fails() -> None:
        edit.wakes()
        raise HostError("a site is worse")

    if how in ("undo", "drift"):
        edit.sleeps()
        done = bench.apply("s", write("/etc/a.conf", "x\n"))
        if how == "undo":
            ended = undo.undo(
                bench.host, bench.state, done.id, expect_fingerprint=None, user="t",
                progress=edit, prove=fails,
            )  # fmt: skip
        else:
            bench.host.write_file("/etc/a.conf", b"other\n")
            ended = settle(
                bench.host, bench.state, "restore", [("files", "/etc/a.conf")],
                expect_fingerprint=None, user="t", prove=fails, progress=edit,
            )  # fmt: skip
    elif how == "pending":
        bench.guarded_undo(bench.apply("s", write("/etc/a.conf", "x\n")).id)
        (ended,) = recover(bench.host, bench.state, edit)
    else:
        tx = bench.begin("s")
        tx.perform(write("/etc/a.conf", "x\n"))
        if how == "fail":
            tx._progress = edit
            ended = tx.roll_back("a proof failed")
        else:
            tx._held.close()  # as if the process had died
            (ended,) = recover(bench.host, bench.state, edit)
    assert ended.status == "rolled-back"
    assert "/etc/motd was changed by something else meanwhile: that is no part" in ended.reason
    assert bench.read("/etc/motd") == "mine\n"


def elsewhere(bench: Bench) -> dict[str, str]:
    forward = bench.host.run(("sysctl", "-n", "net.ipv4.ip_forward")).stdout.strip()
    services = {one.unit: one.active for one in bench.host.services()}
    return {"cron.service": services["cron.service"], "net.ipv4.ip_forward": forward}


def work_elsewhere(bench: Bench) -> dict[str, str]:
    bench.host.run(("sysctl", "-w", "net.ipv4.ip_forward=1"))
    bench.host.run(("systemctl", "stop", "cron.service"))
    return elsewhere(bench)


@pytest.mark.parametrize("how", ["commit", "fail", "die", "pending", "undo", "drift"])
def test_services_and_kernel_settings_of_others_stay(bench: Bench, how: str) -> None:
    """Of a change that names a file and runs no program."""
    was = elsewhere(bench)
    edit = Meanwhile("putting files", lambda: work_elsewhere(bench))
    if how in ("undo", "drift"):
        done = bench.apply("s", write("/etc/a.conf", "x\n"))
        if how == "drift":
            bench.host.write_file("/etc/a.conf", b"other\n")
            ended = settle(
                bench.host, bench.state, "restore", [("files", "/etc/a.conf")],
                expect_fingerprint=None, user="t", prove=lambda: None, progress=edit,
            )  # fmt: skip
        else:
            ended = undone(bench, done.id, edit)
    elif how == "pending":
        bench.guarded_undo(bench.apply("s", write("/etc/a.conf", "x\n")).id)
        work_elsewhere(bench)
        (ended,) = recover(bench.host, bench.state, Silent())
    else:
        tx = bench.begin("s")
        tx.perform(write("/etc/a.conf", "x\n"))
        work_elsewhere(bench)
        if how == "commit":
            ended = tx.commit()
            assert undone(bench, ended.id, Silent()).status == "committed"
        elif how == "fail":
            ended = tx.roll_back("a proof failed")
        else:
            tx._held.close()  # as if the process had died
            (ended,) = recover(bench.host, bench.state, Silent())
    if how == "fail":  # what stopped may have stopped of the change
        assert elsewhere(bench) == {**was, "net.ipv4.ip_forward": "1"}
        assert "The kernel's net.ipv4.ip_forward was changed by something" in ended.reason
    else:
        assert elsewhere(bench) != was and elsewhere(bench) == work_elsewhere(bench)
        assert "The unit cron.service and 1 more were changed by something else" in ended.reason
    assert "drift" not in ended.reason, "of these it shows only what a step set"


def test_what_a_program_of_ours_set_goes_back_where_we_died_after_it(bench: Bench) -> None:
    was = elsewhere(bench)
    tx = bench.begin("s")
    tx.perform(RunCommand(argv=("sysctl", "-w", "net.ipv4.ip_forward=1"), why="a test"))
    tx._held.close()  # as if the process had died
    bench.host.run(("systemctl", "stop", "cron.service"))
    (ended,) = recover(bench.host, bench.state, Silent())
    assert elsewhere(bench) == {**was, "cron.service": "inactive"}
    assert "The unit cron.service was changed by something else" in ended.reason


def test_a_daemon_that_fails_of_what_it_took_starts_again(bench: Bench) -> None:
    """Whenever it failed: it may be of the change."""
    named = Others([("files", "/etc/a.conf")], AtWork())
    failed = Delta("units", "app.service", ValueItem("active"), ValueItem("failed"))
    stopped = Delta("units", "app.service", ValueItem("active"), None)
    assert named.among([failed]) == set()
    assert named.among([stopped]) == {("units", "app.service")}
    named.at_work.take([Activation("restart", "other.service")])
    assert named.among([stopped]) == set(), "it may need the one that was restarted"


def test_an_edit_of_another_file_while_undoing_stays_and_is_told(bench: Bench) -> None:
    bench.host.write_file("/etc/motd", b"old\n")
    done = bench.apply("s", write("/etc/a.conf", "x\n"))
    edit = Meanwhile("putting files", lambda: bench.host.write_file("/etc/motd", b"mine\n"))
    ended = undone(bench, done.id, edit)
    assert "/etc/motd was changed by something else meanwhile" in ended.reason
    assert found_of(bench, ended.id) == [] and bench.read("/etc/motd") == "mine\n"
    assert drifted(bench) == {"/etc/motd"}


def test_an_edit_of_the_very_file_while_undoing_is_kept_and_told(bench: Bench) -> None:
    bench.host.write_file("/etc/a.conf", b"one\ntwo\n")
    done = bench.apply("s", write("/etc/a.conf", "one\nTWO\n"))
    mine = b"mine\none\nTWO\n"
    edit = Meanwhile("writing the restore", lambda: bench.host.write_file("/etc/a.conf", mine))
    ended = undone(bench, done.id, edit)
    (point,) = found_of(bench, ended.id)
    assert "/etc/a.conf was changed by something else meanwhile" in ended.reason
    assert content_in(bench, point, "/etc/a.conf") == mine
    assert bench.read("/etc/a.conf") == "one\ntwo\n"


@pytest.mark.parametrize("path", ["/etc/a.conf", "/etc/new.conf"])
def test_a_link_put_there_while_undoing_is_kept_and_told(bench: Bench, path: str) -> None:
    bench.host.write_file("/etc/a.conf", b"old\n")
    done = bench.apply("s", write("/etc/a.conf", "x\n"), write("/etc/new.conf", "x\n"))
    link = FileState(kind="symlink", mode=0o777, target="/srv/managed.conf")

    def put() -> None:
        bench.host.put(path, None)
        bench.host.put(path, link)

    ended = undone(bench, done.id, Meanwhile("writing the restore", put))
    (point,) = found_of(bench, ended.id)
    said = f"{path} (a symbolic link to /srv/managed.conf) was changed by something else meanwhile"
    assert said in ended.reason and point in ended.reason
    found = Points(bench.state.points, ObjectStore(bench.state.objects)).load(point)["files"][path]
    assert isinstance(found, FileItem) and found.state.target == link.target


@pytest.mark.parametrize("at", ["putting files", "comparing with"])
def test_a_directory_a_mode_and_a_removal_while_undoing_stay(bench: Bench, at: str) -> None:
    for name in ("motd", "issue"):
        bench.host.write_file(f"/etc/{name}", b"old\n")
    done = bench.apply("s", write("/etc/a.conf", "x\n"))

    def act() -> None:
        bench.host.put("/etc/mine", DIRECTORY)
        bench.host.put("/etc/motd", FileState(kind="file", mode=0o600))
        bench.host.put("/etc/issue", None)

    ended = undone(bench, done.id, Meanwhile(at, act))
    assert "/etc/issue and 2 more were changed by something else meanwhile" in ended.reason
    assert drifted(bench) == {"/etc/issue", "/etc/mine", "/etc/motd"}


def test_a_removal_of_what_comes_back_is_told(bench: Bench) -> None:
    for name in ("motd", "issue"):
        bench.host.write_file(f"/etc/{name}", b"old\n")
    done = bench.apply("s", write("/etc/motd", "new\n"), write("/etc/issue", "new\n"))

    def act() -> None:
        bench.host.put("/etc/motd", FileState(kind="file", mode=0o600))
        bench.host.put("/etc/issue", None)

    ended = undone(bench, done.id, Meanwhile("writing the restore", act))
    (point,) = found_of(bench, ended.id)
    assert "/etc/motd was changed by something else meanwhile; as it was found" in ended.reason
    assert "/etc/issue was removed by something else meanwhile, and put back." in ended.reason
    assert point in ended.reason and bench.read("/etc/issue") == "old\n"


@pytest.mark.parametrize("kind", ["change", "undo"])
def test_what_was_edited_while_it_waits_stays_or_is_kept_and_told(bench: Bench, kind: str) -> None:
    """When it is taken back. What was told before is told still."""
    for name in ("motd", "issue"):
        bench.host.write_file(f"/etc/{name}", b"old\n")
    edit = Meanwhile("writing the restore", lambda: bench.host.write_file("/etc/issue", b"mine\n"))
    switch = cast(Switch, Waits())
    if kind == "undo":
        done = bench.apply("s", write("/etc/a.conf", "one\n"))
        waits = undo.undo(
            bench.host, bench.state, done.id, expect_fingerprint=None, user="t", progress=edit,
            switch=switch,
        )  # fmt: skip
    else:
        tx = opening.begin(
            bench.host, bench.state, steps=("s",), title="s", user="t", progress=edit,
            switch=switch,
        )  # fmt: skip
        tx.perform(write("/etc/a.conf", "one\n"))
        waits = tx.commit()
    assert waits.status == "pending"
    bench.host.write_file("/etc/motd", b"of the administrator\n")
    bench.host.write_file("/etc/a.conf", b"two\n")
    (ended,) = recover(bench.host, bench.state, Silent())
    (point,) = found_of(bench, waits.id)
    assert ended.status == "rolled-back"
    assert "While it was made: /etc/issue was changed by something else" in ended.reason
    assert "/etc/issue and 1 more were changed by something else meanwhile: that" in ended.reason
    assert "/etc/a.conf was changed by something else meanwhile; as it was found" in ended.reason
    assert point in ended.reason and content_in(bench, point, "/etc/a.conf") == b"two\n"
    assert bench.read("/etc/motd") == "of the administrator\n"
    assert bench.read("/etc/issue") == "mine\n"
    assert (bench.host.state("/etc/a.conf") is None) == (kind == "change")


def test_recover_itself_says_what_was_written_over(bench: Bench) -> None:
    waits = bench.guarded_undo(bench.apply("s", write("/etc/a.conf", "x\n")).id)
    bench.host.write_file("/etc/a.conf", b"of the administrator\n")
    status, said, _ = recovery.recover(an_engine(bench))
    (point,) = found_of(bench, waits.id)
    assert status == 0 and "/etc/a.conf was changed by something else meanwhile" in said
    assert point in said


def test_where_nobody_wrote_while_it_waited_nothing_is_said(bench: Bench) -> None:
    done = bench.apply("s", write("/etc/a.conf", "x\n"))
    assert bench.guarded_undo(done.id).status == "pending"
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.reason == "It was taken back before anybody confirmed it."


def test_where_nobody_wrote_nothing_more_is_kept(bench: Bench) -> None:
    done = bench.apply("s", write("/etc/a.conf", "x\n"))
    ended = undone(bench, done.id, Silent())
    assert (ended.reason, found_of(bench, ended.id)) == ("", [])


@pytest.mark.parametrize("choice", ["restore", "merge"])
@pytest.mark.parametrize(
    ("at", "path"),
    [("comparing with", "/etc/motd"), ("writing the restore", "/etc/a.conf")],
)
def test_an_edit_while_drift_is_settled_is_told_and_not_lost(
    bench: Bench, choice: Choice, at: str, path: str
) -> None:
    bench.host.write_file("/etc/motd", b"old\n")
    bench.apply("s", write("/etc/a.conf", "one\ntwo\n"))
    bench.host.write_file("/etc/a.conf", b"ONE\ntwo\n")
    edit = Meanwhile(at, lambda: bench.host.write_file(path, b"mine\n"))
    ended = settle(
        bench.host, bench.state, choice, [("files", "/etc/a.conf")],
        expect_fingerprint=None, user="t", prove=lambda: None, progress=edit,
    )  # fmt: skip
    assert f"{path} was changed by something else meanwhile" in ended.reason
    assert bench.read("/etc/a.conf") == "one\ntwo\n"
    if path == "/etc/motd":
        assert bench.read(path) == "mine\n" and drifted(bench) == {path}
        return
    (point,) = found_of(bench, ended.id)
    assert point in ended.reason
    assert content_in(bench, point, path) == b"mine\n"


def test_where_nobody_wrote_while_drift_is_settled_nothing_more_is_kept(bench: Bench) -> None:
    bench.apply("s", write("/etc/a.conf", "x\n"))
    bench.host.write_file("/etc/a.conf", b"y\n")
    ended = settle(
        bench.host, bench.state, "restore", [("files", "/etc/a.conf")],
        expect_fingerprint=None, user="t", prove=lambda: None, progress=Silent(),
    )  # fmt: skip
    assert (ended.reason, found_of(bench, ended.id)) == ("", [])


def with_package_data(bench: Bench) -> TransactionRecord:
    for path in ("/var", "/var/lib", "/var/lib/aide"):
        if bench.host.state(path) is None:
            bench.host.put(path, DIRECTORY)
    bench.host.put("/var/lib/aide", None)
    tx = bench.begin("s")
    tx.perform(write("/etc/a.conf", "x\n"))
    bench.host.put("/var/lib/aide", DIRECTORY)
    bench.host.write_file("/var/lib/aide/db", b"of the package\n")
    Records(bench.state).journal(tx.id, "came", "", path="/var/lib/aide")
    done = tx.commit()
    bench.host.write_file("/var/lib/aide/mine", b"of the administrator\n")
    return done


def test_what_came_with_packages_stays_where_their_undo_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = with_package_data(bench)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Records, "write_deltas", full)
    assert undone(bench, done.id, Silent()).status == "rolled-back"
    assert bench.read("/var/lib/aide/mine") == "of the administrator\n"
    monkeypatch.undo()
    assert undone(bench, done.id, Silent()).status == "committed"
    assert bench.host.listdir("/var/lib/aide") == ["mine"]


def test_what_came_with_packages_goes_where_we_were_killed_after_the_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = with_package_data(bench)
    monkeypatch.setattr(leaving, "finish", lambda *_: [])
    ended = undone(bench, done.id, Silent())
    assert bench.host.listdir("/var/lib/aide") == ["db", "mine"]
    monkeypatch.undo()
    bench.host.write_file("/var/lib/aide/younger", b"written later\n")
    os.utime(bench.host.directory / "root/var/lib/aide/younger", (4e9, 4e9))
    assert recover(bench.host, bench.state, Silent()) == []
    assert bench.host.listdir("/var/lib/aide") == ["mine", "younger"]
    assert not (Records(bench.state).where(ended.id) / leaving.NAME).exists()


def test_a_directory_whose_name_is_no_utf_8(bench: Bench) -> None:
    done = bench.apply("s", write("/etc/a.conf", "x\n"))
    bench.host.put(LATIN_1, DIRECTORY)
    bench.host.write_file(f"{LATIN_1}/b", b"one\n")
    other = bench.apply("t", write(f"{LATIN_1}/b", "two\n"))
    manifest = Points(bench.state.points, ObjectStore(bench.state.objects)).manifest(
        point_before(other.id)
    )
    assert LATIN_1 in {place_of(name) for name in manifest.chunks if name.startswith("files ")}
    assert Records(bench.state).named_paths(other.id) == {f"{LATIN_1}/b"}
    assert Records(bench.state).altered_in_journal(other.id, was_interrupted=False) == []
    assert bench.undo(other.id).status == bench.undo(done.id).status == "committed"
    assert bench.host.read_bytes(f"{LATIN_1}/b") == b"one\n"


def test_an_interruption_beside_such_a_directory(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(write("/etc/a.conf", "half-way\n"))
    tx._held.close()  # as where the process ended
    bench.host.put(LATIN_1, DIRECTORY)
    (ended,) = recover(bench.host, bench.state, Silent())
    assert (ended.status, bench.host.state("/etc/a.conf")) == ("rolled-back", None)


def test_what_a_killed_dpkg_left_in_its_scratch_goes(bench: Bench) -> None:
    tx = bench.begin("s")
    tx.perform(write("/etc/a.conf", "half-way\n"))
    tx._held.close()
    for path in ("/var/lib", "/var/lib/dpkg", "/var/lib/dpkg/tmp.ci"):
        if bench.host.state(path) is None:
            bench.host.put(path, DIRECTORY)
    bench.host.write_file("/var/lib/dpkg/tmp.ci/control", b"Package: a\n")
    (ended,) = recover(bench.host, bench.state, Silent())
    assert (ended.status, bench.host.state("/var/lib/dpkg/tmp.ci")) == ("rolled-back", None)


def test_a_record_with_such_a_name_is_read_back(bench: Bench) -> None:
    record = bench.apply("s", write("/etc/a.conf", "x\n"))
    records = Records(bench.state)
    odd = TransactionRecord(
        id=record.id, kind="drift", steps=(), title=f"Put back {LATIN_1}", status="committed",
        started=record.started, roots=(Root(LATIN_1, content=True),),
    )  # fmt: skip
    records.write(odd)
    assert records.read(record.id) == odd


def test_a_directory_that_is_made_anew_is_as_it_was(bench: Bench) -> None:
    bench.host.put("/etc/private", FileState(kind="dir", mode=0o700))
    bench.host.write_file("/etc/private/key", b"x")
    tx = bench.begin("s")
    tx.perform(RemoveFile("/etc/private/key"))
    done = tx.commit()
    bench.host.put("/etc/private", None)
    assert bench.undo(done.id).status == "committed"
    state = bench.host.state("/etc/private")
    assert state is not None and state.mode == 0o700


def test_what_a_package_tool_wrote_while_we_waited_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = _engine(tmp_path)
    path = "/etc/sysctl.d/99-zz-harden-tui-kernel-sysctl.conf"
    host = engine.host
    assert isinstance(host, PracticeHost)
    host.write_file(path, b"kernel.dmesg_restrict = 0\n")
    plan = engine.plan(["kernel.sysctl"])
    upgraded = b"# written by the upgrade\n"
    real, asked = PracticeHost.lock_packages, []

    def held_at_first(self: PracticeHost) -> object:
        asked.append(1)
        if len(asked) == 1:
            return 4242
        if len(asked) == 2:
            self.write_file(path, upgraded)
        return real(self)

    monkeypatch.setattr(PracticeHost, "lock_packages", held_at_first)
    outcome = engine.apply(["kernel.sysctl"], plan.fingerprint)
    assert outcome.exit == REFUSED and "has changed since it was planned" in outcome.summary
    assert host.read_bytes(path) == upgraded
    assert Records(engine.state).all() == []


@pytest.mark.parametrize("ours", [True, False])
def test_a_packet_filter_goes_back_as_a_whole(bench: Bench, ours: bool) -> None:
    """Half of one may let nobody in. What the change had nothing to do with stays."""
    tx = opening.begin(
        bench.host, bench.state, steps=("s",), title="s", user="t", progress=Silent(),
        switch=cast(Switch, Waits()),
    )  # fmt: skip
    tx.perform(write("/etc/a.conf", "x\n"))
    record = tx.commit()
    records = Records(bench.state)
    if ours:
        chain = Delta("firewall", "ip filter INPUT", None, ValueItem("policy DROP"))
        records.write_deltas(record.id, [*records.deltas(record.id), chain])
    own = own_of(records, record)
    assert own is not None
    named = Others(own.named, AtWork())
    named.at_work.reaches(own.reach)
    other = Delta("firewall", "ip filter ufw-before-input", ValueItem("-j x"), None)
    assert named.among([other]) == (set() if ours else {("firewall", other.key)})


def test_what_systemd_starts_with_a_unit_is_of_the_change(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        "app.service": "Wants=helper.service network.target\nRequiredBy=web.service\n",
        "helper.service": "Requires=helper.socket\nRequiredBy=not.service\n",
    }

    def show(host: object, argv: tuple[str, ...], **rest: object) -> Completed:
        kinds = [word.partition("=")[2] for word in argv if word.startswith("--property=")]
        lines = (line for unit in argv for line in told.get(unit, "").splitlines())
        said = "\n".join(line for line in lines if line.partition("=")[0] in kinds)
        return Completed(argv, 0, said, "", 0.0)

    with monkeypatch.context() as patched:
        patched.setattr(type(bench.host), "run", show)
        of_app = pulled(bench.host, ["app.service"])
    assert of_app == {"app.service", "helper.service", "helper.socket", "web.service"}
    named = Others([], AtWork(pulled=lambda units: of_app if "app.service" in units else set()))
    started = Delta("units", "helper.service", None, ValueItem("active"))
    assert named.among([started]) == {("units", "helper.service")}
    named.at_work.take([Activation("restart", "app.service")])
    assert named.among([started]) == set()


def test_an_undo_that_another_build_began_is_taken_back(bench: Bench) -> None:
    """Its journal does not say what it was about to change."""
    done = bench.apply("s", write("/etc/a.conf", "x\n"))

    def dies() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patched:
        patched.setattr(transaction.Transaction, "roll_back", lambda *_: None)
        patched.setattr(
            ours.Ours, "tell",
            lambda mine, what, _: Records(bench.state).journal(mine._record.id, "undo", what),
        )  # fmt: skip
        undone(bench, done.id, Meanwhile("comparing with", dies))
    assert bench.host.state("/etc/a.conf") is None
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and bench.read("/etc/a.conf") == "x\n"


@pytest.mark.parametrize("fails", [True, False])
def test_a_file_below_a_link_within_etc_is_of_the_change(bench: Bench, fails: bool) -> None:
    """A capture has it where it really lies."""
    bench.host.put("/etc/site-real", DIRECTORY)
    bench.host.put("/etc/site", FileState(kind="symlink", mode=0o777, target="site-real"))
    before = bench.fingerprint()
    tx = bench.begin("s")
    tx.perform(write("/etc/site/x.conf", "x\n"))
    ended = tx.roll_back("a proof failed") if fails else tx.commit()
    assert "something else" not in ended.reason and drifted(bench) == set()
    if not fails:
        assert {delta.key for delta in Records(bench.state).deltas(tx.id)} == {
            "/etc/site-real/x.conf"
        }
        assert undone(bench, ended.id, Silent()).status == "committed"
    assert bench.fingerprint() == before


def test_a_change_whose_journal_is_lost_is_taken_back(bench: Bench) -> None:
    """Nothing says which files are its own then, so all of them go back, and it is said."""
    tx = bench.begin("s")
    tx.perform(write("/etc/a.conf", "x\n"))
    tx._held.close()  # as if the process had died
    (Records(bench.state).where(tx.id) / "journal.jsonl").unlink()
    bench.host.write_file("/etc/motd", b"mine\n")
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and bench.host.state("/etc/a.conf") is None
    (point,) = found_of(bench, tx.id)
    assert f"As it was found everything is kept in {bench.state.points / point}" in ended.reason
