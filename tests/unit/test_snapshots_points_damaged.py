"""restore.sh where its restore point is damaged, and where a file holds a secret."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from snapshots import twins
from snapshots.model import FileItem, Root, SnapshotError
from snapshots.points import Points
from snapshots.secret_paths import SecretPaths
from snapshots.state import StateDir
from tests.unit.restore_points import (
    ETC,
    NO_RUN,
    capture,
    everything,
    make_app,
    make_elsewhere,
    make_points,
    make_tree,
    needs_tools,
    restore,
    run_restore,
    run_restore_with,
    summary,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return make_app(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return make_elsewhere(tmp_path)


@pytest.fixture
def points(tmp_path: Path) -> Points:
    return make_points(tmp_path)


def flip(path: Path, where: int) -> None:
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)


def ssh_list(points: Points) -> Path:
    """The list of /etc/ssh in the restore point "one"."""
    return points._store.where(points.manifest("one").chunks["files /etc/ssh"])


def flip_in_list(points: Points) -> None:
    flip(ssh_list(points), -5)


def lose_list(points: Points) -> None:
    ssh_list(points).unlink()


def lose_line(points: Points) -> None:
    path = points.path / "one" / "restore.list"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if ssh_list(points).name not in line))


def flip_in_line(points: Points) -> None:
    path = points.path / "one" / "restore.list"
    flip(path, path.read_bytes().index(ssh_list(points).name.encode()))


def other_root(points: Points) -> None:
    """All that the sums can tell is that it was altered."""
    path = points.path / "one" / "restore.list"
    path.write_text(path.read_text().replace("root content /etc\n", "root content /\n"))


def flip_in_sums(points: Points) -> None:
    flip(points.path / "one" / "SHA256SUMS", 0)


def lose_sums(points: Points) -> None:
    (points.path / "one" / "SHA256SUMS").unlink()


def alter_script(points: Points) -> None:
    with (points.path / "one" / "restore.sh").open("a") as stream:
        stream.write("# altered\n")


@pytest.mark.parametrize(
    ("damage", "named", "is_ssh_known"),
    [
        (lose_line, "restore.list", False),
        (flip_in_line, "restore.list", False),
        (other_root, "restore.list", True),
        (flip_in_sums, "SHA256SUMS", True),
        (lose_sums, "SHA256SUMS", True),
        (alter_script, "restore.sh", True),
    ],
)
def test_restore_sh_moves_nothing_away_where_it_is_damaged(
    points: Points, tree: Path, damage: Callable[[Points], None], named: str, is_ssh_known: bool
) -> None:
    """Nobody knows then what is extra; what is proved still goes back."""
    points.write("one", "host", ETC, capture(tree, points._store))
    damage(points)
    etc, elsewhere = tree / "etc", tree / "srv"
    elsewhere.mkdir()
    (elsewhere / "data").write_text("not of /etc\n")
    (etc / "hosts").write_text("changed\n")
    (etc / "hosts").chmod(0o600)
    (etc / "ssh" / "config").write_text("Port 2222\n")
    (etc / "new").write_text("was not there\n")
    done = run_restore(points, tree)
    assert done.returncode == 1
    assert named in done.stderr and "What came since is left where it is." in done.stderr
    aside = points.path / "one" / "set-aside.1"
    # A copy of what was written over, nothing that is not in its place any more.
    kept = [path for path in aside.rglob("*") if not path.is_dir()]
    assert all((Path("/") / path.relative_to(aside)).is_file() for path in kept)
    assert (elsewhere / "data").exists() and (etc / "new").exists()
    assert (etc / "hosts").read_text() == "127.0.0.1 localhost\n"
    assert (etc / "hosts").stat().st_mode & 0o777 == 0o644
    assert (etc / "ssh" / "key").read_text() == "secret\n"
    config = (etc / "ssh" / "config").read_text()
    assert config == ("Port 22\n" if is_ssh_known else "Port 2222\n")
    again = run_restore(points, tree)
    assert again.returncode == 1 and "\n0 changes made" in again.stdout


@pytest.mark.parametrize("damage", [flip_in_list, lose_list])
def test_restore_sh_touches_nothing_in_the_directory_of_a_damaged_list(
    points: Points, tree: Path, damage: Callable[[Points], None]
) -> None:
    """Elsewhere all goes back, and what came since is moved away: it may lock somebody out."""
    points.write("one", "host", ETC, capture(tree, points._store))
    damage(points)
    etc = tree / "etc"
    (etc / "hosts").write_text("changed\n")
    (etc / "new").write_text("was not there\n")
    (etc / "ssh" / "config").write_text("Port 2222\n")
    (etc / "ssh" / "new").write_text("nobody knows\n")
    (etc / "ssh" / "key").chmod(0o644)
    before = summary(etc / "ssh")
    done = run_restore(points, tree)
    assert done.returncode == 1
    assert f"altered; {etc / 'ssh'} was left alone" in done.stderr
    assert summary(etc / "ssh") == before
    assert (etc / "hosts").read_text() == "127.0.0.1 localhost\n"
    assert not (etc / "new").exists()


def test_restore_sh_moves_nothing_away_where_the_list_of_a_trees_own_files_is_damaged(
    points: Points, tree: Path
) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    flip(points._store.where(points.manifest("one").chunks["files /etc"]), -5)
    (tree / "etc" / "new").write_text("nobody knows\n")
    (tree / "etc" / "ssh" / "new").write_text("was not there\n")
    done = run_restore(points, tree)
    assert done.returncode == 1 and "What came since is left where it is." in done.stderr
    assert (tree / "etc" / "new").exists() and (tree / "etc" / "ssh" / "new").exists()


@pytest.mark.parametrize("name", ["manifest.json", "restore.list", "SHA256SUMS"])
def test_any_of_the_three_files_may_be_damaged(points: Points, tree: Path, name: str) -> None:
    roots = (*ETC, Root("/srv/a b", content=True, without=("/srv/a b/tmp",)), Root("/srv/other"))
    wanted = points.write("one", "host", roots, capture(tree, points._store))
    captured = points.load("one")
    flip(points.path / "one" / name, 40)
    assert points.load("one") == captured
    found = points.manifest("one")
    assert (found.roots, found.chunks) == (wanted.roots, wanted.chunks)


@pytest.mark.parametrize(
    ("one", "other"), [("manifest.json", "restore.list"), ("manifest.json", "SHA256SUMS")]
)
def test_of_two_nobody_knows_which_is_right(
    points: Points, tree: Path, one: str, other: str
) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    listed = ssh_list(points).name.encode()
    for name in (one, other):
        path = points.path / "one" / name
        flip(path, max(0, path.read_bytes().find(listed)))
    with pytest.raises(SnapshotError, match="cannot be read"):
        points.load("one")


def test_what_is_whole_is_told_from_what_is_lost(points: Points, tree: Path) -> None:
    captured = capture(tree, points._store)
    points.write("one", "host", ETC, captured)
    flip_in_list(points)
    found, lost = points.load_what_is_whole("one")
    assert list(lost) == ["files /etc/ssh"] and "was altered" in lost["files /etc/ssh"]
    assert captured["files"].keys() - found["files"].keys() == {
        path for path in captured["files"] if f"{path}/".startswith("/etc/ssh/")
    }


def test_restore_sh_says_a_damaged_list_once(points: Points, tree: Path) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    flip_in_list(points)
    done = run_restore(points, tree)
    assert done.stderr.count(ssh_list(points).name) == 1
    assert "\n1 things could not be put back" in done.stderr


def test_restore_sh_uses_no_list_of_another_restore_point(points: Points, tree: Path) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    (tree / "etc" / "hosts").write_text("of another day\n")
    points.write("two", "host", ETC, capture(tree, points._store))
    (tree / "etc" / "hosts").write_text("of today\n")
    shutil.copy(points.path / "two" / "restore.list", points.path / "one" / "restore.list")
    done = run_restore(points, tree)
    assert done.returncode == 1 and "manifest.json" in done.stderr
    assert (tree / "etc" / "hosts").read_text() == "of today\n"


def test_restore_sh_changes_nothing_where_nothing_proves_its_list(
    points: Points, tree: Path
) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    flip_in_sums(points)
    (points.path / "one" / "manifest.json").unlink()
    (tree / "etc" / "hosts").write_text("changed\n")
    (tree / "etc" / "ssh" / "key").chmod(0o644)
    before = summary(tree)
    done = run_restore(points, tree)
    assert done.returncode == 1 and "\n0 changes made" in f"\n{done.stdout}"
    assert summary(tree) == before


def test_restore_sh_does_not_go_where_a_directory_was_in_doubt(
    points: Points, tree: Path, elsewhere: Path
) -> None:
    """What a link names may be all that is left of what a damaged list held."""
    points.write("one", "host", ETC, capture(tree, points._store))
    flip_in_sums(points)
    shutil.rmtree(tree / "etc" / "ssh")
    (tree / "etc" / "ssh").symlink_to(elsewhere)
    before = everything(elsewhere)
    done = run_restore(points, tree)
    assert done.returncode == 1 and "etc/ssh is no directory any more" in done.stderr
    assert (tree / "etc" / "ssh").is_symlink()
    assert everything(elsewhere) == before


@needs_tools
def test_restore_sh_leaves_what_is_not_listed_its_attributes(points: Points, tree: Path) -> None:
    """The files of a damaged list cannot be given their ACLs back; the others are as they were."""
    key, hosts = tree / "etc/ssh/key", tree / "etc/hosts"
    for path in (key, hosts):
        subprocess.run(["setfacl", "-m", "u:33:r--", path], check=True)
        os.setxattr(path, "user.note", b"kept")
    subprocess.run(["chattr", "+d", key], check=True)
    before = summary(tree)
    points.write("one", "host", ETC, capture(tree, points._store))
    flip_in_list(points)
    subprocess.run(["setfacl", "-m", "u:34:rwx,g::rwx,m::r--", hosts], check=True)
    os.setxattr(hosts, "user.other", b"came since")
    subprocess.run(["chattr", "+A", hosts], check=True)
    done = run_restore(points, tree)
    assert done.returncode == 1
    assert summary(tree) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk of its own needs root")
@pytest.mark.parametrize("room_bytes", [8192, 16384, 24576])
def test_restore_sh_moves_nothing_away_where_there_is_no_room_for_its_lists(
    points: Points, tree: Path, room_bytes: int
) -> None:
    """Half of the list of what was there must not be taken for all of it."""
    for number in range(100):
        (tree / "etc" / "ssh" / f"{number} {'n' * 80}").touch()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", points.path], check=True)
    try:
        points.write("one", "host", ETC, capture(tree, points._store))
        (tree / "etc" / "new").write_text("was not there\n")
        before = summary(tree)
        filler = points.path / ".filler"
        room = os.statvfs(points.path)
        filler.write_bytes(bytes(room.f_bavail * room.f_frsize - room_bytes))
        done = run_restore_with(points, tree, *NO_RUN)
    finally:
        subprocess.run(["umount", points.path], check=True)
    assert done.returncode == 75 and "nothing was changed" in done.stderr
    assert summary(tree) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="a /run of its own needs root")
def test_restore_sh_replaces_nothing_that_could_not_be_moved_away(
    points: Points, tree: Path
) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    (points.path / "one" / "set-aside.1").symlink_to("no where")
    hosts, link = tree / "etc" / "hosts", tree / "etc" / "link"
    hosts.unlink()
    hosts.symlink_to("somebody's")
    link.unlink()
    link.mkdir()
    done = run_restore_with(points, tree, *NO_RUN)
    assert done.returncode == 75 and "could not be moved away" in done.stderr
    assert os.readlink(hosts) == "somebody's"
    assert list(link.iterdir()) == []


@pytest.fixture
def secret(points: Points, app: Path) -> Path:
    """A file of the restore point "one" that held a secret then."""
    path = app / "index.php"
    path.write_text("password one\n")
    path.chmod(0o604)
    state = everything(app)[str(path)]
    hashed = secrets_of(points).hashed(state.sha256)
    files = {
        str(app): FileItem(everything(app)[str(app)]),
        str(path): FileItem(msgspec.structs.replace(state, sha256=hashed)),
    }
    points.write("one", "host", (Root(str(path), content=True),), {"files": dict(files)})
    return path


def secrets_of(points: Points) -> SecretPaths:
    return SecretPaths(StateDir(points.path.parent.parent))


def keep_secret(points: Points, content: bytes) -> Path:
    secrets = secrets_of(points)
    secrets.keep_known(secrets.hashed(hashlib.sha256(content).hexdigest()), content)
    (kept,) = secrets._state.secret_contents.iterdir()
    return kept


def test_restore_sh_puts_a_kept_secret_back(points: Points, secret: Path) -> None:
    keep_secret(points, b"password one\n")
    before = everything(secret.parent)
    secret.write_text("password two\n")
    secret.chmod(0o600)
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")
    assert secret.read_text() == "password one\n"
    assert {**everything(secret.parent)}.keys() == before.keys()
    assert secret.stat().st_mode & 0o777 == 0o604
    secret.unlink()
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")
    assert secret.read_text() == "password one\n"
    assert "\n0 changes made" in restore(points).stdout


def test_restore_sh_names_no_secret_that_was_not_changed(points: Points, secret: Path) -> None:
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("is_there", [True, False])
def test_restore_sh_names_a_changed_secret_that_was_not_kept(
    points: Points, secret: Path, is_there: bool
) -> None:
    secret.write_text("password two\n")
    if not is_there:
        secret.unlink()
    done = restore(points)
    assert done.returncode == 1
    assert f"What {secret} held is secret and was not kept" in done.stderr
    assert secret.exists() == is_there


@pytest.mark.parametrize("damage", ["kept", "key", "no key"])
def test_restore_sh_puts_back_no_secret_that_it_cannot_prove(
    points: Points, secret: Path, damage: str
) -> None:
    kept = keep_secret(points, b"password one\n")
    key = points.path.parent.parent / "key"
    if damage == "kept":
        flip(kept, 0)
    for path in (key, twins.copy_of(key)):
        if damage == "key":
            flip(path, 14)
        elif damage == "no key":
            path.unlink()
    secret.write_text("password two\n")
    done = restore(points)
    assert done.returncode == 1 and f"{secret} " in done.stderr
    assert secret.read_text() == "password two\n"


def test_restore_sh_proves_a_secret_with_the_copy_of_the_key_too(
    points: Points, secret: Path
) -> None:
    keep_secret(points, b"password one\n")
    flip(points.path.parent.parent / "key", 14)
    secret.write_text("password two\n")
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")
    assert secret.read_text() == "password one\n"


def test_restore_sh_writes_a_kept_secret_through_no_link(
    points: Points, secret: Path, elsewhere: Path
) -> None:
    keep_secret(points, b"password one\n")
    before = everything(elsewhere)
    secret.unlink()
    secret.symlink_to(elsewhere / "shadow")
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")
    assert everything(elsewhere) == before
    assert not secret.is_symlink() and secret.read_text() == "password one\n"
