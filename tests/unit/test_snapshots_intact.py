"""Damage of any kind is found and named, and an undo that would come to it is not begun."""

from __future__ import annotations

import errno
import shutil
from io import BufferedReader
from pathlib import Path

import msgspec
import pytest

from snapshots import drift_carried, drift_settle, history, intact, kept_files, twins
from snapshots.answers import Answers
from snapshots.guides import Guides
from snapshots.model import RemoveFile, RunCommand, SnapshotError, WriteFile
from snapshots.objects import ObjectStore
from snapshots.records import Records
from snapshots.state import StateDir
from steps import window_store
from steps.window_model import Window
from tests.unit.snapshots_host import Bench

DROP_IN = "/etc/ssh/sshd_config.d/00-test.conf"
SECRET = "/etc/relay.password"


class Stage:
    """A host with some history, to be copied and damaged again and again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.place = directory / "whole"
        bench = Bench(self.place)
        self.first = bench.fingerprint()
        self.ids = [
            bench.apply("motd", WriteFile(path="/etc/motd", content=b"changed\n")).id,
            bench.apply("gone", RemoveFile("/etc/hostname")).id,
            bench.apply(
                "secret", WriteFile(path=SECRET, content=b"one\n", mode=0o600, secret=True)
            ).id,
            bench.apply(
                "again", WriteFile(path=SECRET, content=b"two\n", mode=0o600, secret=True)
            ).id,
            bench.apply(
                "kernel",
                RunCommand(argv=("sysctl", "-w", "net.ipv4.ip_forward=1"), why="a test"),
            ).id,
        ]
        undone = bench.apply("undone", WriteFile(path=DROP_IN, content=b"A 1\n"))
        bench.undo(undone.id)
        bench.host.write_file("/etc/by-others", b"an administrator's\n")
        drift_settle.accept(
            bench.host, bench.state, [("files", "/etc/by-others")],
            expect_fingerprint=None, user="tester",
        )  # fmt: skip
        drift_carried.write(bench.state, undone.id, {("files", "/etc/none"): None})
        self.number = 0

    def copy(self) -> Bench:
        self.number += 1
        target = self.directory / f"copy{self.number}"
        shutil.copytree(self.place, target, symlinks=True)
        return Bench(target)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("intact"))


NOT_LOOKED_AT = ("lock", "reserve", "hashes")
"""Who holds the lock, room set aside, a cache that proves itself. The session log is verified by
`log verify`, what a run said is shown and no more."""


def stored(state: StateDir) -> list[Path]:
    """Every file whose loss would matter, below the state directory."""
    files = [path.relative_to(state.path) for path in state.path.rglob("*") if path.is_file()]
    return sorted(path for path in files if path.parts[0] not in (*NOT_LOOKED_AT, "log", "runs"))


def flip(path: Path, where: int) -> None:
    content = bytearray(path.read_bytes())
    content[where % len(content)] ^= 1 << (where % 8)
    path.chmod(0o600)
    path.write_bytes(content)


def cannot_be_read(monkeypatch: pytest.MonkeyPatch, *broken: Path) -> None:
    """A disk that answers with an error where these lie."""
    opened = kept_files.opened

    def open_or_fail(path: Path) -> BufferedReader:
        if path in broken:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return opened(path)

    monkeypatch.setattr(kept_files, "opened", open_or_fail)


def test_what_cannot_be_read_is_named_with_all_the_rest(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = stage.copy()
    store, records = ObjectStore(bench.state.objects), Records(bench.state)
    (gone,) = records.deltas(stage.ids[1])
    (unreadable,) = history.contents_of(gone.before)
    altered = next(one for one in reversed(list(store.all())) if one != unreadable)
    flip(store.where(altered), 3)
    deltas = records.where(stage.ids[4]) / "delta.jsonl"
    cannot_be_read(monkeypatch, store.where(unreadable), deltas)
    problems = history.verify(bench.state)
    assert f"{store.where(unreadable)} cannot be read (Input/output error)." in problems
    assert any(stage.ids[1] in one and unreadable in one for one in problems)
    assert f"{store.where(altered)} was altered on the disk." in problems
    assert any(str(deltas) in one for one in problems)
    standing = {one.id: one for one in intact.standing(bench.state, practice=True)}
    assert not standing[stage.ids[1]].can_be_undone


def kinds(state: StateDir) -> dict[str, Path]:
    """One of each kind of file: its shape -> its path."""
    found: dict[str, Path] = {}
    for path in stored(state):
        alone = len(path.parts) == 1 or path.suffix or path.name.isupper()
        name = path.name if alone else path.parts[1]
        found[f"{path.parts[0]} {name}"] = path
    return found


def needed_by_undos(state: StateDir) -> list[Path]:
    """The records, lists and kept secrets, and the contents that the lists name."""
    records = Records(state)
    named = {
        sha256
        for tx_id in records.ids()
        for delta in records.deltas(tx_id)
        for side in (delta.before, delta.after)
        for sha256 in history.contents_of(side)
    }
    return [
        path
        for path in stored(state)
        if path.parts[1:2] == ("secrets",)
        or path.name in named
        or path.name in ("record.json", "delta.jsonl")
    ]


def test_a_whole_state_has_no_problems(stage: Stage) -> None:
    bench = stage.copy()
    assert history.verify(bench.state) == []
    standing = intact.standing(bench.state, practice=True)
    assert [one.id for one in standing] == stage.ids
    assert all(one.can_be_undone for one in standing)


def test_there_is_one_of_each_kind(stage: Stage) -> None:
    assert kinds(stage.copy().state).keys() >= {
        "snapshots objects", "snapshots secrets", "snapshots manifest.json",
        "snapshots restore.sh", "snapshots restore.list", "snapshots SHA256SUMS",
        "transactions record.json", "transactions record-copy.json",
        "transactions delta.jsonl", "transactions journal.jsonl",
        *(f"{name} {name}" for kept in ("key", "secret-paths", "accepted", "carried")
          for name in twice(kept)),
    }  # fmt: skip


def twice(name: str) -> tuple[str, str]:
    ending = "" if name == "key" else ".json"
    return f"{name}{ending}", f"{name}-copy{ending}"


def test_a_flipped_bit_is_found_and_named(stage: Stage) -> None:
    """In every file, at its beginning, somewhere within, and at its end."""
    bench = stage.copy()
    for relative in stored(bench.state):
        path = bench.state.path / relative
        whole = path.read_bytes()
        for where in (0, len(whole) // 3, len(whole) - 1):
            flip(path, where)
            said = " ".join(history.verify(bench.state))
            assert path.name in said or path.parent.name in said, f"{relative} byte {where}"
            path.write_bytes(whole)
    assert history.verify(bench.state) == []


def test_a_missing_file_is_found_and_named(stage: Stage) -> None:
    bench = stage.copy()
    for relative in stored(bench.state):
        if relative.parts[1:2] == ("secrets",):
            continue  # it shows where it is needed: the next test
        path = bench.state.path / relative
        aside = path.rename(bench.state.path / "aside")
        said = " ".join(history.verify(bench.state))
        assert path.name in said or path.parent.name in said, relative
        aside.rename(path)
    assert history.verify(bench.state) == []


@pytest.mark.parametrize("how", ["flip", "remove"])
def test_what_can_be_undone_is_and_what_cannot_is_refused(stage: Stage, how: str) -> None:
    """For each file that is damaged: what `verify` says of each transaction is what happens."""
    refused = 0
    for relative in needed_by_undos(stage.copy().state):
        damaged = stage.copy()
        path = damaged.state.path / relative
        if how == "flip":
            flip(path, path.stat().st_size // 2)
        else:
            path.unlink()
        standing = intact.standing(damaged.state, practice=True)
        if all(one.can_be_undone for one in standing):
            continue
        before = damaged.fingerprint()
        for one in standing:
            if one.can_be_undone:
                continue
            refused += 1
            with pytest.raises(SnapshotError):
                damaged.undo(one.id)
            assert damaged.fingerprint() == before
            assert one.why
        for one in standing[-1:]:
            if one.can_be_undone:
                assert damaged.undo(one.id).status == "committed"
    assert refused > 10


def test_a_damaged_secret_is_kept_anew_while_it_is_on_the_host_still(stage: Stage) -> None:
    """And it stays: what kept it first needs it after the undo that kept it anew."""
    bench = stage.copy()
    (kept,) = (
        path for path in bench.state.secret_contents.iterdir() if path.read_bytes() == b"one\n"
    )
    third = bench.apply("third", WriteFile(path=SECRET, content=b"one\n", mode=0o600, secret=True))
    flip(kept, 1)
    assert any(str(kept) in said for said in history.verify(bench.state))
    assert bench.undo(third.id).status == "committed"  # replaces it, so it is kept
    assert kept.read_bytes() == b"one\n"
    assert history.verify(bench.state) == []
    assert bench.undo(stage.ids[3]).status == "committed"
    assert bench.read(SECRET) == "one\n"


def test_damage_to_one_leaves_the_others_undoable(stage: Stage) -> None:
    bench = stage.copy()
    (name,) = (
        delta for delta in Records(bench.state).deltas(stage.ids[1]) if delta.key == "/etc/hostname"
    )
    (sha256,) = history.contents_of(name.before)
    (bench.state.objects / sha256[:2] / sha256).unlink()
    verdicts = {one.id: one for one in intact.standing(bench.state, practice=True)}
    assert [one.can_be_undone for one in verdicts.values()] == [True, False, True, True, True]
    assert "/etc/hostname" in verdicts[stage.ids[1]].why[0]
    before = bench.fingerprint()
    with pytest.raises(SnapshotError, match="nothing of it was touched"):
        bench.undo(stage.ids[1])
    assert bench.fingerprint() == before
    for tx_id in (*stage.ids[2:], stage.ids[0]):
        assert bench.undo(tx_id).status == "committed"
    left = bench.fingerprint()
    assert isinstance(left["files"], dict) and isinstance(stage.first["files"], dict)
    assert {k for k, v in stage.first["files"].items() if left["files"].get(k) != v} == {
        "/etc/hostname"
    }


def test_a_record_that_is_lost_is_missed(stage: Stage) -> None:
    bench = stage.copy()
    twins.remove(bench.state.transactions / stage.ids[0] / "record.json")
    assert any("has lost its record" in said for said in history.verify(bench.state))


@pytest.mark.parametrize("left", [0, 1])
def test_a_journal_that_lost_its_end_is_missed(stage: Stage, left: int) -> None:
    bench = stage.copy()
    one, other = (WriteFile(path=f"/etc/{name}", content=b"x\n") for name in ("one", "other"))
    path = bench.state.transactions / bench.apply("two", one, other).id / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:left]))
    assert history.verify(bench.state) == [
        f"{path} has lost lines of its end ({len(lines) - left})."
    ]


def test_an_altered_record_that_is_still_json_is_not_believed(stage: Stage) -> None:
    bench = stage.copy()
    path = bench.state.transactions / stage.ids[0] / "record.json"
    for each in (path, twins.copy_of(path)):
        assert history.transactions(bench.state)[0].status == "committed"
        each.write_text(each.read_text().replace('"committed"', '"undone"'))
    with pytest.raises(SnapshotError, match="altered on the disk"):
        history.transactions(bench.state)
    assert msgspec.json.decode(path.read_bytes())["status"] == "undone"


def test_broken_answers_guides_and_windows_are_named(stage: Stage) -> None:
    bench = stage.copy()
    Answers(bench.state).set_value("ssh.limits", "tries", 3)
    Guides(bench.state).end("debian-12", "first", by="tester")
    window = Window(id="x", state="open", opened="2026-11-26T10:03:20+00:00", deadline="")
    window_store.write(bench.state, window)
    assert history.verify(bench.state) == []
    for path in (bench.state.answers, bench.state.path / "guides.json"):
        path.write_bytes(b"{")
    for each in (bench.state.window, twins.copy_of(bench.state.window)):
        flip(each, 12)
    said = history.verify(bench.state)
    assert [one.split()[0].rpartition("/")[2] for one in said] == [
        "window.json", "answers.json", "guides.json",
    ]  # fmt: skip
    assert all(one.can_be_undone for one in intact.standing(bench.state, practice=True))
