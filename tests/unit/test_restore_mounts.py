"""restore.sh and what is mounted below /etc: not moved, not gone into and not written over."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from snapshots.points import Points
from tests.unit.restore_points import ETC, capture, make_points, make_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")

WITHOUT_PROC = "mount -t tmpfs none /proc"
LOOK = "ls -A etc/held etc/new etc/ssh 2>/dev/null"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = make_tree(tmp_path)
    (tree / "etc/held").mkdir()
    for name in ("bound", "data"):
        (tree / name).mkdir()
        (tree / name / "precious").write_text("the only copy\n")
    (tree / "other.conf").write_text("of somebody else\n")
    return tree


@pytest.fixture
def points(tmp_path: Path, tree: Path) -> Points:
    points = make_points(tmp_path)
    points.write("one", "host", ETC, capture(tree, points._store))
    return points


def run(points: Points, tree: Path, *first: str) -> subprocess.CompletedProcess[str]:
    """restore.sh with its own mounts; what it says, and then what is there."""
    script = points.path / "one/restore.sh"
    words = "\n".join(
        ["set -e", *first, "set +e", f"sh '{script}' '{tree}'", "done=$?", LOOK, "exit $done"]
    )
    return subprocess.run(["unshare", "-m", "sh", "-c", words], cwd=tree, capture_output=True,
                          text=True, check=False)  # fmt: skip


def aside(points: Points) -> list[str]:
    """The files that were set aside, by their names in the tree."""
    there = (points.path / "one").glob("set-aside.1/**/*")
    return sorted(str(path).partition("/tree/")[2] for path in there if path.is_file())


@pytest.mark.parametrize("has_proc", [True, False])
def test_what_is_mounted_stays_where_it_is(points: Points, tree: Path, has_proc: bool) -> None:
    (tree / "etc/new").mkdir()
    (tree / "etc/new/mine").write_text("new\n")
    (tree / "etc/new/below").mkdir()
    done = run(
        points, tree,
        "mount -t tmpfs none etc/held", "echo key > etc/held/key",
        "mount -t tmpfs none etc/new/below", "echo key > etc/new/below/key",
        "" if has_proc else WITHOUT_PROC,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "etc/held:\nkey\n" in done.stdout and "etc/new:\nbelow\n" in done.stdout
    for place in ("held", "new/below"):
        assert f"Something is mounted on {tree}/etc/{place}; it was left alone.\n" in done.stdout
    assert aside(points) == ["etc/new/mine"]


def test_what_is_bound_to_another_place_stays_there(points: Points, tree: Path) -> None:
    (tree / "etc/hosts").write_text("edited\n")
    for name in ("newbind", "my disk"):
        (tree / "etc" / name).mkdir()
    done = run(points, tree, "mount --bind data etc/newbind", "mount --bind bound 'etc/my disk'")
    assert done.returncode == 0, done.stderr
    for name in ("data", "bound"):
        assert (tree / name / "precious").read_text() == "the only copy\n"
    assert (tree / "etc/hosts").read_text() == "127.0.0.1 localhost\n"
    assert aside(points) == ["etc/hosts"]


@pytest.mark.parametrize("has_proc", [True, False])
def test_what_a_mount_covers_is_named(points: Points, tree: Path, has_proc: bool) -> None:
    (tree / "etc/hosts").write_text("edited\n")
    (tree / "etc/ssh/config").write_text("edited\n")
    done = run(
        points, tree,
        "mount --bind other.conf etc/hosts", "mount -t tmpfs none etc/ssh", "echo > etc/ssh/mine",
        "" if has_proc else WITHOUT_PROC,
    )  # fmt: skip
    assert done.returncode == 1
    for place in ("hosts", "ssh"):
        assert done.stderr.count(f"etc/{place}") == 1
        assert (
            f"restore.sh: {tree}/etc/{place} is covered by what is mounted on it; unmount it and "
            "run this again; it was left alone.\n"
        ) in done.stderr
    assert (tree / "other.conf").read_text() == "of somebody else\n"
    assert "etc/ssh:\nmine\n" in done.stdout
    assert run(points, tree).returncode == 0
    assert (tree / "etc/ssh/config").read_text() == "Port 22\n"


def test_what_is_as_it_was_below_a_mount_is_no_problem(points: Points, tree: Path) -> None:
    done = run(points, tree, "mount --bind etc/hosts etc/hosts", "mount --bind etc/ssh etc/ssh")
    assert done.returncode == 0, done.stderr
    assert "\n0 changes made" in done.stdout


def test_a_directory_that_holds_a_mount_is_not_replaced(points: Points, tree: Path) -> None:
    (tree / "etc/hosts").unlink()
    (tree / "etc/hosts/deep").mkdir(parents=True)
    done = run(points, tree, "mount --bind data etc/hosts/deep")
    assert done.returncode == 1
    assert (
        f"restore.sh: {tree}/etc/hosts holds {tree}/etc/hosts/deep, where something is mounted; "
        "unmount that and run this again; it was left alone.\n"
    ) in done.stderr
    assert (tree / "data/precious").exists()


def test_a_damaged_list_is_no_reason_to_go_into_a_mount(points: Points, tree: Path) -> None:
    with (points.path / "one/restore.list").open("a") as stream:
        stream.write("root content /etc/ssh\n")
    done = run(points, tree, "mkdir away", "mount --bind away etc/ssh")
    assert done.returncode == 1
    assert f"{tree}/etc/ssh is covered by what is mounted on it" in done.stderr
    assert not any((tree / "away").iterdir())
