"""What two processes do with a large tree is what one alone does with it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from host import attributes, light_walk, second_process, tree, walk, walk_ahead
from host.base import FLAG_IMMUTABLE, HostError, TreeRule
from host.light_walk import LightCache
from host.second_process import SecondProcess, Unwanted, is_seconds

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

Entries = list[tuple[str, object]]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Path]:
    """Forty directories of ten files, half of them with a link and a pipe, some with odd names,
    and hard links between them."""
    root = tmp_path / "app"
    for number in range(40):
        directory = root / f"m{number % 5}" / f"p{number:02}"
        directory.mkdir(parents=True)
        for name in range(10):
            (directory / f"f{name}").write_text("x")
        if number % 2 == 0:
            (directory / "link").symlink_to("f1")
            os.mkfifo(directory / "pipe")
    for number in range(40):
        os.link(root / f"m{number % 5}/p{number:02}/f0", root / f"m{(number + 1) % 5}/h{number}")
    (root / "m0" / "caf\udce9").write_text("x")
    time.sleep(0.06)  # until the files are at rest
    yield root
    subprocess.run(["chattr", "-R", "-f", "-i", str(root)], check=False)


@pytest.fixture(params=[0, 1 << 30], ids=["two", "alone"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether there are two."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(tree, "active_count", lambda: 1)
    monkeypatch.setattr(second_process, "WORTH_IT", request.param)
    return bool(request.param == 0)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(tree, "active_count", lambda: 1)
    monkeypatch.setattr(second_process, "WORTH_IT", 0)


@pytest.fixture(params=[0.0, 0.2], ids=["first is ahead", "second is ahead"])
def either_ahead(
    two: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that walk, one comes to most of the directories before the other."""
    real = walk_ahead.Ahead.__init__

    def begin(ahead: walk_ahead.Ahead, look: light_walk.Look, pending: light_walk.Pending) -> None:
        real(ahead, look, pending)
        time.sleep(request.param)

    monkeypatch.setattr(walk_ahead.Ahead, "__init__", begin)


def looked(root: Path, cache: LightCache | None = None) -> Entries:
    walked = walk.walk(str(root), content=False, light_cache=cache)
    return [(path, msgspec.to_builtins(state)) for path, state in walked]


def alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> Entries:
    with monkeypatch.context() as patched:
        patched.setattr(second_process, "WORTH_IT", 1 << 30)
        return looked(root)


def other_shares(root: Path) -> tuple[str, str]:
    """A directory that the first process comes to first and one that the second does."""
    found = sorted(str(path) for path in root.glob("m*/p*"))
    return found[0], found[-1]


def test_both_see_the_same(app: Path, either_ahead: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LightCache()
    first = looked(app, cache)
    assert first == looked(app, cache) == alone(app, monkeypatch)
    for directory in other_shares(app):
        (Path(directory) / "f3").chmod(0o600)
        (Path(directory) / "f4").unlink()
        (Path(directory) / "f5").rename(Path(directory) / "f6")
        (Path(directory) / "new").mkdir()
        ((Path(directory) / "new") / "deep").write_text("x")
    assert looked(app, cache) == alone(app, monkeypatch) != first


def test_of_both_walks_a_path_and_alike_states_are_one_object(
    app: Path, either_ahead: None
) -> None:
    cache = LightCache()
    first = dict(walk.walk(str(app), content=False, light_cache=cache))
    second = dict(walk.walk(str(app), content=False, light_cache=cache))
    paths = {path: path for path in first if "/f" in path}
    assert all(paths[path] is path for path in second if path in paths)
    assert len({id(state) for path, state in second.items() if path.endswith(("f3", "f4"))}) == 1


def test_a_tree_that_was_large_is_divided_from_its_root(
    app: Path, two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_process, "WORTH_IT", 300)
    begun: list[list[str]] = []
    real = walk_ahead.Ahead.__init__

    def begin(ahead: walk_ahead.Ahead, look: light_walk.Look, pending: light_walk.Pending) -> None:
        begun.append([directory for directory, _ in pending])
        real(ahead, look, pending)

    monkeypatch.setattr(walk_ahead.Ahead, "__init__", begin)
    cache = LightCache()
    first = looked(app, cache)
    assert len(begun) == 1 and str(app) not in begun[0]
    assert looked(app, cache) == first == alone(app, monkeypatch)
    assert begun[1:] == [[str(app)]]


def test_a_second_process_that_dies_is_not_missed(
    app: Path, two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(app, monkeypatch)

    def die(process: SecondProcess, what: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(SecondProcess, "say", die)
    assert looked(app) == expected


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process ids of what is forked from now on."""
    pids: list[int] = []
    real = os.fork

    def fork() -> int:
        pid = real()
        pids.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", fork)
    return pids


def are_gone(pids: list[int]) -> bool:
    return bool(pids) and not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_a_walk_that_is_left_leaves_no_process(app: Path, two: None, forked: list[int]) -> None:
    walked = walk.walk(str(app), content=False)
    for _ in range(100):
        next(walked)
    walked.close()  # type: ignore[attr-defined]
    assert are_gone(forked)


def test_what_the_first_sees_is_not_lost_when_the_trees_differ(
    app: Path, either_ahead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that comes while they walk: the first one looks at the rest itself."""
    real = light_walk.Look.directory
    made: list[str] = []
    here = os.getpid()

    def make(look: light_walk.Look, directory: str, fd: int, told: object = None) -> object:
        if os.getpid() == here and not made and directory.endswith("m4"):
            time.sleep(0.2)  # the second one is through
            for number in range(8):
                made.append(f"{directory}/a{number}")
                os.mkdir(made[-1])
        return real(look, directory, fd, told)  # type: ignore[arg-type]

    monkeypatch.setattr(light_walk.Look, "directory", make)
    seen = [path for path, _ in looked(app)]
    monkeypatch.undo()
    assert len(seen) == len(set(seen))
    assert set(seen) | set(made) == {path for path, _ in looked(app)}


@root_only
def test_both_seal_and_restore_the_same(app: Path, processes: bool) -> None:
    os.link(app / "m1/p01/f2", app.parent / "outside")
    before = list(walk.walk(str(app), content=False))
    said: list[int] = []
    left_alone: list[str] = []
    wanted = [
        TreeRule(str(app), uid=33, dir_mode=0o550, file_mode=0o440, flags_set=FLAG_IMMUTABLE),
        TreeRule(str(app / "m3"), dir_mode=0o770, file_mode=0o660, flags_clear=FLAG_IMMUTABLE),
    ]
    changed = tree.apply_rules(str(app), wanted, on_progress=said.append, left_alone=left_alone)
    assert left_alone == [f"{app}/m1/p01/f2"]
    # Directories, files, symbolic links outside of m3, and not the one that leads outside.
    assert changed == 46 + 400 + 1 + 16 - 1
    after = dict(walk.walk(str(app), content=False))
    for path, state in after.items():
        if state.kind == "file" and path not in left_alone:
            assert state.mode == (0o660 if "/m3/" in path and not state.links else state.mode)
            assert state.uid == (0 if "/m3/" in path and not state.links else state.uid)
    assert tree.apply_rules(str(app), wanted) == 0
    restored = tree.apply_states([(p, s) for p, s in before if s.kind in ("file", "dir")])
    # A file with two names is given its state by both processes at once, now and then.
    assert restored - (46 + 400 + 1 - 1) in (0, 1)
    now = dict(walk.walk(str(app), content=False))
    assert all(now[path].same_as(state) for path, state in before if state.kind != "symlink")


@root_only
def test_a_failure_of_either_is_told_and_ends_both(
    app: Path, two: None, forked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fchmod
    for second, wrong in {is_seconds(str(path)): path for path in app.glob("m*/p*")}.items():
        inode = (wrong / "f7").stat().st_ino

        def refuse(fd: int, mode: int, inode: int = inode) -> None:
            if os.fstat(fd).st_ino == inode:
                raise OSError(30, "Read-only file system")
            real(fd, mode)

        monkeypatch.setattr(os, "fchmod", refuse)
        with pytest.raises(HostError, match=rf"^{wrong}/f7 could not be given .* mounted read-"):
            tree.apply_rules(str(app), [TreeRule(str(app), file_mode=0o604)])
        files = [(p, s) for p, s in walk.walk(str(app), content=False) if s.kind == "file"]
        changed = [(p, msgspec.structs.replace(s, mode=0o640 + second)) for p, s in files]
        with pytest.raises(HostError, match=rf"^{wrong}/f7 could not be given .* mounted read-"):
            tree.apply_states(changed)
        monkeypatch.setattr(os, "fchmod", real)
        assert are_gone(forked)


@root_only
def test_a_second_process_that_is_killed_at_work_is_a_failure(
    app: Path, two: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = os.getpid()
    real = os.fchmod

    def die(fd: int, mode: int) -> None:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        real(fd, mode)

    monkeypatch.setattr(os, "fchmod", die)
    with pytest.raises(HostError, match="did half of the work was ended"):
        tree.apply_rules(str(app), [TreeRule(str(app), file_mode=0o604)])
    assert attributes.get_xattrs(str(app)) == {}


def test_the_second_leaves_off_when_it_is_told_or_alone() -> None:
    def job(process: SecondProcess) -> None:
        try:
            while True:
                process.tell(7)
                time.sleep(0.01)
        except Unwanted:
            process.say("left off")

    process = SecondProcess(job)
    while process.seen != 7:
        time.sleep(0.01)
    process.stop()
    assert process.hear() == "left off"
    process.end()

    reader, writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        os.close(reader)
        SecondProcess(job)
        os._exit(0)  # the first process is gone without a word
    os.close(writer)
    os.waitpid(middle, 0)
    assert os.read(reader, 1) == b"", "the second process still holds the pipe"
    os.close(reader)
