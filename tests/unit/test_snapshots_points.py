"""Restore points on disk: shared lists, names that never collide, and restore.sh in plain sh."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.base import FLAG_IMMUTABLE, FileState
from snapshots import listing
from snapshots.captured import differences
from snapshots.model import FileItem, Root, SnapshotError
from snapshots.objects import ObjectStore
from snapshots.points import Points
from snapshots.records import Records
from snapshots.state import StateDir
from tests.unit.restore_points import (
    ETC,
    capture,
    everything,
    keep,
    make_app,
    make_elsewhere,
    make_points,
    make_tree,
    needs_tools,
    restore,
    run_restore,
    summary,
)

COREUTILS = (
    "chmod", "chown", "comm", "cp", "cut", "dd", "dirname", "head", "ln", "mkdir", "mkfifo",
    "mknod", "mv", "od", "readlink", "rm", "rmdir", "sha256sum", "sort", "stat", "sync",
)  # fmt: skip
NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=12
).filter(lambda name: name.encode("utf-8", "surrogateescape") if _encodes(name) else False)


def _encodes(name: str) -> bool:
    try:
        name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


@given(
    st.lists(
        st.tuples(
            NAMES.map(lambda name: f"/etc/{name}"),
            st.builds(
                FileState,
                kind=st.sampled_from(["file", "dir", "symlink"]),
                mode=st.integers(0, 0o7777),
                uid=st.integers(0, 70000),
                flags=st.sampled_from([0, FLAG_IMMUTABLE]),
                target=NAMES,
                xattrs=st.dictionaries(NAMES.map("user.{}".format), st.binary(max_size=4)),
            ),
        ),
        max_size=4,
    )
)
def test_a_list_reads_back_as_it_was(entries: list[tuple[str, FileState]]) -> None:
    lines = listing.encode(entries)
    assert list(listing.decode(lines)) == entries
    assert all(len(line.split(b" ")) == 13 for line in lines.splitlines()[1:])


def test_an_acl_is_written_as_setfacl_reads_it() -> None:
    # What `setfacl -m u:33:r-- FILE` leaves in system.posix_acl_access of a 0644 file.
    raw = bytes.fromhex(
        "0200000001000600ffffffff020004002100000004000400ffffffff"
        "10000400ffffffff20000400ffffffff"
    )  # fmt: skip
    text = listing.acl_text({"system.posix_acl_access": raw})
    assert text == "u::rw-,u:33:r--,g::r--,m::r--,o::r--"


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


def test_restore_sh_puts_everything_back(points: Points, tree: Path) -> None:
    before = summary(tree)
    points.write("one", "host", ETC, capture(tree, points._store))
    etc = tree / "etc"
    (etc / "hosts").write_text("changed\n")
    (etc / "ssh" / "config").unlink()
    (etc / "ssh" / "config").mkdir()
    (etc / "ssh" / "config" / "inner").write_text("in the way\n")
    (etc / "ssh" / "key").chmod(0o644)
    shutil.rmtree(etc / "ssh" / "deep")
    (etc / "link").unlink()
    (etc / "link").write_text("no link any more\n")
    (etc / "dangling").unlink()
    (etc / "pipe").unlink()
    (etc / "new").write_text("was not there\n")
    (etc / ".hidden").mkdir()
    done = run_restore(points, tree)
    assert (done.returncode, done.stderr) == (0, "")
    assert summary(tree) == before
    aside = points.path / "one" / "set-aside.1"
    kept = {path.name: path.read_text() for path in aside.rglob("*") if path.is_file()}
    assert kept == {
        "hosts": "changed\n", "inner": "in the way\n", "link": "no link any more\n",
        "new": "was not there\n",
    }  # fmt: skip
    again = run_restore(points, tree)
    assert (again.returncode, again.stderr) == (0, "")
    assert "0 changes made" in again.stdout
    assert summary(tree) == before
    assert not (points.path / "one" / "set-aside.2").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="flags and foreign owners need root")
def test_restore_sh_puts_owners_flags_and_acls_back(points: Points, tree: Path) -> None:
    etc = tree / "etc"
    os.chown(etc / "hosts", 33, 44)
    (etc / "hosts").chmod(0o4750)
    if shutil.which("setfacl"):
        subprocess.run(["setfacl", "-m", "u:33:r--", etc / "ssh" / "key"], check=True)
    subprocess.run(["chattr", "+i", etc / "hosts", etc / "ssh"], check=False)
    try:
        before = summary(tree)
        points.write("one", "host", ETC, capture(tree, points._store))
        subprocess.run(["chattr", "-i", etc / "hosts", etc / "ssh"], check=False)
        (etc / "hosts").write_text("changed\n")
        os.chown(etc / "hosts", 0, 0)
        (etc / "hosts").chmod(0o600)
        (etc / "ssh" / "new").write_text("new\n")
        (etc / "ssh" / "key").unlink()
        if shutil.which("setfacl"):
            subprocess.run(["setfacl", "-m", "u:34:rwx", etc / "ssh" / "config"], check=True)
        subprocess.run(["chattr", "+i", etc / "hosts", etc / "ssh"], check=False)
        done = run_restore(points, tree)
        assert (done.returncode, done.stderr) == (0, "")
        assert summary(tree) == before
    finally:
        subprocess.run(["chattr", "-R", "-i", etc], check=False)


def test_restore_sh_sets_odd_names_aside(points: Points, tree: Path) -> None:
    """Spaces, a newline within or at the end, a leading dash, bytes that are no UTF-8, and the one
    that stands for a newline in the lists of the script: nothing is overlooked."""
    folders = [tree / "etc" / name for name in ("ends\n", "soh\x01", "soh\x01n")]
    for folder in folders:
        folder.mkdir()
    before = summary(tree)
    points.write("one", "host", ETC, capture(tree, points._store))
    odd = [b"new\nline", b"  spaces  ", b"-dash", b"caf\xe9 \xff", b"back\\slash\\n", b"*",
           b"end\n", b"\n", b"soh\x01x", b"\x01n"]  # fmt: skip
    for number, folder in enumerate(folders):
        (folder / f"in {number}\n").write_text("new\n")
    for name in odd:
        (tree / "etc" / os.fsdecode(name)).write_bytes(name)
        (tree / "etc/ssh" / os.fsdecode(name)).mkdir()
        (tree / "etc/ssh" / os.fsdecode(name) / "inner").symlink_to("../config")
    done = run_restore(points, tree)
    assert (done.returncode, done.stderr) == (0, "")
    assert summary(tree) == before
    kept = {os.fsencode(path.name) for path in (points.path / "one").rglob("*") if path.is_file()}
    assert kept >= {*odd, b"in 0\n", b"in 1\n", b"in 2\n"}


@needs_tools
def test_restore_sh_takes_away_what_files_were_given_since(points: Points, tree: Path) -> None:
    odd = tree / "etc/ssh/deep/with space, 100% \\ odd\nname "
    hosts = tree / "etc/hosts"
    before = summary(tree)
    points.write("one", "host", ETC, capture(tree, points._store))
    for path in (odd, hosts):
        subprocess.run(["setfacl", "-m", "u:34:rwx", path], check=True)
        os.setxattr(path, "user.note", b"came since")
        subprocess.run(["chattr", "+dA", path], check=True)
    subprocess.run(["chattr", "+DTS", tree / "etc/ssh"], check=True)
    done = run_restore(points, tree)
    assert (done.returncode, done.stderr) == (0, "")
    assert summary(tree) == before


@pytest.mark.parametrize("of", ["content", "list"])
def test_restore_sh_waits_for_no_pipe(points: Points, tree: Path, of: str) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    (tree / "etc/ssh/config").write_text("Port 23\n")
    chunk = points.manifest("one").chunks["files /etc/ssh"]
    sha256 = hashlib.sha256(b"Port 22\n").hexdigest() if of == "content" else chunk
    lost = points._store.where(sha256)
    lost.unlink()
    os.mkfifo(lost)
    done = run_restore(points, tree)
    assert done.returncode == 1
    assert "is missing or was altered" in done.stderr
    assert (tree / "etc/ssh/config").read_text() == "Port 23\n"


@needs_tools
def test_restore_sh_says_what_coreutils_cannot_do(
    points: Points, tree: Path, tmp_path: Path
) -> None:
    key, config = tree / "etc/ssh/key", tree / "etc/ssh/config"
    subprocess.run(["setfacl", "-m", "u:33:r--", key], check=True)
    os.setxattr(key, "user.note", b"kept")
    subprocess.run(["chattr", "+d", config], check=True)
    points.write("one", "host", ETC, capture(tree, points._store))
    key.unlink()
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in COREUTILS:
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        ["/bin/sh", points.path / "one/restore.sh", tree],
        capture_output=True, text=True, check=False, env={"PATH": str(tools)},
    )  # fmt: skip
    assert done.returncode == 1
    for said in ("The ACL of", "setfacl is not installed", "user.note", "flags of", "(d)"):
        assert said in done.stderr
    assert "not found" not in done.stderr
    assert key.read_text() == "secret\n"


def test_restore_sh_shapes_nothing_through_a_link(
    points: Points, app: Path, elsewhere: Path
) -> None:
    """In a tree of which only owners and modes were kept, whoever owns it may put a link."""
    keep(points, Root(str(app)))
    before = everything(elsewhere)
    (app / "index.php").unlink()
    (app / "index.php").symlink_to(elsewhere / "shadow")
    shutil.rmtree(app / "sub")
    (app / "sub").symlink_to(elsewhere / "inner")
    done = restore(points)
    assert done.returncode == 1
    assert f"{app}/index.php is not the file that it was" in done.stderr
    assert f"{app}/sub is no directory any more" in done.stderr
    assert "2 things could not be put back" in done.stderr
    assert everything(elsewhere) == before
    assert (app / "index.php").is_symlink() and (app / "sub").is_symlink()


def test_restore_sh_shapes_nothing_of_another_kind(points: Points, app: Path) -> None:
    keep(points, Root(str(app)))
    (app / "index.php").unlink()
    (app / "index.php").mkdir(0o711)
    done = restore(points)
    assert done.returncode == 1 and "index.php is not the file" in done.stderr
    assert (app / "index.php").stat().st_mode & 0o777 == 0o711


def test_restore_sh_moves_nothing_away_through_a_link(
    points: Points, tmp_path: Path, elsewhere: Path
) -> None:
    """The tree or a directory in it is a link now: that is set aside, not what it names."""
    ssh = tmp_path / "home" / "bob" / ".ssh"
    (ssh / "inner").mkdir(parents=True)
    (ssh / "authorized_keys").write_text("key\n")
    (ssh / "inner" / "f").write_text("f\n")
    keep(points, Root(str(ssh), content=True))
    wanted, before = everything(ssh), everything(elsewhere)
    shutil.rmtree(ssh / "inner")
    (ssh / "inner").symlink_to(elsewhere / "inner")
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")
    assert {**everything(ssh)}.keys() == wanted.keys()
    shutil.rmtree(ssh)
    ssh.symlink_to(elsewhere)
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")
    assert everything(elsewhere) == before
    assert everything(ssh).keys() == wanted.keys()
    assert (ssh / "authorized_keys").read_text() == "key\n"
    aside = points.path / "one" / "set-aside.2"
    assert [path.name for path in aside.rglob("*") if path.is_symlink()] == [".ssh"]


def test_restore_sh_does_not_write_a_secret_file_through_a_link(
    points: Points, app: Path, elsewhere: Path
) -> None:
    secret = FileState(kind="file", mode=0o604, sha256="hmac:00", uid=os.getuid(), gid=os.getgid())
    files = {str(app): FileItem(everything(app)[str(app)]), f"{app}/index.php": FileItem(secret)}
    points.write("one", "host", (Root(f"{app}/index.php", content=True),), {"files": dict(files)})
    before = everything(elsewhere)
    (app / "index.php").unlink()
    (app / "index.php").symlink_to(elsewhere / "shadow")
    done = restore(points)
    assert done.returncode == 1 and "index.php is not the file" in done.stderr
    assert everything(elsewhere) == before


@needs_tools
def test_restore_sh_strips_nothing_through_a_link(
    points: Points, app: Path, elsewhere: Path
) -> None:
    keep(points, Root(str(app)))
    before = everything(elsewhere)
    shutil.rmtree(app)
    app.symlink_to(elsewhere)
    done = restore(points)
    assert done.returncode == 1 and f"{app} is no directory any more" in done.stderr
    assert "1 things could not be put back" in done.stderr
    assert everything(elsewhere) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="links of others need root")
@pytest.mark.parametrize("owner", [0, 33])
def test_restore_sh_goes_to_a_tree_through_links_of_roots_only(
    points: Points, tmp_path: Path, elsewhere: Path, owner: int
) -> None:
    """/home may be a link to another disk; a directory of a user may not be one of that user's."""
    disk = tmp_path / "disk"
    (disk / "tree").mkdir(parents=True)
    (disk / "tree" / "f").write_text("f\n")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, owner, owner)
    (home / "link").symlink_to("../disk")
    tree = home / "link" / "tree"
    keep(points, Root(str(tree), content=True))
    (disk / "tree" / "f").write_text("changed\n")
    done = restore(points)
    if owner == 0:
        assert (done.returncode, done.stderr) == (0, "")
        assert (disk / "tree" / "f").read_text() == "f\n"
    else:
        assert done.returncode == 1 and "stands in the way" in done.stderr
        assert (disk / "tree" / "f").read_text() == "changed\n"


def test_restore_sh_writes_a_file_whatever_the_length_of_its_name(
    points: Points, app: Path
) -> None:
    names = ["n" * 245, "m" * 255]
    for name in names:
        (app / name).write_text("one\n")
    keep(points, Root(str(app), content=True))
    for name in names:
        (app / name).write_text("two\n")
    done = restore(points)
    assert (done.returncode, done.stderr) == (0, "")
    assert {(app / name).read_text() for name in names} == {"one\n"}
    assert sorted(path.name for path in app.iterdir()) == sorted([*names, "index.php", "sub"])


def test_restore_sh_leaves_a_link_where_the_content_is_lost(
    points: Points, app: Path, elsewhere: Path
) -> None:
    keep(points, Root(str(app), content=True))
    for sha256 in list(points._store.all()):
        if points._store.get(sha256) == b"<?php\n":
            points._store.where(sha256).unlink()
    (app / "index.php").unlink()
    (app / "index.php").symlink_to(elsewhere / "shadow")
    before = everything(elsewhere)
    done = restore(points)
    assert done.returncode == 1 and "saved content" in done.stderr
    assert (app / "index.php").is_symlink()
    assert everything(elsewhere) == before


def test_restore_sh_refuses_altered_content(points: Points, tree: Path) -> None:
    captured = capture(tree, points._store)
    points.write("one", "host", ETC, captured)
    hosts = captured["files"]["/etc/hosts"]
    assert isinstance(hosts, FileItem)
    points._store.where(hosts.state.sha256).write_text("tampered\n")
    (tree / "etc" / "hosts").write_text("changed\n")
    done = run_restore(points, tree)
    assert done.returncode == 1
    assert "etc/hosts" in done.stderr
    assert (tree / "etc" / "hosts").read_text() == "changed\n"


def test_a_restore_point_reads_back(points: Points, tree: Path) -> None:
    captured = capture(tree, points._store)
    points.write("one", "host", ETC, captured)
    loaded = points.load("one")
    assert differences(captured, loaded) == []
    assert loaded["files"].keys() == captured["files"].keys()
    assert loaded["units"] == captured["units"]


def test_a_restore_point_is_never_overwritten(points: Points, tree: Path) -> None:
    points.write("one", "host", ETC, capture(tree, points._store))
    with pytest.raises(SnapshotError, match="exists already"):
        points.write("one", "host", ETC, {"files": {}})


def test_a_hundred_restore_points_share_what_did_not_change(points: Points) -> None:
    store = points._store
    files = {"/etc": FileItem(FileState(kind="dir", mode=0o755))}
    for number in range(1500):
        path = f"/etc/part{number % 60}/file{number}"
        sha256 = store.add(f"content of {number}\n".encode() * 100)
        files[path] = FileItem(FileState(kind="file", mode=0o644, sha256=sha256, size_bytes=2000))
    for number in range(200):
        sha256 = store.add(b"%d" % number)
        files["/etc/part7/changing"] = FileItem(FileState(kind="file", sha256=sha256))
        points.write(f"{number:04d}", "host", ETC, {"files": dict(files)})
    used = subprocess.run(["du", "-sk", points.path.parent], capture_output=True, check=True)
    assert int(used.stdout.split()[0]) < 50 * 1024


def test_ids_never_collide_and_never_go_back(tmp_path: Path) -> None:
    records = Records(StateDir(tmp_path / "state"))
    (records.path / "29991231T235959.999999Z-aaaaaa").mkdir()
    made = []
    for _ in range(50):
        tx_id = records.create_id()
        (records.path / tx_id).mkdir()
        made.append(tx_id)
    assert made == sorted(set(made))
    assert made[0] > "29991231T235959.999999Z-aaaaaa"


def test_half_an_object_is_never_found(tmp_path: Path) -> None:
    store = ObjectStore(StateDir(tmp_path / "state").objects)
    sha256 = store.add(b"content")
    assert ObjectStore(store.path).has(sha256) is False
    store.sync()
    assert ObjectStore(store.path).get(sha256) == b"content"
    store.where(sha256).write_bytes(b"altered")
    with pytest.raises(SnapshotError, match="was altered"):
        store.get(sha256)
