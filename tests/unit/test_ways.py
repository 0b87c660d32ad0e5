"""What lay in real directories is never put back, nor taken away, through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from host import writing
from host.base import FileState, HostError, UnsafePath
from host.mounted import MOUNTINFO
from host.practice import PracticeHost
from snapshots.domains.files import Files
from snapshots.model import FileItem, Item, Resolutions, Root, WriteFile
from snapshots.objects import ObjectStore
from snapshots.progress import Silent
from snapshots.secret_paths import SecretPaths
from snapshots.state import StateDir
from snapshots.ways import Ways
from tests.unit.snapshots_host import Bench

DIRECTORY = FileState(kind="dir", mode=0o755)
LINK = FileState(kind="symlink", mode=0o777, target="../srv/d")
INNER = ("/etc/d", "/etc/d/e", "/etc/d/e/f")


def directories(host: PracticeHost, *paths: str) -> None:
    for path in paths:
        if host.state(path) is None:
            host.put(path, DIRECTORY)


def of_srv(host: PracticeHost) -> dict[str, object]:
    return {path: (s.kind, s.mode, s.sha256) for path, s in host.walk("/srv", content=True)}


def theirs(bench: Bench) -> dict[str, object]:
    """The administrator makes /etc/d a link to a directory of their own."""
    host = bench.host
    directories(host, "/srv", "/srv/d", "/srv/d/e", "/srv/d/e/f")
    host.write_file("/srv/d/e/f/a", b"the administrator's own\n")
    host.put("/etc/d", LINK)
    return of_srv(host)


def test_an_undo_writes_nothing_through_a_link(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    host = bench.host
    directories(host, *INNER)
    files = ("/etc/d/a", "/etc/d/e/f/a", "/etc/d/e/f/b")
    for path in files:
        host.write_file(path, b"old\n")
    tx = bench.begin("rm")
    for path in (*files, *reversed(INNER)):
        host.put(path, None)
    made = tx.commit().id
    before = theirs(bench)
    ended = bench.undo(made, resolutions=Resolutions("keep-current"))
    assert of_srv(host) == before
    if ended.status != "committed":  # where the plan did not leave these files to the person
        assert ended.status == "rolled-back"
        assert "/etc/d, in which it lay, is a symbolic link now" in ended.reason


def test_going_back_takes_nothing_away_through_a_link(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    host = bench.host
    directories(host, *INNER)
    host.write_file("/etc/d/e/f/a", b"old\n")
    host.write_file("/etc/other", b"old\n")
    tx = bench.begin("step")
    with tx.ours.at_work.noted(host):
        host.write_file("/etc/other", b"new\n")
        for path in ("/etc/d/e/f/a", *reversed(INNER)):
            host.put(path, None)
    before = theirs(bench)
    ended = tx.roll_back("something failed")
    # The link itself becomes the directory again that it was; what it led to stays as it is.
    assert ended.status == "rolled-back", ended.reason
    assert of_srv(host) == before
    assert bench.read("/etc/d/e/f/a") == bench.read("/etc/other") == "old\n"


def test_the_files_domain_refuses_and_does_the_rest(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    host = bench.host
    directories(host, *INNER)
    for path in ("/etc/d/e/f/a", "/etc/other"):
        host.write_file(path, b"old\n")
    tx = bench.begin("step")
    goal = {k: v for k, v in tx._before["files"].items() if k in ("/etc/d/e/f/a", "/etc/other")}
    for path in ("/etc/d/e/f/a", *reversed(INNER)):
        host.put(path, None)
    host.write_file("/etc/other", b"new\n")
    before = theirs(bench)
    with pytest.raises(
        HostError, match=r"/etc/d/e/f/a and 1 more could not be put back: /etc/d, in"
    ):
        tx._keeper.files.restore(host, {**goal, "/etc/d/e/f/b": None}, tx._progress)
    assert of_srv(host) == before and bench.read("/etc/other") == "old\n"


def test_links_above_a_root_are_followed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    host = bench.host
    directories(host, "/data", "/data/app", "/data/app/sub")
    host.put("/srv", FileState(kind="symlink", mode=0o777, target="data"))
    tx = bench.begin("step", roots=(Root("/srv/app", content=True),))
    tx.perform(WriteFile(path="/srv/app/sub/new", content=b"new\n"))
    assert host.state("/data/app/sub/new") is not None
    assert tx.roll_back("something failed").status == "rolled-back"
    assert host.state("/data/app/sub/new") is None


def test_the_way_to_a_file(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    directories(host, "/data", "/data/real")
    host.put("/srv", FileState(kind="symlink", mode=0o777, target="data"))
    host.put("/data/link", FileState(kind="symlink", mode=0o777, target="real"))
    ways = Ways(("/etc", "/srv/link/inner/", "/srv/link"))
    assert ways.top("/srv/link/inner/x") == "/srv/link"
    assert ways.top("/srv/other") == ways.top("/etc") == ""
    wanted = {"/srv/link/inner/x": None, "/srv/other": None, "/srv/link": None}
    assert ways.linked(host, wanted) == {"/srv/link/inner/x": "/srv/link"}


@pytest.mark.parametrize("practice", [False, True])
def test_a_link_is_refused_from_there_on_down_only(tmp_path: Path, practice: bool) -> None:
    host = PracticeHost(tmp_path / "host")
    real = tmp_path / ("host/root" if practice else "tree")
    root = "" if practice else str(real)
    (real / "real/top/in").mkdir(parents=True)
    (real / "up").symlink_to("real")
    (real / "real/top/link").symlink_to("in")
    put = host.put if practice else writing.put
    file = FileState(kind="file", mode=0o600, uid=os.geteuid(), gid=os.getegid())

    put(f"{root}/up/top/in/a", file, b"x", within=f"{root}/up/top")
    assert (real / "real/top/in/a").read_bytes() == b"x"
    put(f"{root}/up/top/link/b", file, b"x")  # root's own link, and nobody said it was none
    for wanted, content in ((file, b"y"), (None, None)):
        with pytest.raises(UnsafePath, match=r"up/top/link, in which it lay, is a symbolic link"):
            put(f"{root}/up/top/link/b", wanted, content, within=f"{root}/up/top")
        with pytest.raises(UnsafePath, match=r"/up, in which it lay"):
            put(f"{root}/up/top/in/a", wanted, content, within=f"{root}/up")
    assert (real / "real/top/in/b").read_bytes() == b"x"


def test_what_was_mounted_since_is_found(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    rows = [
        f"2{number} 1 {device} / {at} rw,relatime shared:1 - ext4 /dev/sda1 rw"
        for number, (device, at) in enumerate(
            (
                ("8:1", "/"),
                ("0:9", "/etc/other"),
                ("8:1", "/etc/bound"),
                ("8:1", "/etc/new"),
                ("8:1", "/etc/file"),
                ("0:7", "/srv/app"),
                ("0:7", "/srv/app/up"),
            )
        )
    ]
    host.put("/proc/self", FileState(kind="dir", mode=0o755))
    host.write_file(MOUNTINFO, "".join(f"{row}\n" for row in rows).encode())
    directory = FileItem(FileState(kind="dir", mode=0o755))
    file = FileItem(FileState(kind="file", mode=0o644))
    wanted: dict[str, Item | None] = {
        "/etc/other": directory,
        "/etc/other/f": file,
        "/etc/other-one": file,
        "/etc/bound/f": file,
        "/etc/new": None,
        "/etc/new/deep/f": None,
        "/etc/file": file,
        "/srv/app/f": None,
        "/srv/app/up/f": None,
    }
    assert Ways(["/etc", "/srv/app"]).mounted(host, wanted) == {
        "/etc/other/f": "/etc/other",
        "/etc/new": "/etc/new",
        "/etc/new/deep/f": "/etc/new",
    }
    host.put(MOUNTINFO, None)
    assert Ways(["/etc", "/srv/app"]).mounted(host, wanted) == {}


def test_what_was_bound_since_is_not_emptied(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path / "host")
    state = StateDir(tmp_path / "state")
    files = Files(ObjectStore(state.objects), SecretPaths(state))
    directories(host, "/etc/new", "/etc/other")
    for path in ("/etc/new/precious", "/etc/mine"):
        host.write_file(path, b"the only copy\n")
    host.put("/proc/self", DIRECTORY)
    rows = ("1 0 8:1 / / rw - ext4 a rw", "2 1 8:1 /srv /etc/new rw - ext4 a rw")
    host.write_file(MOUNTINFO, "".join(f"{row}\n" for row in rows).encode())
    wanted = dict.fromkeys(("/etc/new", "/etc/new/precious", "/etc/mine"))
    with pytest.raises(HostError, match="/etc/new is covered by what is mounted on it"):
        files.restore(host, wanted, Silent())
    assert host.state("/etc/new/precious") is not None
    assert host.state("/etc/mine") is None


def test_a_mode_is_not_put_on_a_file_that_would_not_be_there(tmp_path: Path) -> None:
    """The directory would come back empty; then the link stays, and it is said."""
    bench = Bench(tmp_path)
    tx = bench.begin("step")
    theirs(bench)
    wanted: dict[str, Item | None] = {
        "/etc/d": FileItem(DIRECTORY),
        "/etc/d/a": FileItem(FileState(kind="file", mode=0o600)),
    }
    with pytest.raises(HostError, match="could not be put back: /etc/d, in which it lay, is a sym"):
        tx._keeper.files.restore(bench.host, wanted, Silent())
    there = bench.host.state("/etc/d")
    assert there is not None and there.kind == "symlink"
