"""Going back with a restore point that is damaged: as far as it says, and never a dead end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from snapshots import intact
from snapshots.history import verify
from snapshots.model import Change, InstallPackages, SnapshotError, TransactionRecord, WriteFile
from snapshots.objects import ObjectStore
from snapshots.points import Points, point_before
from snapshots.progress import Silent
from snapshots.recover import recover
from tests.unit.snapshots_host import Bench, dies_in_the_middle

NAME = "/etc/ssh/sshd_config.d/00-test.conf"
CHANGE = WriteFile(path=NAME, content=b"MaxAuthTries 3\n")
OTHER = "/etc/other/other.conf"
MINE = "/etc/other/mine"


class Scene:
    """A change that was cut off; `lose` damages a part of its restore point, of which the host is
    not quite as it says any more."""

    def __init__(self, directory: Path, change: Change) -> None:
        self.bench = Bench(directory)
        self.bench.apply("before", WriteFile(path=OTHER, content=b"one\n"))
        self.first = self.bench.fingerprint()
        dies_in_the_middle(self.bench, lambda: self.bench.begin("ssh.limits").perform(change))
        self.points = Points(self.bench.state.points, ObjectStore(self.bench.state.objects))
        self.tx_id = max(path.name for path in self.bench.state.transactions.iterdir())

    def lose(self, part: str, *, edit: bool = True) -> None:
        if edit and part == "files /etc/other":
            self.bench.host.write_file(MINE, b"mine\n")
        elif edit and part == "packages":
            self.bench.host.run(("apt-mark", "auto", "openssh-server"))
        sha256 = self.points.manifest(point_before(self.tx_id)).chunks[part]
        ObjectStore(self.bench.state.objects).remove(sha256)

    def recover(self) -> TransactionRecord:
        (ended,) = recover(self.bench.host, self.bench.state, Silent())
        return ended

    def goes_on(self) -> bool:
        """Whether another change can be made."""
        return self.bench.apply("next", WriteFile(path="/etc/motd", content=b"m\n")).in_force


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path, CHANGE)


def test_a_list_that_the_change_has_nothing_to_do_with(scene: Scene) -> None:
    scene.lose("files /etc/other")
    ended = scene.recover()
    assert ended.status == "rolled-back" and "how /etc/other was before is not" in ended.reason
    scene.bench.host.put(MINE, None)
    assert scene.bench.fingerprint() == scene.first
    assert scene.goes_on()


@pytest.mark.parametrize("part", ["files /etc/other", "packages", "files /etc"])
def test_a_list_that_the_host_still_is_like_is_written_anew(tmp_path: Path, part: str) -> None:
    scene = Scene(tmp_path, WriteFile(path="/etc/motd", content=b"m\n"))
    if part == "files /etc":
        scene.bench.host.put("/etc/motd", None)
    scene.lose(part, edit=False)
    ended = scene.recover()
    assert ended.status == "rolled-back" and "damaged" not in ended.reason
    assert scene.bench.fingerprint() == scene.first and verify(scene.bench.state) == []


def test_the_list_of_files_right_in_etc_is_not_about_what_lies_deeper(scene: Scene) -> None:
    scene.bench.host.write_file("/etc/motd", b"mine\n")
    scene.lose("files /etc")
    ended = scene.recover()
    assert ended.status == "rolled-back" and "how /etc was before is not known" in ended.reason
    assert scene.bench.host.state(NAME) is None


def test_a_list_in_which_the_change_wrote(scene: Scene) -> None:
    scene.lose("files /etc/ssh")
    ended = scene.recover()
    assert ended.status == "needs-person" and "how /etc/ssh was before is not" in ended.reason
    assert "Everything else was put back" in ended.reason
    assert scene.bench.host.read_bytes(NAME) == b"MaxAuthTries 3\n"
    again = scene.recover()
    assert (again.status, again.reason) == (ended.status, ended.reason)
    assert scene.goes_on() and recover(scene.bench.host, scene.bench.state, Silent()) == []


def test_what_may_have_changed_anything_needs_every_list(tmp_path: Path) -> None:
    scene = Scene(tmp_path, InstallPackages(("ufw",)))
    scene.lose("files /etc/other")
    ended = scene.recover()
    assert ended.status == "needs-person" and "/etc/other" in ended.reason
    scene.bench.host.put(MINE, None)
    assert scene.bench.fingerprint() == scene.first


def test_without_the_list_of_packages_no_package_is_left_without_its_files(tmp_path: Path) -> None:
    scene = Scene(tmp_path, InstallPackages(("ufw",)))
    scene.lose("packages")
    half = scene.bench.fingerprint()
    ended = scene.recover()
    assert ended.status == "needs-person" and "nothing was put back" in ended.reason
    assert scene.bench.fingerprint() == half
    assert scene.goes_on()


@pytest.mark.parametrize("journal", [True, False])
def test_without_any_word_of_what_was_there(scene: Scene, journal: bool) -> None:
    if not journal:
        (scene.bench.state.transactions / scene.tx_id / "journal.jsonl").unlink()
    half = scene.bench.fingerprint()
    for name in ("manifest.json", "restore.list"):
        (scene.points.path / point_before(scene.tx_id) / name).unlink()
    ended = scene.recover()
    assert ended.status == "needs-person" and "cannot be read" in ended.reason
    assert scene.bench.fingerprint() == half and scene.goes_on()
    assert verify(scene.bench.state)


@pytest.mark.parametrize("part", ["packages", "files /etc/other", ""])
def test_an_undo_of_an_installation_asks_what_was_there_before(tmp_path: Path, part: str) -> None:
    """What `verify` says of it is what happens. `part` "": the whole restore point is gone."""
    bench = Bench(tmp_path)
    bench.apply("before", WriteFile(path=OTHER, content=b"one\n"))
    done = bench.apply("fw", InstallPackages(("ufw",)))
    points = Points(bench.state.points, ObjectStore(bench.state.objects))
    place = points.path / point_before(done.id)
    if part:
        ObjectStore(bench.state.objects).remove(points.manifest(place.name).chunks[part])
    else:
        shutil.rmtree(place)
    before = bench.fingerprint()
    said = intact.standing(bench.state, practice=True)[-1]
    assert not said.can_be_undone and any("restore point" in why for why in said.why)
    with pytest.raises(SnapshotError):
        bench.undo(done.id)
    assert bench.fingerprint() == before
