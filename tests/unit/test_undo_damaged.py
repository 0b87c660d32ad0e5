"""An undo that needs a content, a list or a package which is damaged: what of it is done anyway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snapshots import history, undo
from snapshots.fitting import Fit
from snapshots.model import (
    Conflict,
    Delta,
    InstallPackages,
    RemoveFile,
    Resolutions,
    RunCommand,
    TransactionRecord,
    UndoPlan,
    WriteFile,
)
from snapshots.objects import ObjectStore
from snapshots.records import LIST, Records
from snapshots.state import StateDir
from tests.unit.snapshots_host import Bench
from tests.unit.test_cli_commands import Run, run, state

__all__ = ["run", "state"]  # the fixtures

MOTD, ISSUE, HOSTNAME = "/etc/motd", "/etc/issue", "/etc/hostname"
KEEP = Resolutions(single={MOTD: "keep-current"})


def damage(state: StateDir, tx_id: str, path: str) -> Path:
    """Alter what is kept of a file from before a transaction."""
    (delta,) = (one for one in Records(state).deltas(tx_id) if one.key == path)
    (sha256,) = history.contents_of(delta.before)
    kept = ObjectStore(state.objects).where(sha256)
    kept.write_bytes(bytes([kept.read_bytes()[0] ^ 1]) + kept.read_bytes()[1:])
    return kept


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.host.write_file(MOTD, b"welcome\n")
    made.host.write_file(ISSUE, b"Debian\n")
    return made


def banners(bench: Bench) -> TransactionRecord:
    return bench.apply(
        "files.banners",
        WriteFile(path=MOTD, content=b"warned\n"),
        WriteFile(path=ISSUE, content=b"warned\n"),
    )


def how(plan: UndoPlan) -> dict[str, str]:
    return {item.key: item.how for item in plan.items}


def test_a_damaged_content_is_a_conflict_that_names_the_way_out(bench: Bench) -> None:
    done = banners(bench)
    kept = damage(bench.state, done.id, MOTD)
    before = bench.fingerprint()
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    assert how(plan) == {MOTD: "conflict", ISSUE: "restore"}
    (item,) = plan.conflicts
    lost = f"the saved content of {MOTD} ({kept.name[:12]}…) was altered on the disk"
    assert item.damaged == lost and item.cannot == {"restore": lost, "merge": lost}
    assert item.note == f"{lost}; --keep-current leaves it as it is now"
    assert "cannot be shown" in item.did and item.since == ""
    for resolutions in (Resolutions(), Resolutions("keep-current"), Resolutions("merge")):
        with pytest.raises(Conflict) as refused:
            bench.undo(done.id, resolutions=resolutions)
        assert str(refused.value).startswith(
            f"files.banners ({done.id}) cannot be undone as it is: {lost}; nothing of it was"
        ), "only a choice by name counts"
        assert f"--keep-current={MOTD}" in str(refused.value)
        assert f"--restore={MOTD}" not in str(refused.value)
    with pytest.raises(Conflict, match=f"with --restore: the saved content of {MOTD}"):
        bench.undo(done.id, resolutions=Resolutions(single={MOTD: "restore"}))
    assert bench.fingerprint() == before


def test_what_is_damaged_stays_by_choice_and_all_else_comes_back(bench: Bench) -> None:
    done = banners(bench)
    damage(bench.state, done.id, MOTD)
    plan = undo.plan_undo(bench.host, bench.state, done.id, KEEP)
    assert how(plan) == {MOTD: "kept", ISSUE: "restore"}
    assert "as you chose" in plan.items[1].note and "altered" in plan.items[1].note
    ended = bench.undo(done.id, plan.fingerprint, KEEP)
    assert (ended.status, ended.resolved) == ("committed", {MOTD: "keep-current"})
    assert (bench.read(MOTD), bench.read(ISSUE)) == ("warned\n", "Debian\n")


@pytest.mark.parametrize("theirs", [b"warned\nby me\n", b"mine\n"])
def test_with_an_edit_of_somebody_beside_it(bench: Bench, theirs: bytes) -> None:
    """Merged, or in conflict: both need what was before."""
    done = banners(bench)
    damage(bench.state, done.id, MOTD)
    bench.host.write_file(MOTD, theirs)
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    assert how(plan)[MOTD] == "conflict" and {*plan.conflicts[0].cannot} == {"restore", "merge"}
    with pytest.raises(Conflict, match="cannot be undone as it is"):
        bench.undo(done.id)
    assert bench.undo(done.id, resolutions=KEEP).status == "committed"
    assert bench.host.read_bytes(MOTD) == theirs and bench.read(ISSUE) == "Debian\n"


def test_what_the_step_wrote_is_damaged_and_somebody_edited_it(bench: Bench) -> None:
    """It cannot be merged then; what was before is whole and may come back."""
    done = banners(bench)
    bench.host.write_file(MOTD, b"warned\nby me\n")
    (delta,) = (one for one in Records(bench.state).deltas(done.id) if one.key == MOTD)
    damage_after(bench, delta)
    plan = undo.plan_undo(bench.host, bench.state, done.id)
    assert {*plan.conflicts[0].cannot} == {"merge"}
    restore = Resolutions(single={MOTD: "restore"})
    assert bench.undo(done.id, resolutions=restore).status == "committed"
    assert bench.read(MOTD) == "welcome\n"


def damage_after(bench: Bench, delta: Delta) -> None:
    bench.host.put(ISSUE, None)  # it holds the same: kept anew from there it would be whole
    (sha256,) = history.contents_of(delta.after)
    ObjectStore(bench.state.objects).where(sha256).unlink()


def test_a_later_step_in_the_same_file_needs_nothing_of_it(bench: Bench) -> None:
    """What was damaged goes over to it; its own undo asks then."""
    done = banners(bench)
    later = bench.apply("later", WriteFile(path=MOTD, content=b"later\n"))
    damage(bench.state, done.id, MOTD)
    assert how(undo.plan_undo(bench.host, bench.state, done.id))[MOTD] == "handed-over"
    assert bench.undo(done.id).status == "committed"
    with pytest.raises(Conflict, match=f"later .{later.id}. cannot be undone as it is"):
        bench.undo(later.id)
    assert bench.undo(later.id, resolutions=KEEP).status == "committed"
    assert bench.read(MOTD) == "later\n"


def test_a_later_step_that_added_a_line(bench: Bench) -> None:
    bench.host.write_file(MOTD, b"1\n2\n3\n4\n5\n")
    done = bench.apply("one", WriteFile(path=MOTD, content=b"one\n2\n3\n4\n5\n"))
    later = bench.apply("two", WriteFile(path=MOTD, content=b"one\n2\n3\n4\nfive\n"))
    damage(bench.state, done.id, MOTD)
    ended = bench.undo(done.id)
    assert ended.status == "committed" and bench.read(MOTD) == "one\n2\n3\n4\nfive\n"
    assert bench.undo(later.id, resolutions=KEEP).status == "committed"


def test_of_all_only_what_needs_something_damaged_is_left_out(bench: Bench) -> None:
    first = bench.apply(
        "first", RunCommand(argv=("sysctl", "-w", "net.ipv4.ip_forward=1"), why="a test")
    )
    done = banners(bench)
    last = bench.apply("last", RemoveFile(HOSTNAME))
    damage(bench.state, done.id, MOTD)
    ids = [last.id, done.id, first.id]
    plans = undo.plan_undos(bench.host, bench.state, ids, leave_out=True)
    assert [plan.transaction for plan in plans] == ids
    assert [bool(plan.left_out) for plan in plans] == [False, True, False]
    assert plans[1].left_out.startswith(f"files.banners ({done.id}) cannot be undone as it is: the")
    assert not plans[1].items and plans[1].fingerprint
    plans = undo.plan_undos(bench.host, bench.state, ids, KEEP, leave_out=True)
    assert not any(plan.left_out for plan in plans), "what to do about it was said"


@pytest.mark.parametrize("remove", [True, False])
def test_a_list_of_differences_is_needed_by_what_came_before_it(bench: Bench, remove: bool) -> None:
    first = bench.apply("first", WriteFile(path=MOTD, content=b"first\n"))
    done = banners(bench)
    last = bench.apply("last", RemoveFile(HOSTNAME))
    path = Records(bench.state).where(done.id) / LIST
    path.unlink() if remove else path.write_bytes(path.read_bytes().replace(b"a", b"b"))
    ids = [last.id, done.id, first.id]
    plans = undo.plan_undos(bench.host, bench.state, ids, leave_out=True)
    assert [plan.transaction for plan in plans] == ids
    assert [bool(plan.left_out) for plan in plans] == [False, True, True]
    assert str(path) in plans[1].left_out and str(path) in plans[2].left_out


def applied(run: Run, state: Path) -> tuple[dict[str, str], str]:
    """Three steps, by name their transactions, and a damaged file of the second."""
    steps = ["apache.banner", "files.banners", "php.settings"]
    run("check", steps[0])
    (state / "host/root/etc/issue").write_text("Debian\n")
    for step in steps:
        assert run("apply", step, "--yes")[0] == 0
    listed = json.loads(run("history", "list", "--format", "json")[1])["transactions"]
    ids = {one["steps"][0]: one["id"] for one in listed}
    assert ids.keys() == {*steps}
    kept = StateDir(state)
    changed = Records(kept).deltas(ids["files.banners"])
    path = next(one.key for one in changed if history.contents_of(one.before))
    damage(kept, ids["files.banners"], path)
    return ids, path


def test_all_but_that_is_undone_and_the_exit_status_says_so(run: Run, state: Path) -> None:
    ids, path = applied(run, state)
    named = f"files.banners ({ids['files.banners']}) cannot be undone as it is: the saved content"
    status, out, err = run("rollback", "--all", "--dry-run")
    assert status == 3, out + err
    assert (
        named in " ".join(out.split())
        and f"Not all can be undone, 1 of 3 stays in force. {named}" in err
    )
    assert "left out, stays in force" in " ".join(out.split())
    document = json.loads(run("rollback", "--all", "--dry-run", "--format", "json")[1])
    assert [bool(one["left_out"]) for one in document["plans"]] == [False, True, False]
    fingerprint = document["fingerprint"]
    status, out, _ = run("rollback", "--all", "--yes", "--fingerprint", fingerprint)
    assert status == 3 and named in " ".join(out.split())
    assert "Undone: php.settings, apache.banner." in " ".join(out.split())
    listed = json.loads(run("history", "list", "--format", "json")[1])["transactions"]
    stands = {
        one["id"] for one in listed if one["kind"] == "apply" and one["status"] == "committed"
    }
    assert stands == {ids["files.banners"]}
    assert ids["files.banners"] in run("log", "show")[1]
    status, out, _ = run("rollback", "--all", "--yes")
    assert status == 3 and "Nothing was undone. Not all can be undone, 1 of 1 stays" in " ".join(
        out.split()
    )
    choice = f"--keep-current={path}"
    assert path in run("rollback", "--all", choice, "--dry-run")[1]
    assert run("rollback", "--all", choice, "--yes")[0] == 0


def test_alone_it_is_refused_by_name_with_the_way_out(run: Run, state: Path) -> None:
    ids, path = applied(run, state)
    status, out, err = run("rollback", "files.banners", "--dry-run")
    assert status == 3 and f"files.banners ({ids['files.banners']}) cannot be undone" in err
    assert f"files: {path}: CONFLICT" in out and f"--keep-current={path}" in out
    assert "what was changed since" not in out.split("ways out")[0]
    status, out, _ = run("rollback", "files.banners", f"--keep-current={path}", "--yes")
    assert status == 0, out
    assert f"As you chose, {path} was left as it stood." in " ".join(out.split())


def test_what_is_not_left_out_is_asked_as_the_first(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is undone before it, so what it would meet is known now."""
    first = bench.apply("first", InstallPackages(("ufw",)))
    tx = bench.begin("less")
    bench.host.run(("dpkg", "--purge", "ufw"))
    less = tx.commit()
    done = banners(bench)
    damage(bench.state, done.id, MOTD)
    monkeypatch.setattr("snapshots.fitting.fit", lambda *_: Fit(why="apt stumbles"))
    ids = [done.id, less.id, first.id]
    plans = undo.plan_undos(bench.host, bench.state, ids, leave_out=True)
    assert plans[0].left_out and not plans[1].left_out and "stumbles" in plans[1].cannot
