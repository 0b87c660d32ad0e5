"""Nothing is removed through a mount: what lies there never came with a package."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import FileState, HostError
from host.local import LocalHost
from host.mounted import MOUNTINFO, mount_points, parse_points
from host.practice import PracticeHost
from snapshots import leftovers, undo
from snapshots.records import Records
from tests.unit.snapshots_host import Bench
from tests.unit.test_leftovers import BEFORE, LOG, Host

DIRECTORY = FileState(kind="dir", mode=0o755)


def put(host: PracticeHost, path: str) -> None:
    """A file, with the directories above it."""
    above = path.rpartition("/")[0]
    for depth in range(2, above.count("/") + 2):
        directory = "/".join(above.split("/")[:depth])
        if host.state(directory) is None:
            host.put(directory, DIRECTORY)
    host.write_file(path, b"x")


def mount(host: PracticeHost, *points: str) -> None:
    """Say that something is mounted there; ext4 on the device of the root, as a bound directory."""
    rows = [
        f"{number} 1 8:1 /data {point} rw,relatime shared:1 - ext4 /dev/sda1 rw"
        for number, point in enumerate(("/", "/var", "/proc", *points), 20)
    ]
    put(host, MOUNTINFO)
    host.write_file(MOUNTINFO, "".join(f"{row}\n" for row in rows).encode("utf-8"))


def test_the_kernels_writing_of_names() -> None:
    text = (
        "25 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "26 25 0:24 / /srv/my\\040disk\\011\\134\\012 rw master:3 - tmpfs tmpfs rw\n"
        "27 25 8:1 /a /srv/a\x85b\\043 rw - ext4 /dev/sda1 rw\n"
        "damaged\n"
    )
    assert parse_points(text) == {"/", "/srv/my disk\t\\\n", "/srv/a\x85b#"}


def test_this_machines_mounts_are_known(tmp_path: Path) -> None:
    assert {"/", "/proc"} <= mount_points(LocalHost())
    host = PracticeHost(tmp_path)
    assert mount_points(host) == {"/proc"}
    host.put(MOUNTINFO, None)
    assert mount_points(host) == frozenset()
    mount(host, "/srv/ftp")
    assert mount_points(host) == {"/", "/var", "/proc", "/srv/ftp"}


def test_mounts_that_cannot_be_told_do_not_pass_for_none(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    put(host, "/var/lib/new/data")
    host.put(MOUNTINFO, None)
    host.is_practice = False
    with pytest.raises(HostError, match="mountinfo could not be read"):
        leftovers.remove(host, ["/var/lib/new"])
    assert host.state("/var/lib/new/data") is not None


@pytest.mark.parametrize(
    ("point", "left", "told"),
    [
        ("/srv/ftp/a/disk", ["/srv/ftp/a/disk/own"], "/srv/ftp/a/disk stays: something is mounted"),
        ("/srv/ftp", ["/srv/ftp/a/disk/own", "/srv/ftp/z"], "/srv/ftp stays: something is mounted"),
        ("/srv/ftp/z", ["/srv/ftp/z"], "/srv/ftp/z stays: something is mounted there."),
        ("/srv", [], ""),
    ],
)
def test_what_is_mounted_is_not_removed(
    tmp_path: Path, point: str, left: list[str], told: str
) -> None:
    host = PracticeHost(tmp_path)
    for name in ("/srv/ftp/a/disk/own", "/srv/ftp/z"):
        put(host, name)
    mount(host, point)
    said = leftovers.remove(host, ["/srv/ftp"])
    assert " ".join(said).startswith(told) and "by hand" not in " ".join(said)
    assert [path for path, _ in host.walk("/srv", content=False) if path in (*left, "/srv/ftp/z")
            or path.endswith("own")] == left  # fmt: skip


def test_a_mount_is_not_even_looked_into(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    for name in ("/srv/ftp/disk/own", "/var/lib/php/modules/new"):
        put(host, name)
    mount(host, "/srv/ftp/disk", "/var/lib/php")
    assert leftovers.states(host, ["/srv/ftp"]).keys() == {"/srv/ftp", "/srv/ftp/disk"}
    assert not {"/srv/ftp/disk/own", "/var/lib/php/modules"} & leftovers.survey(host).keys()
    assert leftovers.beyond(host, ["/var/lib/php/modules/new", "/srv/ftp"]) == {
        "/var/lib/php/modules/new": "something is mounted on /var/lib/php"
    }


def test_a_tree_that_is_a_link_has_its_mounts_too(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    put(host, "/data/srv/ftp/disk/own")
    host.put("/srv", FileState(kind="symlink", target="/data/srv"))
    mount(host, "/data/srv/ftp/disk")
    leftovers.remove(host, ["/srv/ftp"])
    assert host.state("/data/srv/ftp/disk/own") is not None


def test_nothing_is_removed_through_a_link_that_came_since(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    put(host, "/data/php/modules/fpm/own")
    put(host, "/var/lib/other")
    host.put("/var/lib/php", FileState(kind="symlink", target="../../data/php"))
    (said,) = leftovers.remove(host, ["/var/lib/php/modules/fpm"])
    assert said == (
        "/var/lib/php/modules/fpm stays: /var/lib/php, in which it lay, is a symbolic link now."
    )
    assert host.state("/data/php/modules/fpm/own") is not None


def test_what_is_mounted_did_not_come_with_packages(tmp_path: Path) -> None:
    host = Host(tmp_path)
    mount(host, "/var/lib/disk", "/var/lib/php/modules")
    new = {"/var/lib/disk": DIRECTORY, "/var/lib/php/modules/fpm": DIRECTORY,
           "/var/lib/php/sessions": DIRECTORY, "/var/lib/disk/file": LOG}  # fmt: skip
    assert leftovers.came(host, BEFORE, {**BEFORE, **new}) == ["/var/lib/php/sessions"]


def with_leftovers(bench: Bench) -> str:
    """The id of a transaction whose packages brought /srv/ftp."""
    tx = bench.begin("ftp")
    put(bench.host, "/srv/ftp/welcome")
    Records(bench.state).journal(tx.id, "came", "/srv/ftp came with packages", path="/srv/ftp")
    return tx.commit().id


@pytest.mark.parametrize("point", ["/srv/ftp", "/srv/ftp/pictures"])
def test_an_undo_says_what_stays_and_why(tmp_path: Path, point: str) -> None:
    bench = Bench(tmp_path)
    made = with_leftovers(bench)
    put(bench.host, "/srv/ftp/pictures/1.jpg")
    mount(bench.host, point)
    plan = undo.plan_undo(bench.host, bench.state, made)
    notes = {item.key: (item.how, item.note) for item in plan.items}
    assert notes[point] == ("already", "stays: something is mounted there")
    assert not any(
        key.startswith(f"{point}/") for key, (how, _) in notes.items() if how != "already"
    )
    assert "/srv/ftp/pictures/1.jpg" not in notes
    if point != "/srv/ftp":
        assert notes["/srv/ftp"] == ("already", f"stays: {point} lies in it")

    ended = bench.undo(made, plan.fingerprint)
    assert (ended.status, ended.reason) == (
        "committed", f"{point} stays: something is mounted there."
    )  # fmt: skip
    assert bench.read("/srv/ftp/pictures/1.jpg") == "x"
    assert (bench.host.state("/srv/ftp/welcome") is None) == (point != "/srv/ftp")


def test_a_mount_after_the_preview_makes_it_out_of_date(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = with_leftovers(bench)
    plan = undo.plan_undo(bench.host, bench.state, made)
    mount(bench.host, "/srv/ftp")
    with pytest.raises(HostError, match="changed since this undo was shown"):
        bench.undo(made, plan.fingerprint)
    assert bench.read("/srv/ftp/welcome") == "x"


def test_going_back_leaves_what_was_mounted_meanwhile_and_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    tx = bench.begin("ftp")
    put(bench.host, "/srv/ftp/disk/own")
    Records(bench.state).journal(tx.id, "came", "/srv/ftp came with packages", path="/srv/ftp")
    mount(bench.host, "/srv/ftp/disk")
    ended = tx.roll_back("something failed")
    assert ended.status == "rolled-back"
    assert "/srv/ftp/disk stays: something is mounted there." in ended.reason
    assert bench.read("/srv/ftp/disk/own") == "x"


def test_a_walk_lists_what_it_shall_not_enter(tmp_path: Path) -> None:
    for name in ("in/deep/file", "out/file"):
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True)
        file.write_text("x")
    host, root = LocalHost(), str(tmp_path / "tree")
    for content in (False, True):
        found = {path for path, _ in host.walk(root, content=content, without={f"{root}/out"})}
        assert found == {root, *(f"{root}/{name}" for name in
                                 ("in", "in/deep", "in/deep/file", "out"))}  # fmt: skip
    assert host.walked(root, 0.0) is None
