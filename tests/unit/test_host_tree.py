"""Whole trees: walked in one pass, sealed by rules, given back entry by entry."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from host import attributes, files, rules, tree, walk
from host.base import FLAG_IMMUTABLE, FileState, HostError, TreeRule

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Path]:
    """An application: index.php, cron.sh, src/a.php, upload/x.php, upload/deep/y.php, a link."""
    root = tmp_path / "app"
    for name in ("index.php", "cron.sh", "src/a.php", "upload/x.php", "upload/deep/y.php"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "current").symlink_to("/etc")
    os.mkfifo(root / "fifo")
    yield root
    if os.geteuid() == 0:
        tree.apply_rules(str(root), [TreeRule(str(root), flags_clear=FLAG_IMMUTABLE)])


def modes(root: Path) -> dict[str, tuple[int, int, bool]]:
    """name -> (mode, uid, immutable), links apart."""
    return {
        path.removeprefix(str(root)): (state.mode, state.uid, bool(state.flags & FLAG_IMMUTABLE))
        for path, state in walk.walk(str(root), content=False)
        if state.kind in ("file", "dir")
    }


def sealing(root: Path) -> list[TreeRule]:
    base = str(root)
    return [
        TreeRule(base, uid=0, gid=33, dir_mode=0o750, file_mode=0o640, flags_set=FLAG_IMMUTABLE),
        TreeRule(base, uid=0, gid=33, file_mode=0o750, name_suffixes=(".sh",)),
        TreeRule(
            f"{base}/upload/", uid=33, gid=33, dir_mode=0o770, file_mode=0o660,
            flags_clear=FLAG_IMMUTABLE,
        ),
        TreeRule(f"{base}/src/a.php", file_mode=0o600),
    ]  # fmt: skip


@root_only
def test_the_longest_path_decides_and_a_second_time_changes_nothing(app: Path) -> None:
    etc = os.stat("/etc")
    changed = tree.apply_rules(str(app), sealing(app))
    assert modes(app) == {
        "": (0o750, 0, True),
        "/cron.sh": (0o750, 0, False),
        "/index.php": (0o640, 0, True),
        "/src": (0o750, 0, True),
        "/src/a.php": (0o600, 0, False),
        "/upload": (0o770, 33, False),
        "/upload/deep": (0o770, 33, False),
        "/upload/deep/y.php": (0o660, 33, False),
        "/upload/x.php": (0o660, 33, False),
    }
    assert changed == 10  # the link's group among them
    assert (os.lstat(app / "current").st_gid, os.lstat(app / "fifo").st_gid) == (33, 0)
    assert os.stat("/etc").st_mode == etc.st_mode and os.stat("/etc").st_gid == etc.st_gid
    assert tree.apply_rules(str(app), sealing(app)) == 0
    with pytest.raises(PermissionError):
        (app / "index.php").write_text("defaced")
    with pytest.raises(PermissionError):
        (app / "shell.php").write_text("new")


@root_only
def test_the_preview_says_what_the_pass_does(app: Path) -> None:
    before = dict(walk.walk(str(app), content=False))
    expected = {
        path: rules.shaped(state, rules.rule_for(path, state.kind == "file", sealing(app)))
        for path, state in before.items()
    }
    changed = tree.apply_rules(str(app), sealing(app))
    after = dict(walk.walk(str(app), content=False))
    assert after.keys() == expected.keys()
    assert all(after[path].same_as(expected[path]) for path in after)
    assert changed == sum(not before[path].same_as(expected[path]) for path in before)


@root_only
def test_states_bring_everything_back(app: Path) -> None:
    os.chown(app / "upload", 33, 33)
    (app / "upload").chmod(0o2775)
    os.setxattr(app / "index.php", "user.note", b"x")
    before = list(walk.walk(str(app), content=True))
    tree.apply_rules(str(app), sealing(app))
    assert tree.apply_states(before) == 10
    assert [(p, s.mode, s.flags) for p, s in walk.walk(str(app), content=True)] == [
        (p, s.mode, s.flags) for p, s in before
    ]
    after = dict(walk.walk(str(app), content=True))
    assert all(after[path].same_as(state) for path, state in before)
    assert tree.apply_states(before) == 0


@root_only
def test_hard_links_to_the_outside_are_left_alone(app: Path, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("secret")
    (tmp_path / "shadow").chmod(0o600)
    os.link(tmp_path / "shadow", app / "upload" / "mine")
    os.link(app / "index.php", app / "src" / "index2.php")
    left_alone: list[str] = []
    tree.apply_rules(str(app), sealing(app), left_alone=left_alone)
    assert left_alone == [f"{app}/upload/mine"]
    assert (tmp_path / "shadow").stat().st_mode & 0o7777 == 0o600
    assert (tmp_path / "shadow").stat().st_uid == 0
    assert (app / "index.php").stat().st_mode & 0o7777 == 0o640  # both its links are in the tree


@root_only
def test_a_link_that_is_exchanged_in_passing_leads_nowhere(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = tmp_path / "shadow"
    shadow.write_text("secret")
    shadow.chmod(0o600)
    for name in ("a", "b"):
        (app / "upload" / f"{name}1").write_text("mine")
        os.link(app / "upload" / f"{name}1", app / "upload" / f"{name}2")
    look_again = tree._Sealing._shared_files

    def exchange(sealing: tree._Sealing) -> None:
        (app / "upload" / "a1").unlink()
        os.link(shadow, app / "upload" / "a1")
        look_again(sealing)

    monkeypatch.setattr(tree._Sealing, "_shared_files", exchange)
    left_alone: list[str] = []
    tree.apply_rules(str(app), sealing(app), left_alone=left_alone)
    assert shadow.stat().st_mode & 0o7777 == 0o600
    assert left_alone == [f"{app}/upload/a1", f"{app}/upload/a2"]
    assert (app / "upload" / "b1").stat().st_mode & 0o7777 != 0o644


@root_only
def test_set_id_bits_survive_a_change_of_owner(app: Path) -> None:
    (app / "cron.sh").chmod(0o4755)
    tree.apply_rules(str(app), [TreeRule(str(app), uid=33)])
    assert modes(app)["/cron.sh"] == (0o4755, 33, False)


@root_only
def test_failure_names_the_file_and_locks_it_again(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.apply_rules(str(app), [TreeRule(str(app), flags_set=FLAG_IMMUTABLE)])

    def refuse(fd: int, mode: int) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(HostError, match=f"{app} could not be given .* mounted read-only; 0 entr"):
        tree.apply_rules(str(app), [TreeRule(str(app), dir_mode=0o700)])
    with pytest.raises(HostError, match=f"{app}/cron.sh could not be given"):
        state = dict(walk.walk(str(app), content=False))[f"{app}/cron.sh"]
        tree.apply_states([(f"{app}/cron.sh", msgspec.structs.replace(state, mode=0o700))])
    monkeypatch.undo()
    assert all(immutable for _, _, immutable in modes(app).values())


@root_only
def test_a_root_that_is_a_link_of_somebody_else_is_refused(app: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "app").symlink_to("/etc")
    os.chown(theirs, 33, 33)
    with pytest.raises(HostError, match="symbolic link that someone other than root"):
        tree.apply_rules(f"{theirs}/app", [TreeRule(f"{theirs}/app", file_mode=0o600)])


def test_progress_and_a_missing_root(app: Path) -> None:
    for number in range(1500):
        (app / "src" / f"f{number}").touch()
    said: list[int] = []
    rule = TreeRule(str(app), dir_mode=0o755, file_mode=0o640)
    assert tree.apply_rules(str(app), [rule], on_progress=said.append) >= 1500
    assert said == [1000]
    with pytest.raises(HostError, match=r"/none could not be given .*it does not exist"):
        tree.apply_rules(f"{app}/none", [rule])


def test_walk_is_sorted_parents_first_and_complete(app: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(app / "socket"))
    walked = [path.removeprefix(str(app)) for path, _ in walk.walk(str(app), content=False)]
    assert walked == [
        "", "/cron.sh", "/current", "/fifo", "/index.php", "/socket", "/src", "/upload",
        "/src/a.php", "/upload/deep", "/upload/x.php", "/upload/deep/y.php",
    ]  # fmt: skip
    states = dict(walk.walk(str(app), content=True))
    for path, state in states.items():
        assert state == files.state(path, content=True)
    assert states[f"{app}/current"].target == "/etc"
    assert list(walk.walk(f"{app}/none", content=True)) == []
    assert [path for path, _ in walk.walk(f"{app}/cron.sh", content=False)] == [f"{app}/cron.sh"]


@root_only
def test_walk_does_not_enter_another_file_system(app: Path) -> None:
    inside = [path for path, _ in walk.walk("/dev", content=False)]
    assert "/dev/pts" in inside and not any(path.startswith("/dev/pts/") for path in inside)


def test_walk_leaves_no_descriptor_when_given_up(app: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    walking = walk.walk(str(app), content=False)
    next(walking)
    next(walking)
    walking.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(os.listdir("/proc/self/fd")) == before


def test_known_hashes_are_used_until_anything_changes(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    hash_fd = files.hash_fd

    def counting(fd: int) -> str:
        read.append(fd)
        return hash_fd(fd)

    monkeypatch.setattr(files, "hash_fd", counting)
    monkeypatch.setattr(walk, "_SETTLED_NS", -1)  # as if all of it had been there for long
    cache = walk.StatCache()
    first = list(walk.walk(str(app), content=True, cache=cache))
    assert len(read) == 5
    cache.save(tmp_path / "cache")
    loaded = walk.StatCache.load(tmp_path / "cache")
    assert list(walk.walk(str(app), content=True, cache=loaded)) == first
    assert len(read) == 5
    index = app / "index.php"
    times = (index.stat().st_atime_ns, index.stat().st_mtime_ns)
    index.write_text("defaced!!"[: len("index.php")])
    os.utime(index, ns=times)  # same size, same mtime: only ctime tells
    changed = dict(walk.walk(str(app), content=True, cache=loaded))
    assert len(read) == 6
    assert changed[str(index)].sha256 != dict(first)[str(index)].sha256
    assert walk.StatCache.load(tmp_path / "none").get(str(index), index.stat()) == ""
    whole = (tmp_path / "cache").read_bytes()
    flipped = whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]  # in the hash of the last file
    for damaged in (b"\xc1 damaged", flipped):
        (tmp_path / "cache").write_bytes(damaged)
        assert not walk.StatCache.load(tmp_path / "cache")._known


def test_hashes_are_kept_of_names_that_are_not_utf8_too(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "_SETTLED_NS", -1)
    named = str(app) + os.fsdecode(b"/caf\xe9.conf")
    Path(named).write_text("x")
    cache = walk.StatCache()
    seen = dict(walk.walk(str(app), content=True, cache=cache))
    cache.save(tmp_path / "cache")
    loaded = walk.StatCache.load(tmp_path / "cache")
    assert loaded.get(named, os.stat(named)) == seen[named].sha256
    assert loaded.get(str(app / "index.php"), (app / "index.php").stat())


def test_a_file_changed_just_now_is_not_remembered(app: Path) -> None:
    cache = walk.StatCache()
    list(walk.walk(str(app), content=True, cache=cache))
    index = app / "index.php"
    assert cache.get(str(index), index.stat()) == ""


def test_rules_of_names_and_paths() -> None:
    base = TreeRule("/srv/app", file_mode=0o640)
    scripts = TreeRule("/srv/app", file_mode=0o750, name_suffixes=(".sh",))
    upload = TreeRule("/srv/app/upload", file_mode=0o660)
    every = [base, upload, scripts]
    assert rules.rule_for("/srv/app/a.sh", True, every) is scripts
    assert rules.rule_for("/srv/app/d.sh", False, every) is base
    assert rules.rule_for("/srv/app/uploads/x", True, every) is base
    assert rules.rule_for("/srv/app/upload/x.sh", True, every) is upload
    assert rules.rule_for("/srv/other", True, every) is None
    link = FileState(kind="symlink", mode=0o777)
    assert rules.shaped(link, TreeRule("/", file_mode=0o600, flags_set=0x10)) is link
    assert attributes.FLAGS_OF_CHATTR & FLAG_IMMUTABLE
