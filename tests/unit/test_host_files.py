"""Files: replaced whole or not at all, with all that belongs to them, and no link followed."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from host import attributes, files, writing
from host.base import FLAG_APPEND, FLAG_IMMUTABLE, FileState, HostError, UnsafePath

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ACL = (  # version 2; user::rw- user:1000:r-- group::r-- mask::r-- other::---
    b"\x02\x00\x00\x00"
    b"\x01\x00\x06\x00\xff\xff\xff\xff"
    b"\x02\x00\x04\x00\xe8\x03\x00\x00"
    b"\x04\x00\x04\x00\xff\xff\xff\xff"
    b"\x10\x00\x04\x00\xff\xff\xff\xff"
    b"\x20\x00\x00\x00\xff\xff\xff\xff"
)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for directory, _, names in os.walk(tmp_path):
        for name in (".", *names):
            with _opened(Path(directory, name)) as fd:
                if fd >= 0 and attributes.get_flags(fd):
                    attributes.set_flags(fd, 0)


class _opened:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> int:
        mode = os.lstat(self._path).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        return self._fd

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def lock(path: Path, flags: int = FLAG_IMMUTABLE) -> None:
    with _opened(path) as fd:
        attributes.set_flags(fd, flags)


def seen(path: Path, *, content: bool = False) -> FileState:
    state = files.state(str(path), content=content)
    assert state is not None
    return state


def own(state: FileState) -> FileState:
    return msgspec.structs.replace(state, uid=os.geteuid(), gid=os.getegid())


def leftovers(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory) if name.startswith(writing.TEMPORARY_PREFIX)]


def test_state_of_every_kind(tree: Path) -> None:
    (tree / "file").write_bytes(b"content")
    (tree / "link").symlink_to("nowhere")
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tree / "socket"))
    kinds = {name: seen(tree / name).kind for name in sorted(os.listdir(tree))}
    assert kinds == {"file": "file", "link": "symlink", "fifo": "fifo", "socket": "socket"}
    assert seen(tree).kind == "dir"
    assert seen(Path("/dev/null")).rdev == os.makedev(1, 3)
    assert seen(tree / "link").target == "nowhere"
    assert seen(tree / "file", content=True).sha256 == hashlib.sha256(b"content").hexdigest()
    assert files.state(str(tree / "none")) is None
    assert files.state(str(tree / "file" / "below")) is None


def test_a_new_file_and_a_replaced_one(tree: Path) -> None:
    path = tree / "a.conf"
    writing.write_file(str(path), b"one")
    assert (path.read_bytes(), seen(path).mode) == (b"one", 0o644)
    path.chmod(0o4710)
    os.setxattr(path, "user.note", b"kept")
    before = os.stat(path).st_ino
    writing.write_file(str(path), b"two")
    after = seen(path)
    assert (path.read_bytes(), after.mode, after.xattrs) == (b"two", 0o4710, {"user.note": b"kept"})
    assert os.stat(path).st_ino != before
    assert leftovers(tree) == []


@root_only
def test_state_is_given_whole(tree: Path) -> None:
    path = tree / "a"
    path.write_bytes(b"old")
    os.setxattr(path, "user.unwanted", b"x")
    wanted = FileState(
        kind="file", mode=0o2640, uid=33, gid=33, flags=0x50, mtime_ns=1_600_000_000_123_456_789,
        xattrs={"system.posix_acl_access": ACL, "user.note": b"\0raw"},
    )  # fmt: skip
    writing.put(str(path), wanted, b"new")
    got = seen(path)
    assert got.same_as(msgspec.structs.replace(wanted, size_bytes=3))
    assert got.mtime_ns == wanted.mtime_ns
    assert path.read_bytes() == b"new"


@root_only
@pytest.mark.parametrize("flag", [FLAG_IMMUTABLE, FLAG_APPEND])
def test_locked_files_in_locked_directories(tree: Path, flag: int) -> None:
    path = tree / "a"
    path.write_bytes(b"old")
    lock(path, flag)
    lock(tree, flag)
    writing.write_file(str(path), b"new")
    assert (path.read_bytes(), seen(path).flags, seen(tree).flags) == (b"new", flag, flag)
    writing.put(str(path), None)
    assert not path.exists() and seen(tree).flags == flag


@root_only
def test_locks_return_when_the_work_fails(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tree / "a"
    path.write_bytes(b"old")
    lock(path)
    lock(tree)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    sentence = f"{path} could not be written: no space is left.*it was left as it was"
    with pytest.raises(HostError, match=sentence):
        writing.write_file(str(path), b"new")
    monkeypatch.undo()
    assert (path.read_bytes(), seen(path).flags, seen(tree).flags) == (b"old", 0x10, 0x10)
    assert leftovers(tree) == []


def test_content_none_keeps_content_and_hard_links(tree: Path) -> None:
    (tree / "a").write_bytes(b"same")
    os.link(tree / "a", tree / "b")
    state = seen(tree / "a")
    writing.put(str(tree / "a"), msgspec.structs.replace(state, mode=0o600, flags=0))
    assert os.stat(tree / "b").st_mode & 0o7777 == 0o600
    assert os.stat(tree / "b").st_nlink == 2
    with pytest.raises(HostError, match="no file whose content could be kept"):
        writing.put(str(tree / "none"), state)


def test_put_of_other_kinds_and_their_exchange(tree: Path) -> None:
    path = tree / "x"
    wanted = [
        own(FileState(kind="symlink", mode=0o777, target="a b")),
        own(FileState(kind="symlink", mode=0o777, target="other")),
        own(FileState(kind="fifo", mode=0o620)),
        own(FileState(kind="dir", mode=0o1750)),
        own(FileState(kind="file", mode=0o400)),
        own(FileState(kind="socket", mode=0o660)),
    ]
    for state in wanted:
        writing.put(str(path), state, b"" if state.kind == "file" else None)
        got = seen(path)
        assert got.same_as(state), state.kind
    writing.put(str(path), None)
    writing.put(str(path), None)
    assert os.listdir(tree) == []


@root_only
def test_a_device(tree: Path) -> None:
    wanted = FileState(kind="char", mode=0o666, rdev=os.makedev(1, 3))
    writing.put(str(tree / "null"), wanted)
    assert seen(tree / "null").same_as(wanted)


def test_a_directory_goes_only_when_empty(tree: Path) -> None:
    (tree / "d").mkdir()
    (tree / "d" / "f").touch()
    with pytest.raises(HostError, match="d could not be restored: the directory is not empty"):
        writing.put(str(tree / "d"), None)
    assert (tree / "d" / "f").exists()


def test_what_stands_in_the_way_is_named(tree: Path) -> None:
    (tree / "d").mkdir()
    (tree / "link").symlink_to("d")
    with pytest.raises(HostError, match="a dir stands where a file is expected"):
        writing.write_file(str(tree / "d"), b"")
    with pytest.raises(UnsafePath, match="link was not written: it is a symbolic link"):
        writing.write_file(str(tree / "link"), b"")
    with pytest.raises(HostError, match=r"the directory .*/none could not be opened"):
        writing.write_file(str(tree / "none" / "f"), b"")
    with pytest.raises(HostError, match="d could not be read: it is a directory"):
        files.read_bytes(str(tree / "d"), limit_bytes=10)
    (tree / "big").write_bytes(b"x" * 11)
    with pytest.raises(HostError, match="larger than 10 bytes"):
        files.read_bytes(str(tree / "big"), limit_bytes=10)
    (tree / "loose").symlink_to("nowhere")
    with pytest.raises(
        HostError, match="loose could not be read: it is a symbolic link to something that"
    ):
        files.read_bytes(str(tree / "loose"), limit_bytes=10)
    os.mkfifo(tree / "fifo")
    with pytest.raises(HostError, match="not a regular file"):
        files.read_bytes(str(tree / "fifo"), limit_bytes=10)
    for wrong in ("relative", "/", "/a/..", "/a\0b"):
        with pytest.raises(HostError, match="not the absolute path of a file"):
            writing.write_file(wrong, b"")


@root_only
def test_a_link_of_somebody_else_is_not_followed(tree: Path) -> None:
    theirs = tree / "theirs"
    theirs.mkdir()
    os.chown(theirs, 33, 33)
    target = tree / "etc"
    target.mkdir()
    (theirs / "conf").symlink_to(target)
    os.lchown(theirs / "conf", 33, 33)
    victim = str(theirs / "conf" / "passwd")
    (tree / "secret").write_bytes(b"of somebody else")
    (theirs / "link").symlink_to(tree / "secret")
    assert files.read_bytes(str(theirs / "link"), limit_bytes=99) == b"of somebody else"
    with pytest.raises(HostError, match="link could not be read: a symbolic link stands there"):
        files.read_bytes(str(theirs / "link"), limit_bytes=99, follow=False)
    with pytest.raises(UnsafePath):
        files.read_bytes(victim, limit_bytes=99, follow=False)
    with pytest.raises(UnsafePath, match="'conf' on the way there is a symbolic link"):
        writing.write_file(victim, b"root::0:0")
    with pytest.raises(UnsafePath):
        writing.put(victim, FileState(kind="fifo"))
    os.lchown(theirs / "conf", 0, 0)  # root's link, but in a directory that is theirs
    with pytest.raises(UnsafePath):
        writing.write_file(victim, b"")
    assert os.listdir(target) == []


def test_our_own_links_are_followed(tree: Path) -> None:
    (tree / "real" / "deep").mkdir(parents=True)
    (tree / "link").symlink_to("real/../real/./deep")
    (tree / "absolute").symlink_to(tree / "link")
    writing.write_file(str(tree / "absolute" / "f"), b"x")
    assert (tree / "real" / "deep" / "f").read_bytes() == b"x"
    (tree / "loop").symlink_to("loop")
    with pytest.raises(HostError, match="a symbolic link stands there"):
        writing.write_file(str(tree / "loop" / "f"), b"x")


def test_listing_and_glob(tree: Path) -> None:
    for name in ("b.conf", "a.conf", ".hidden.conf"):
        (tree / name).touch()
    assert files.listdir(str(tree)) == [".hidden.conf", "a.conf", "b.conf"]
    assert files.listdir(str(tree / "none")) == []
    assert files.glob(f"{tree}/*.conf") == [f"{tree}/a.conf", f"{tree}/b.conf"]
