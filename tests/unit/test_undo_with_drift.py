"""Whole undos on a host with drift: random steps over shared files, edits, undos, choices.

What the host is meant to hold is known from the edits alone: nothing here asks the code under
test what it should have done.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.base import FileState
from snapshots import history, undo
from snapshots.capture import Keeper
from snapshots.model import (
    RESOLUTIONS,
    Change,
    FileItem,
    InstallPackages,
    MakeLink,
    RemoveFile,
    Resolution,
    Resolutions,
    RunCommand,
    SnapshotError,
    UndoItem,
    WriteFile,
)
from tests.unit.snapshots_host import Bench

PATHS = ("/etc/app.conf", "/etc/app.d/site.conf", "/etc/app.link")

STEPS = st.tuples(
    st.just("step"),
    st.dictionaries(
        st.sampled_from(PATHS),
        st.sampled_from(["append", "change", "write", "remove", "link"]),
        min_size=1,
    ),
    st.sampled_from(["", "", "package", "kernel", "unit"]),
)
EDITS = st.tuples(
    st.just("edit"),
    st.sampled_from(PATHS),
    st.sampled_from(["append", "change", "write", "remove", "chmod", "link", "directory"]),
)
UNDOS = st.tuples(st.just("undo"), st.integers(0, 9), st.sampled_from(RESOLUTIONS))


class Drifting:
    """A host, the words that people wrote into it, and the files in which a choice was made."""

    def __init__(self, directory: Path) -> None:
        self.bench = Bench(directory)
        host = self.bench.host
        host.put("/etc/app.d", FileState(kind="dir", mode=0o755))
        host.write_file(PATHS[0], b"".join(b"first %d\n" % number for number in range(6)))
        host.write_file(PATHS[1], b"only\n", FileState(kind="file", mode=0o640))
        self.first = self.bench.fingerprint()
        self.edited: set[str] = set()
        self.kept: set[str] = set()
        self.given_up: set[str] = set()
        self.number = 0

    def text(self, path: str) -> str:
        state = self.bench.host.state(path)
        return self.bench.read(path) if state is not None and state.kind == "file" else ""

    def written(self, path: str, how: str, word: str) -> bytes:
        """What a file becomes that somebody appends to, changes in one place, or writes anew."""
        lines = self.text(path).splitlines()
        new = f"{word} {self.number}"
        if how == "append" or not lines:
            return "".join(f"{line}\n" for line in [*lines, new]).encode()
        if how == "change":
            lines[self.number % len(lines)] = new
            return "".join(f"{line}\n" for line in lines).encode()
        return f"{new}\n".encode()

    def changes(self, wishes: dict[str, str], more: str) -> list[Change]:
        found: list[Change] = []
        for path, how in sorted(wishes.items()):
            state = self.bench.host.state(path)
            kind = state.kind if state else ""
            if how == "remove" and kind in ("file", "symlink"):
                found.append(RemoveFile(path))
            elif how == "link" and kind in ("", "symlink"):
                found.append(MakeLink(path, f"/etc/step-{self.number}"))
            elif how in ("append", "change", "write") and kind in ("", "file"):
                found.append(WriteFile(path=path, content=self.written(path, how, "step")))
        extra: dict[str, Change] = {
            "package": InstallPackages(("ufw",)),
            "kernel": RunCommand(
                argv=("sysctl", "-w", f"net.ipv4.conf.all.log_martians={self.number % 2}"), why="x"
            ),
            "unit": RunCommand(argv=("systemctl", "disable", "--now", "cups.service"), why="x"),
        }
        return [*found, *([extra[more]] if more else [])]

    def edit(self, path: str, how: str) -> None:
        host = self.bench.host
        state = host.state(path)
        if state is not None and state.kind == "dir":
            return
        if state is None and how in ("remove", "chmod"):
            return
        if state is not None and state.kind == "symlink" and how not in ("remove", "link"):
            return
        self.edited.add(path)
        if how == "remove":
            host.put(path, None)
        elif how == "chmod" and state is not None:
            host.write_file(
                path,
                host.read_bytes(path),
                FileState(kind="file", mode=0o600 + self.number, uid=state.uid, gid=state.gid),
            )
        elif how == "link":
            host.put(path, None)
            host.put(path, FileState(kind="symlink", mode=0o777, target=f"/mine-{self.number}"))
        elif how == "directory":
            host.put(path, None)
            host.put(path, FileState(kind="dir", mode=0o755))
            host.write_file(f"{path}/mine", b"mine\n")
        else:
            host.write_file(path, self.written(path, how, "mine"))

    def mine(self, path: str) -> set[str]:
        """What of a person is to be seen at a path."""
        state = self.bench.host.state(path)
        if state is not None and state.kind == "symlink":
            return {state.target} if state.target.startswith("/mine") else set()
        if state is not None and state.kind == "dir":
            return {"directory"}
        return {line for line in self.text(path).splitlines() if line.startswith("mine")}

    def undo(self, tx_id: str, choice: Resolution) -> None:
        """Undo, with the choice where it is possible and `keep-current` where it is not."""
        bench = self.bench
        plan = undo.plan_undo(bench.host, bench.state, tx_id)
        before = {path: (bench.host.state(path), self.mine(path)) for path in PATHS}
        single: dict[str, Resolution] = {}
        while plan.conflicts:
            for item in plan.conflicts:
                assert item.key not in single or single[item.key] != "keep-current"
                single[item.key] = (
                    choice
                    if choice not in item.cannot and item.key not in single
                    else "keep-current"
                )
            plan = undo.plan_undo(bench.host, bench.state, tx_id, Resolutions(single=single))
        record = bench.undo(tx_id, plan.fingerprint, Resolutions(single=single))
        assert record.status == "committed", record.reason
        how = {item.key: item for item in plan.items}
        for path, (state, mine) in before.items():
            done = how.get(path)
            if done is None or done.how in ("kept", "already", "handed-over"):
                assert bench.host.state(path) == state or same(bench.host.state(path), state)
            if done is not None and done.chosen == "restore":
                # Where a later step needs it as it is, it goes only when that is undone.
                self.given_up |= mine
                self.readable_in_a_restore_point(path, done)
            elif done is not None:
                assert mine - self.given_up <= self.mine(path), path
            if done is not None and done.chosen in ("keep-current", "merge"):
                self.kept.add(path)

    def readable_in_a_restore_point(self, path: str, item: UndoItem) -> None:
        """Every word that was given up stands in a restore point, as a whole file."""
        keeper = Keeper(self.bench.host, self.bench.state)
        kept = set()
        for point in keeper.points.ids():
            found = keeper.points.load(point)["files"].get(path)
            if isinstance(found, FileItem) and found.state.kind == "file":
                kept.add(keeper.store.get(found.state.sha256).decode())
        given_up = [s.text for s in item.sides if s.label == "now" or s.label.startswith("found")]
        texts = [text for text in given_up if "\n" in text]
        assert set(texts) <= kept


def same(now: FileState | None, before: FileState | None) -> bool:
    if now is None or before is None:
        return now is before
    return (now.kind, now.mode, now.target, now.size_bytes) == (
        before.kind,
        before.mode,
        before.target,
        before.size_bytes,
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(STEPS, EDITS, EDITS, UNDOS), min_size=3, max_size=9),
    st.data(),
)
def test_no_edit_is_lost_unasked_and_a_full_undo_leaves_the_first_state_and_the_edits(
    actions: list[tuple[str, object, object]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        host = Drifting(Path(directory))
        bench = host.bench
        for action in actions:
            host.number += 1
            match action:
                case ("step", dict(wishes), str(more)):
                    changes = host.changes(wishes, more)
                    if changes:
                        bench.apply(f"step-{host.number % 3}", *changes)
                case ("edit", str(path), str(how)):
                    host.edit(path, how)
                case (_, int(which), str(choice)):
                    standing = standing_ids(bench)
                    if standing:
                        host.undo(standing[which % len(standing)], choice)  # type: ignore[arg-type]  # a str
        for tx_id in data.draw(st.permutations(standing_ids(bench))):
            host.undo(tx_id, data.draw(st.sampled_from(RESOLUTIONS)))
        assert history.verify(bench.state) == []
        last = bench.fingerprint()
        files, first = last["files"], host.first["files"]
        assert isinstance(files, dict) and isinstance(first, dict)
        for path in first.keys() | files.keys():
            if not path.startswith(tuple(host.edited) or ("-",)):
                assert files.get(path) == first.get(path), path
        assert {**last, "files": {}} == {**host.first, "files": {}}
        for path in host.edited - host.kept:
            assert "step" not in host.text(path), path


def standing_ids(bench: Bench) -> list[str]:
    return [
        record.id
        for record in history.transactions(bench.state)
        if record.kind == "apply" and record.status == "committed"
    ]


def test_what_was_given_up_is_named_by_the_undo_and_can_be_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = "/etc/app.conf"
    one = bench.apply("one", WriteFile(path=path, content=b"theirs\n"))
    bench.host.write_file(path, b"mine\n")
    plan = undo.plan_undo(bench.host, bench.state, one.id, Resolutions("restore"))
    record = bench.undo(one.id, plan.fingerprint, Resolutions("restore"))
    assert bench.host.state(path) is None
    assert history.show(bench.state, record.id).record.resolved == {path: "restore"}
    assert "-mine" in history.show(bench.state, record.id).deltas[0].diff


def test_a_secret_that_is_given_up_is_kept_for_root_as_long_as_the_restore_point(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    path = "/etc/secret.conf"
    bench.host.write_file(path, b"password=unset\n")
    one = bench.apply("one", WriteFile(path=path, content=b"password=a\n", secret=True))
    bench.host.write_file(path, b"password=mine\n")
    record = bench.undo(one.id, None, Resolutions("restore"))
    assert record.status == "committed", record.reason
    assert bench.read(path) == "password=unset\n"
    kept = [file.read_bytes() for file in bench.state.secret_contents.iterdir()]
    assert b"password=mine\n" in kept


def test_what_was_approved_with_a_choice_is_exact(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = "/etc/app.conf"
    one = bench.apply("one", WriteFile(path=path, content=b"theirs\n"))
    bench.host.write_file(path, b"mine\n")
    resolutions = Resolutions("restore")
    plan = undo.plan_undo(bench.host, bench.state, one.id, resolutions)
    other = undo.plan_undo(bench.host, bench.state, one.id, Resolutions("keep-current"))
    assert len({plan.fingerprint, other.fingerprint}) == 2
    bench.host.write_file(path, b"mine, written after the preview\n")
    with pytest.raises(SnapshotError, match="changed since"):
        bench.undo(one.id, plan.fingerprint, resolutions)
    assert bench.read(path) == "mine, written after the preview\n"


def test_several_undos_are_shown_as_one_after_the_other(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = "/etc/app.conf"
    one = bench.apply("one", WriteFile(path=path, content=b"one\n"))
    two = bench.apply("two", WriteFile(path=path, content=b"two\n"))
    alone = undo.plan_undo(bench.host, bench.state, one.id)
    assert (alone.items[0].how, alone.later) == ("handed-over", ("two",))
    plans = undo.plan_undos(bench.host, bench.state, [two.id, one.id])
    assert [plan.items[0].how for plan in plans] == ["restore", "restore"]
    assert "-one" in plans[1].items[0].diff
