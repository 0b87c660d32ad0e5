"""What our own dpkg wrote during an undo, told from what somebody else wrote meanwhile."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from host.base import FileState
from snapshots import own_dpkg
from snapshots.capture import Keeper
from snapshots.captured import Captured
from snapshots.model import FileItem, Item
from snapshots.own_dpkg import by_own_dpkg
from snapshots.progress import Silent
from tests.unit.snapshots_host import Bench

LOG = "/var/log/dpkg.log"


class Scene:
    """A host on which dpkg brings ufw; `first` is how it was before, `since` when it began."""

    def __init__(self, directory: Path) -> None:
        self.bench = Bench(directory)
        self.keeper = Keeper(self.bench.host, self.bench.state)
        self.bench.host.write_file("/etc/motd", b"old\n")
        self.first: Captured = self.keeper.capture((), Silent())
        self.since = datetime.now(UTC).isoformat()

    def dpkg(self, ago_s: float = 0, *, purge: bool = False) -> None:
        if purge:
            self.bench.host.run(("dpkg", "--purge", "ufw"))
        else:
            self.bench.host.run(("apt-get", "install", "-y", "ufw"))
        at = datetime.fromtimestamp(time.time() - ago_s).strftime("%Y-%m-%d %H:%M:%S")
        lines = (f"{at} install ufw:all <none> 1", f"{at} status installed ufw:all 1", "")
        self.bench.host.put("/var", FileState(kind="dir", mode=0o755))
        self.bench.host.put("/var/log", FileState(kind="dir", mode=0o755))
        self.bench.host.write_file(LOG, "\n".join(lines).encode())

    def ours(self, wanted: dict[str, Item | None] | None = None) -> set[str]:
        now = self.keeper.capture((), Silent())["files"]
        return by_own_dpkg(self.keeper, self.since, self.first, now, wanted or {})


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_a_package_brought_is_and_an_edit_meanwhile_is_not(scene: Scene) -> None:
    scene.dpkg()
    scene.bench.host.write_file("/etc/motd", b"mine\n")
    ours = scene.ours()
    assert any(path.startswith("/etc/ufw/") for path in ours)
    assert "/etc/motd" not in ours


def test_where_no_package_came_nothing_is(scene: Scene) -> None:
    scene.bench.host.write_file("/etc/motd", b"mine\n")
    assert scene.ours({"/etc/motd": None}) == set()


def test_what_was_written_when_dpkg_was_done_is_not(scene: Scene) -> None:
    scene.dpkg(ago_s=60)
    assert scene.ours() == set()


@pytest.mark.parametrize(
    ("line", "is_ours"),
    [("avahi:x:102:", True), ("mallory:x:103:", False), ("root:x:0:mallory", False)],
)
def test_in_a_list_of_accounts_only_what_comes_back_is(
    scene: Scene, line: str, is_ours: bool
) -> None:
    path = "/etc/gshadow-"
    old = b"root:x:0:\n"
    scene.bench.host.write_file(path, old)
    scene.first = scene.keeper.capture((), Silent())
    goal = old + b"avahi:x:101:\n"
    scene.keeper.store.add(goal)
    state = FileState(kind="file", mode=0o644, sha256=hashlib.sha256(goal).hexdigest())
    scene.dpkg()
    there = old.decode() + f"{line}\n" if not line.startswith("root") else f"{line}\n"
    scene.bench.host.write_file(path, there.encode())
    assert (path in scene.ours({path: FileItem(state)})) is is_ours


def test_a_copy_of_a_list_may_hold_what_the_list_held(scene: Scene) -> None:
    scene.bench.host.write_file("/etc/gshadow", b"root:x:0:\nbackup:!::\n")
    scene.bench.host.write_file("/etc/gshadow-", b"root:x:0:\n")
    scene.first = scene.keeper.capture((), Silent())
    scene.dpkg()
    scene.bench.host.write_file("/etc/gshadow-", b"root:x:0:\nbackup:!::\n")
    assert "/etc/gshadow-" in scene.ours()


def test_what_the_scripts_of_a_package_that_went_made_is(scene: Scene) -> None:
    made = "/etc/pam.d/common-password"
    if scene.bench.host.state("/etc/pam.d") is None:
        scene.bench.host.put("/etc/pam.d", FileState(kind="dir", mode=0o755))
    for path in (made, "/etc/pam.d/sshd"):
        scene.bench.host.write_file(path, b"old\n")
    scene.dpkg()
    scene.first = scene.keeper.capture((), Silent())
    scene.dpkg(purge=True)
    for path in (made, "/etc/pam.d/sshd", "/etc/motd"):
        scene.bench.host.write_file(path, b"written meanwhile\n")
    assert scene.ours() == {made}


def test_so_are_the_links_that_enable_its_units_and_nobody_elses(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """deb-systemd-helper writes /usr/lib, dpkg of bookworm knows /lib."""
    unit = "/lib/systemd/system/ufw.service"
    monkeypatch.setattr(own_dpkg, "listed", lambda *_: [unit])
    monkeypatch.setattr(scene.bench.host, "changed_ns", lambda _: time.time_ns())
    scene.dpkg()
    links = {
        "/etc/systemd/system/net.target.wants/ufw.service": f"/usr{unit}",
        "/etc/systemd/system/wall.service": f"/usr{unit}",
        "/etc/systemd/system/mine.target.wants/mine.service": "/etc/mine.service",
    }
    for path, target in links.items():
        above = path.rpartition("/")[0]
        parts = above.split("/")
        for number in range(2, len(parts) + 1):
            place = "/".join(parts[:number])
            if scene.bench.host.state(place) is None:
                scene.bench.host.put(place, FileState(kind="dir", mode=0o755))
        scene.bench.host.put(path, FileState(kind="symlink", mode=0o777, target=target))
    ours = {path for path in scene.ours() if path.startswith("/etc/systemd/system/")}
    assert ours - {"/etc/systemd/system/multi-user.target.wants/ufw.service"} == {
        "/etc/systemd/system/net.target.wants",
        "/etc/systemd/system/net.target.wants/ufw.service",
        "/etc/systemd/system/wall.service",
    }
