"""What changed outside harden-tui: found, classed, and settled, on a practice host."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from host.base import FileState, Host, HostError, TreeRule
from snapshots import drift_accepted, history
from snapshots.drift import CHOICES, compare, kind_of
from snapshots.drift_look import Drift, Seen, look
from snapshots.drift_origin import explanation, parse_conffiles, parse_log
from snapshots.drift_plan import plan
from snapshots.drift_settle import accept, settle
from snapshots.model import FileItem, Root, SealTree, SnapshotError, ValueItem, WriteFile
from snapshots.progress import Silent
from snapshots.records import Records
from tests.unit.snapshots_host import Bench

DROP_IN = "/etc/ssh/sshd_config.d/00-test.conf"
OTHER = "/etc/hostname"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def write(path: str = DROP_IN, text: str = "A 1\nB 2\nC 3\n") -> WriteFile:
    return WriteFile(path=path, content=text.encode())


def seen(bench: Bench) -> dict[str, Seen]:
    found = look(bench.host, bench.state)
    assert found.problem == ""
    return {one.thing.key: one for one in found.seen}


def kinds(bench: Bench) -> dict[str, str]:
    return {key: one.thing.kind for key, one in seen(bench).items()}


def edit(bench: Bench, path: str, text: str) -> None:
    bench.host.write_file(path, text.encode())


def test_without_a_transaction_nothing_is_known(bench: Bench) -> None:
    assert look(bench.host, bench.state) == Drift()


def test_right_after_a_transaction_nothing_drifted(bench: Bench) -> None:
    record = bench.apply("a.b", write())
    found = look(bench.host, bench.state)
    assert (found.transaction, found.since, found.seen) == (record.id, record.ended, ())


def test_every_kind_of_change_to_a_file_is_told_apart(bench: Bench) -> None:
    more = {name: f"/etc/ssh/sshd_config.d/{name}.conf" for name in ("mode", "link", "gone")}
    bench.apply("a.b", write(), *(write(path) for path in more.values()))
    edit(bench, DROP_IN, "A 1\nB 9\nC 3\n")
    edit(bench, "/etc/new.conf", "new\n")
    there = bench.host.state(more["mode"])
    assert there is not None
    bench.host.put(more["mode"], msgspec.structs.replace(there, mode=0o666))
    bench.host.put(more["gone"], None)
    bench.host.put(more["link"], None)
    bench.host.put(more["link"], FileState(kind="symlink", mode=0o777, target="/dev/null"))
    edit(bench, OTHER, "renamed\n")
    assert kinds(bench) == {
        DROP_IN: "edited",
        more["mode"]: "attributes",
        more["gone"]: "gone",
        more["link"]: "replaced",
        "/etc/new.conf": "new",
        OTHER: "edited",
    }
    found = seen(bench)
    assert found[DROP_IN].thing.steps == ("a.b",)
    assert "-B 2" in found[DROP_IN].diff and "+B 9" in found[DROP_IN].diff
    assert "mode 0644 -> 0666" in found[more["mode"]].diff
    assert found[OTHER].thing.steps == ()
    assert found[OTHER].choices == ("accept", "restore")
    assert found[DROP_IN].choices == CHOICES
    assert list(found)[:4] == sorted([DROP_IN, *more.values()]), "what steps wrote comes first"


def test_what_comes_and_goes_by_itself_is_no_drift(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, "/etc/resolv.conf", "nameserver 192.0.2.1\n")
    edit(bench, "/etc/ld.so.cache", "anew\n")
    assert kinds(bench) == {}


def test_units_and_kernel_settings_count_only_where_a_step_touched_them() -> None:
    old = {"kernel": {"a.b": ValueItem("1"), "c.d": ValueItem("1")}}
    new = {"kernel": {"a.b": ValueItem("2"), "c.d": ValueItem("2")}}
    known = {("kernel", "a.b"): ()}
    assert [one.key for one in compare(old, {}, new, known)] == ["a.b"]  # type: ignore[arg-type]
    waiting = {"units": {"x.service": ValueItem("changing")}}
    assert compare({"units": {}}, {}, waiting, {("units", "x.service"): ()}) == []  # type: ignore[arg-type]


def test_an_edit_of_a_steps_file_is_not_forgotten_when_another_step_is_applied(
    bench: Bench,
) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 1\nB 9\nC 3\n")
    edit(bench, OTHER, "renamed\n")
    bench.apply("c.d", write("/etc/issue", "hello\n"))
    assert kinds(bench) == {DROP_IN: "edited"}, "of other files only what changed since"
    assert "+B 9" in seen(bench)[DROP_IN].diff
    edit(bench, DROP_IN, "A 1\nB 2\nC 3\n")
    assert kinds(bench) == {}


def test_what_a_later_step_wrote_into_the_edited_file_is_known(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 1\nB 9\nC 3\n")
    bench.apply("c.d", write(text="A 1\nB 9\nC 3\nD 4\n"))
    assert kinds(bench) == {}


def test_accepted_is_expected_from_then_on_and_stays_after_an_undo(bench: Bench) -> None:
    first = bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 1\nB 2\nC 3\nmine\n")
    edit(bench, OTHER, "renamed\n")
    shown = plan(bench.host, bench.state, "accept", [("files", DROP_IN), ("files", OTHER)])
    accept(
        bench.host, bench.state, [("files", DROP_IN), ("files", OTHER)],
        expect_fingerprint=shown.fingerprint, user="alice",
    )  # fmt: skip
    assert kinds(bench) == {}
    assert [one.by for one in drift_accepted.read(bench.state)] == ["alice", "alice"]
    edit(bench, OTHER, "again\n")
    assert "-renamed" in seen(bench)[OTHER].diff, "against what was accepted"
    bench.apply("c.d", write("/etc/issue", "hello\n"))
    assert kinds(bench) == {}
    edit(bench, DROP_IN, "A 1\nB 2\nC 3\n")
    assert kinds(bench) == {DROP_IN: "edited"}, "accepted still counts after another step"
    edit(bench, DROP_IN, "A 1\nB 2\nC 3\nmine\n")
    bench.undo(first.id)
    assert bench.read(DROP_IN) == "mine\n"
    assert history.verify(bench.state) == []


def test_accepting_what_moved_on_is_refused(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 1\n")
    shown = plan(bench.host, bench.state, "accept", [("files", DROP_IN)])
    edit(bench, DROP_IN, "A 7\n")
    with pytest.raises(SnapshotError, match="has changed since"):
        accept(
            bench.host, bench.state, [("files", DROP_IN)],
            expect_fingerprint=shown.fingerprint, user="",
        )  # fmt: skip
    assert drift_accepted.read(bench.state) == []


def test_put_back_is_a_transaction_that_can_be_undone(bench: Bench) -> None:
    bench.apply("a.b", write())
    left = bench.fingerprint()
    edit(bench, DROP_IN, "A 7\n")
    edit(bench, "/etc/new.conf", "new\n")
    edited = bench.fingerprint()
    keys = [("files", DROP_IN), ("files", "/etc/new.conf")]
    shown = plan(bench.host, bench.state, "restore", keys)  # type: ignore[arg-type]
    assert "+B 2" in shown.items[0].diff
    record = put_back(bench, *keys, fingerprint=shown.fingerprint)
    assert (record.kind, record.status, record.steps) == ("drift", "committed", ("a.b",))
    assert bench.fingerprint() == left
    assert kinds(bench) == {}
    bench.undo(record.id)
    assert bench.fingerprint() == edited
    assert kinds(bench) == {DROP_IN: "edited", "/etc/new.conf": "new"}, "not settled any more"


def test_a_removed_directory_comes_back_with_its_file(bench: Bench) -> None:
    bench.host.put("/etc/app", FileState(kind="dir", mode=0o750))
    bench.apply("a.b", write("/etc/app/x.conf"))
    left = bench.fingerprint()
    bench.host.put("/etc/app/x.conf", None)
    bench.host.put("/etc/app", None)
    put_back(bench, ("files", "/etc/app/x.conf"))
    assert bench.fingerprint() == left


@pytest.mark.parametrize("settling_first", [True, False])
@pytest.mark.parametrize("stands", ["link", "file"])
def test_a_directory_that_became_something_else_comes_back_with_its_file(
    bench: Bench, stands: str, settling_first: bool
) -> None:
    """What stands in its place is never written through, and comes back with the undo."""
    bench.host.put("/etc/app", FileState(kind="dir", mode=0o750))
    step = bench.apply("a.b", write("/etc/app/sub/x.conf"))
    left = bench.fingerprint()
    for path in ("/etc/app/sub/x.conf", "/etc/app/sub", "/etc/app"):
        bench.host.put(path, None)
    if stands == "link":
        for path in ("/var/app", "/var/app/sub"):
            bench.host.put(path, FileState(kind="dir", mode=0o755))
        bench.host.put("/etc/app", FileState(kind="symlink", mode=0o777, target="/var/app"))
    else:
        edit(bench, "/etc/app", "a file\n")
    replaced = bench.fingerprint()
    record = put_back(bench, ("files", "/etc/app/sub/x.conf"))
    assert record.status == "committed", record.reason
    assert bench.fingerprint() == left
    assert bench.host.state("/var/app/sub/x.conf") is None
    for tx_id in (record.id, step.id) if settling_first else (step.id, record.id):
        ended = bench.undo(tx_id)
        assert ended.status == "committed", ended.reason
    assert bench.fingerprint() == replaced


def test_what_cannot_be_proved_is_taken_back(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 7\n")
    edited = bench.fingerprint()

    def fails() -> None:
        raise HostError("sshd stopped")

    record = settle(
        bench.host, bench.state, "restore", [("files", DROP_IN)],
        expect_fingerprint=None, user="", prove=fails, progress=Silent(),
    )  # fmt: skip
    assert record.status == "rolled-back" and "sshd stopped" in record.reason
    assert bench.fingerprint() == edited
    assert kinds(bench) == {DROP_IN: "edited"}


def test_other_package_tools_are_kept_out_while_drift_is_settled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 7\n")
    locked: list[bool] = []

    def lock(host: Host) -> int:
        locked.append(True)
        return 0

    monkeypatch.setattr(type(bench.host), "lock_packages", lock)
    monkeypatch.setattr(type(bench.host), "unlock_packages", lambda host: locked.pop())
    at_the_proof: list[bool] = []
    settle(
        bench.host, bench.state, "restore", [("files", DROP_IN)], expect_fingerprint=None,
        user="", prove=lambda: at_the_proof.extend(locked), progress=Silent(),
    )  # fmt: skip
    assert at_the_proof == [True] and locked == []


def test_a_merge_brings_the_steps_lines_back_and_keeps_the_others(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 1\nB 9\nC 3\nmine\n")
    there = bench.host.state(DROP_IN)
    assert there is not None
    bench.host.put(DROP_IN, msgspec.structs.replace(there, mode=0o666))
    settle(
        bench.host, bench.state, "merge", [("files", DROP_IN)],
        expect_fingerprint=None, user="", prove=lambda: None, progress=Silent(),
    )  # fmt: skip
    assert bench.read(DROP_IN) == "A 1\nB 2\nC 3\nmine\n"
    after = bench.host.state(DROP_IN)
    assert after is not None and after.mode == 0o644
    assert kinds(bench) == {}, "the administrator saw the result and said yes"


def test_what_has_nothing_to_merge_is_refused_with_the_other_ways(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 1\nB 2\nC 3\nmine\n")
    edit(bench, OTHER, "renamed\n")
    for path, words in ((DROP_IN, "everything a step wrote"), (OTHER, "No step wrote")):
        (refused,) = plan(bench.host, bench.state, "merge", [("files", path)]).refusals
        assert words in refused and "accept" in refused.lower()


def test_a_secret_is_neither_shown_nor_put_back(bench: Bench) -> None:
    secret = WriteFile(path="/etc/app.key", content=b"hunter2\n", secret=True)
    bench.apply("a.b", secret)
    assert kinds(bench) == {}
    edit(bench, "/etc/app.key", "another secret\n")
    one = seen(bench)["/etc/app.key"]
    assert one.choices == ("accept",)
    assert "hunter2" not in one.diff and "another" not in one.diff and "not shown" in one.diff


def test_a_private_key_is_not_shown(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, "/etc/ssl.key", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n")
    diff = seen(bench)["/etc/ssl.key"].diff
    assert "MIIE" not in diff and "private key, not shown" in diff


def test_an_interrupted_change_makes_drift_unknown(bench: Bench) -> None:
    tx = bench.begin("a.b")
    assert "not known" in look(bench.host, bench.state).problem
    tx.commit()


def test_pruning_keeps_what_drift_is_looked_for_against(bench: Bench) -> None:
    first = bench.apply("a.b", write())
    bench.undo(first.id)
    edit(bench, OTHER, "renamed\n")
    accept(bench.host, bench.state, [("files", OTHER)], expect_fingerprint=None, user="")
    history.prune(bench.state, -1)
    assert history.verify(bench.state) == []
    assert kinds(bench) == {}
    edit(bench, OTHER, "again\n")
    assert "-renamed" in seen(bench)[OTHER].diff


def test_pruning_forgets_no_drift_of_a_standing_step(bench: Bench) -> None:
    """What differs was read off restore points that go."""
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 1\nB 9\nC 3\n")
    for _ in range(2):
        undone = bench.apply("c.d", write("/etc/issue", "hello\n"))
        bench.undo(undone.id)
        bench.apply("e.f", write("/etc/motd", "hello\n"))
        assert kinds(bench) == {DROP_IN: "edited"}
        assert len(history.prune(bench.state, -1)) == 4
        assert kinds(bench) == {DROP_IN: "edited"}
        assert "+B 9" in seen(bench)[DROP_IN].diff
        assert history.verify(bench.state) == []
    edit(bench, DROP_IN, "A 1\nB 2\nC 3\n")
    assert kinds(bench) == {}
    edit(bench, DROP_IN, "A 1\nB 9\nC 3\n")
    settle(
        bench.host, bench.state, "restore", [("files", DROP_IN)], expect_fingerprint=None,
        user="", prove=lambda: None, progress=Silent(),
    )  # fmt: skip
    assert kinds(bench) == {}


def test_a_damaged_list_of_accepted_things_is_named(bench: Bench) -> None:
    bench.apply("a.b", write())
    bench.state.accepted.write_text("[")
    assert str(bench.state.accepted) in look(bench.host, bench.state).problem


def test_a_package_upgrade_explains_what_it_changed() -> None:
    log = (
        "2026-11-25 14:00:01 upgrade cups:amd64 2.4.2-3 2.4.2-4\n"
        "2026-11-25 14:00:02 status half-configured cups:amd64 2.4.2-3\n"
        "2026-11-25 14:00:09 status installed cups:amd64 2.4.2-4\n"
        "2026-11-25 15:00:00 trigproc cups:amd64 2.4.2-4 <none>\n"
        "2026-11-25 14:00:03 install new:all <none> 1.0\n"
    )
    then = time.mktime(time.strptime("2026-11-25 13:00:00", "%Y-%m-%d %H:%M:%S"))
    upgrade, install = parse_log(log, then)
    assert str(upgrade) == "upgrade of cups 2.4.2-3 -> 2.4.2-4"
    assert str(install) == "install of new 1.0"
    at = then + 3600
    assert upgrade.ended == at + 9, "a trigger an hour later is not part of it"
    assert explanation("cups", at + 5, [upgrade, install]) == str(upgrade)
    assert explanation("", at + 3, [upgrade, install]) == f"{upgrade} and 1 more"
    assert explanation("openssh-server", at + 5, [upgrade, install]) == ""
    assert explanation("cups", at + 600, [upgrade, install]) == ""
    assert parse_log(log, at + 100) == []


def test_owners_of_configuration_files_are_read_from_dpkg() -> None:
    answer = "sudo\t\n /etc/sudoers 1b00ee\n /etc/sudo.conf 2c11ff obsolete\nbash\t\n"
    assert parse_conffiles(answer) == {"/etc/sudoers": "sudo"}


def test_a_file_that_went_is_gone() -> None:
    assert kind_of(FileItem(FileState(kind="file")), None) == "gone"


def test_a_change_is_told_with_its_time_and_owner(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, OTHER, "renamed\n")
    os.utime(bench.host.files.real(OTHER), ns=(0, 1_700_000_000_000_000_000))
    origin = seen(bench)[OTHER].origin
    assert (origin.when, origin.owner) == ("2023-11-14T22:13:20Z", "root")


def put_back(bench: Bench, *keys: tuple[str, str], fingerprint: str | None = None):  # type: ignore[no-untyped-def]
    return settle(
        bench.host, bench.state, "restore", list(keys),  # type: ignore[arg-type]
        expect_fingerprint=fingerprint, user="alice", prove=lambda: None, progress=Silent(),
    )  # fmt: skip


def test_settling_one_thing_leaves_every_other_difference(bench: Bench) -> None:
    bench.apply("a.b", write())
    edit(bench, DROP_IN, "A 7\n")
    edit(bench, OTHER, "renamed\n")
    edit(bench, "/etc/issue.net", "hello\n")
    accept(bench.host, bench.state, [("files", "/etc/issue.net")], expect_fingerprint=None, user="")
    put_back(bench, ("files", DROP_IN))
    assert kinds(bench) == {OTHER: "edited"}
    edit(bench, DROP_IN, "A 8\n")
    accept(bench.host, bench.state, [("files", DROP_IN)], expect_fingerprint=None, user="")
    assert kinds(bench) == {OTHER: "edited"}
    put_back(bench, ("files", OTHER))
    assert kinds(bench) == {}
    assert bench.read(DROP_IN) == "A 8\n" and bench.read("/etc/issue.net") == "hello\n"


def test_a_sealed_tree_is_left_to_its_step(bench: Bench) -> None:
    for directory in ("/srv", "/srv/app"):
        if bench.host.state(directory) is None:
            bench.host.put(directory, FileState(kind="dir", mode=0o755))
    bench.host.write_file("/srv/app/x", b"x")
    tx = bench.begin("a.b", roots=(Root("/srv/app"),))
    tx.perform(SealTree("/srv/app", (TreeRule("/srv/app", file_mode=0o440),)))
    record = tx.commit()
    records = Records(bench.state)
    assert "/srv/app/x" in [delta.key for delta in records.deltas(record.id)]
    assert records.deltas(record.id, without=("/srv/app",)) == []
    bench.host.write_file("/srv/app/x", b"y")
    assert kinds(bench) == {}
