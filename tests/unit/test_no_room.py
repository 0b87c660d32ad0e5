"""guard.sh and restore.sh on a disk that is full or read-only: what can go back does, and the
switch stays on for the rest."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots import guard as guards
from snapshots.durable import private_directory
from snapshots.guard_switch import SCRIPT
from snapshots.model import Busy
from snapshots.points import Points
from snapshots.state import StateDir
from tests.unit.restore_points import (
    ETC,
    NO_RUN,
    capture,
    make_points,
    make_tree,
    run_restore_with,
    summary,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="small disks need root to mount them")

NO_ROOM = 75
ALONE = """
manager=no
ask_manager() { :; }
by_program() { return 1; }
run() { echo "ran $*"; }
wake_sshd() { echo woken; }
FIRST_PAUSE_S=1
"""
"""What it would do to the daemons of this machine is only said."""
KINDS = ("full", "read-only")


class Disk:
    """A small file system at `path`."""

    def __init__(self, path: Path, size: str = "4m") -> None:
        self.path = path
        path.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={size},mode=700", "small")

    def spoil(self, kind: str) -> None:
        """From now on nothing more can be written to it."""
        if kind == "read-only":
            self._mount("-o", "remount,ro")
            return
        with (self.path / "filler").open("wb", buffering=0) as filler:
            for size in (65536, 1):
                try:
                    while filler.write(b"\1" * size) == size:
                        pass
                except OSError:
                    pass

    def mend(self) -> None:
        self._mount("-o", "remount,rw")
        (self.path / "filler").unlink(missing_ok=True)

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, str(self.path)], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "small")
    yield disk
    subprocess.run(["umount", "-l", str(disk.path)], check=True)


@pytest.fixture
def spare(tmp_path: Path) -> Path:
    """What /run is for the scripts."""
    path = tmp_path / "run"
    path.mkdir()
    return path


def run_restore(points: Points, tree: Path, spare: Path) -> subprocess.CompletedProcess[str]:
    return run_restore_with(points, tree, "--bind", spare)


def aside(spare: Path) -> dict[str, str]:
    """What lies in the set-aside directories of /run, by name."""
    places = spare.glob("harden-tui/set-aside.one.*")
    return {
        path.name: path.read_text()
        for place in places
        for path in place.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_state_directory_without_room_keeps_nothing_from_going_back(
    tmp_path: Path, small: Disk, spare: Path, kind: str
) -> None:
    tree = make_tree(tmp_path)
    points = make_points(small.path)
    before = summary(tree)
    points.write("one", "host", ETC, capture(tree, points._store))
    (tree / "etc/new").write_text("came since\n")
    (tree / "etc/hosts").write_text("changed\n")
    small.spoil(kind)
    done = run_restore(points, tree, spare)
    assert (done.returncode, done.stderr) == (0, "")
    assert summary(tree) == before
    assert aside(spare) == {"new": "came since\n", "hosts": "changed\n"}
    assert "lies in /run/harden-tui/set-aside.one.1, until the next boot" in done.stdout
    assert [path.name for path in (spare / "harden-tui").iterdir()] == ["set-aside.one.1"]


def test_on_a_full_disk_a_file_is_written_over_in_its_place(
    tmp_path: Path, small: Disk, spare: Path
) -> None:
    """No block is free, not even for a directory: what goes to /run, and what was longer, is all
    the room there is."""
    tree = make_tree(small.path)
    before = summary(tree)
    points = make_points(tmp_path)
    points.write("one", "host", ETC, capture(tree, points._store))
    (tree / "etc/hosts").write_text("changed, and longer than it was before\n")
    (tree / "etc/ssh/config").write_text("P\n")
    (tree / "etc/ssh/config").chmod(0o666)
    small.spoil("full")
    done = run_restore(points, tree, spare)
    assert (done.returncode, done.stderr) == (0, "")
    assert summary(tree) == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_finds_no_room_is_named_and_goes_back_with_another_try(
    tmp_path: Path, small: Disk, spare: Path, kind: str
) -> None:
    tree = make_tree(small.path)
    before = summary(tree)
    points = make_points(tmp_path)
    points.write("one", "host", ETC, capture(tree, points._store))
    (tree / "etc/hosts").unlink()
    (tree / "etc/ssh/key").chmod(0o644)
    small.spoil(kind)
    done = run_restore(points, tree, spare)
    assert done.returncode == NO_ROOM
    assert f"{tree}/etc/hosts could not be written." in done.stderr
    if kind == "read-only":
        assert f"Owner or mode of {tree}/etc/ssh/key could not be set." in done.stderr
    small.mend()
    done = run_restore(points, tree, spare)
    assert (done.returncode, done.stderr) == (0, "")
    assert summary(tree) == before


def test_no_room_for_a_copy_is_said(tmp_path: Path, small: Disk) -> None:
    """There is a little for the lists, not for a large file."""
    tree = make_tree(tmp_path)
    points = make_points(small.path)
    before = summary(tree)
    points.write("one", "host", ETC, capture(tree, points._store))
    (tree / "etc/hosts").write_bytes(b"#" * (5 << 20))
    done = run_restore_with(points, tree, *NO_RUN)
    assert done.returncode == 1
    assert f"There was no room for a copy of {tree}/etc/hosts as it was" in done.stderr
    assert summary(tree) == before
    assert [path for path in points.path.rglob("set-aside.*/**/*") if path.is_file()] == []


# --- guard.sh ------------------------------------------------------------------------------------


def arm(tmp_path: Path, small: Disk, ends: str) -> StateDir:
    """A switch whose deadline has passed; `ends` is how its restore.sh does."""
    state = StateDir(small.path / "state")
    place = guards.directory(state)
    private_directory(place)
    point = tmp_path / "point"
    point.mkdir()
    (point / "restore.sh").write_text(f"echo tried >>'{tmp_path}/tries'; {ends}\n")
    (place / "points").write_text(f"{point}\n")
    (place / "live.sh").write_text("run reload\n")
    (place / "deadline").write_text("0\n")
    (place / "boot").write_text(f"{guards.this_boot()}\n")
    (place / "armed").touch()
    return state


def fire(state: StateDir, spare: Path) -> subprocess.Popen[str]:
    functions = SCRIPT.read_text().partition('\nmain "$@"\n')[0]
    script = f"{functions}\n{ALONE}spare='{spare}'\nmain \"$@\"\n"
    return subprocess.Popen(
        ["/bin/sh", "-c", script, f"{guards.directory(state)}/guard.sh", "deadline"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_without_room_the_restore_points_are_put_back_once(
    tmp_path: Path, small: Disk, spare: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "SPARE", spare)
    state = arm(tmp_path, small, "exit 0")
    small.spoil(kind)
    for _ in range(2):  # the timer's and the detached shell's
        said, _ = fire(state, spare).communicate(timeout=30)
        assert "cannot" not in said
    assert (tmp_path / "tries").read_text() == "tried\n"
    assert guards.was_put_back_by_script(state)
    assert "restore points are put back" in (spare / "fired.log").read_text()
    with guards.decisive(state):
        pass
    small.mend()
    assert guards.was_put_back_by_script(state)
    guards.forget(state)
    assert list(spare.iterdir()) == []


def test_what_found_no_room_is_tried_again_and_the_switch_stays_on(
    tmp_path: Path, small: Disk, spare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "SPARE", spare)
    state = arm(tmp_path, small, f"[ -e '{tmp_path}/room' ] || exit {NO_ROOM}")
    with fire(state, spare) as script:
        until = time.monotonic() + 30
        while not (tmp_path / "tries").exists() or len((tmp_path / "tries").read_text()) < 12:
            assert time.monotonic() < until, "it was not tried again"
            time.sleep(0.05)
        assert guards.is_armed(state) and not guards.was_put_back_by_script(state)
        with pytest.raises(Busy), guards.decisive(state):
            pass
        (tmp_path / "room").touch()
        said, _ = script.communicate(timeout=30)
    assert "there was no room for all of it; another try follows in 1 s" in said
    assert not guards.is_armed(state) and guards.was_put_back_by_script(state)
    assert "but for what" not in guards.told_of_script(state)
