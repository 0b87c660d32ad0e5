"""What lies behind a link now, or under a mount, was not removed by anybody."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from host.base import FileState
from snapshots import undo
from snapshots.model import Conflict, Resolutions, Root, WriteFile
from tests.unit.snapshots_host import Bench
from tests.unit.test_mounted import mount, put

DIRECTORY, FILE = "/etc/site", "/etc/site/conf"
MOVED = "/etc/site-2"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    put(made.host, FILE)
    return made


def write(bench: Bench, step: str, content: bytes) -> str:
    return bench.apply(step, WriteFile(path=FILE, content=content)).id


def move_behind_a_link(bench: Bench) -> None:
    bench.host.put(MOVED, FileState(kind="dir", mode=0o755))
    bench.host.write_file(f"{MOVED}/conf", bench.host.read_bytes(FILE))
    bench.host.put(FILE, None)
    bench.host.put(DIRECTORY, None)
    bench.host.put(DIRECTORY, FileState(kind="symlink", mode=0o777, target="site-2"))


def move_back(bench: Bench) -> None:
    content = bench.host.read_bytes(f"{MOVED}/conf")
    bench.host.put(DIRECTORY, None)
    put(bench.host, FILE)
    bench.host.write_file(FILE, content)


def assert_is_refused(bench: Bench, tx_id: str, why: str) -> None:
    plan = undo.plan_undo(bench.host, bench.state, tx_id)
    (conflict,) = [item for item in plan.items if item.how == "conflict"]
    assert (conflict.key, conflict.note) == (FILE, why)
    assert {"restore", "merge"} == set(conflict.cannot)
    with pytest.raises(Conflict) as refused:
        bench.undo(tx_id)
    assert str(refused.value) == (
        f"{FILE} cannot be undone now: {why}. Nothing was touched. With --keep-current it stays as "
        "it is, for good."
    )


@pytest.mark.parametrize("made", [False, True])
def test_a_file_whose_directory_was_moved_behind_a_link(bench: Bench, made: bool) -> None:
    if made:
        bench.host.put(FILE, None)
    first = bench.fingerprint()
    tx_id = write(bench, "step", b"x\ny\n")
    move_behind_a_link(bench)
    why = f"{DIRECTORY}, in which it lay, is a link now; put the directory back first"
    assert_is_refused(bench, tx_id, why)
    move_back(bench)
    assert bench.undo(tx_id).status == "committed"
    for path in (f"{MOVED}/conf", MOVED):
        bench.host.put(path, None)
    assert bench.fingerprint() == first


def test_so_it_is_if_a_later_step_wrote_in_it(bench: Bench) -> None:
    first = write(bench, "first", b"x\na\n")
    last = write(bench, "last", b"x\na\nb\n")
    move_behind_a_link(bench)
    for tx_id in (first, last):
        why = f"{DIRECTORY}, in which it lay, is a link now; put the directory back first"
        assert_is_refused(bench, tx_id, why)


def test_it_stays_as_it_is_if_a_person_wants_that(bench: Bench) -> None:
    tx_id = write(bench, "step", b"x\ny\n")
    move_behind_a_link(bench)
    bench.undo(tx_id, resolutions=Resolutions("keep-current"))
    assert bench.read(f"{MOVED}/conf") == "x\ny\n"


def test_a_file_that_a_mount_covers(bench: Bench) -> None:
    """Also where another file is seen there, as in a bound directory."""
    tx_id = write(bench, "step", b"x\ny\n")
    mount(bench.host, DIRECTORY)
    why = f"something was mounted on {DIRECTORY} since; unmount it first"
    assert_is_refused(bench, tx_id, why)
    bench.host.write_file(FILE, b"x\ny\nz\n")
    assert_is_refused(bench, tx_id, why)
    bench.host.write_file(FILE, b"x\ny\n")
    mount(bench.host)
    assert bench.undo(tx_id).status == "committed"
    assert bench.read(FILE) == "x"


def test_what_was_mounted_before_is_no_obstacle(bench: Bench) -> None:
    mount(bench.host, DIRECTORY, "/srv")
    tx_id = write(bench, "step", b"x\ny\n")
    mount(bench.host, DIRECTORY, "/home")
    assert bench.undo(tx_id).status == "committed"
    assert bench.read(FILE) == "x"


HOME, KEYS = "/home/admin", "/home/admin/.ssh/authorized_keys"


def closed(bench: Bench) -> str:
    """A home and its keys lose a mode; each is a root of its own."""
    chmod(bench, HOME, 0o755)
    chmod(bench, KEYS, 0o644)
    tx = bench.begin("homes", roots=(Root(HOME), Root(KEYS)))
    chmod(bench, HOME, 0o750)
    chmod(bench, KEYS, 0o600)
    return tx.commit().id


def move_and_link(bench: Bench, path: str) -> None:
    """To another disk, as an administrator does: a login works through the link."""
    for directory in ("/srv", "/srv/moved", "/srv/moved/.ssh"):
        if bench.host.state(directory) is None:
            bench.host.put(directory, FileState(kind="dir", mode=0o755))
    content = bench.host.read_bytes(KEYS)
    bench.host.write_file("/srv/moved/.ssh/authorized_keys", content)
    inside = [one for one, _ in bench.host.walk(path, content=False)]
    for inner in sorted({path, *inside}, reverse=True):
        bench.host.put(inner, None)
    target = "../" * (path.count("/") - 1) + "srv/moved" + path.removeprefix(HOME)
    bench.host.put(path, FileState(kind="symlink", mode=0o777, target=target))


def chmod(bench: Bench, path: str, mode: int) -> None:
    state = bench.host.state(path)
    assert state is not None
    bench.host.put(path, msgspec.structs.replace(state, mode=mode))


def undone(bench: Bench, tx_id: str, *choices: Resolutions) -> None:
    """Each of `choices` but the last is refused; nothing is touched by any."""
    before = bench.host.state(KEYS)
    for choice in choices[:-1]:
        with pytest.raises(Conflict, match=r"[Nn]othing was touched"):
            bench.undo(tx_id, resolutions=choice)
    assert bench.undo(tx_id, resolutions=choices[-1]).status == "committed"
    assert bench.host.state(KEYS) == before is not None


def test_a_file_whose_directory_became_a_link_is_asked_about_though_it_is_read(
    bench: Bench,
) -> None:
    tx_id = closed(bench)
    move_and_link(bench, "/home/admin/.ssh")
    undone(
        bench, tx_id, Resolutions(), Resolutions("merge"), Resolutions("restore"),
        Resolutions(single={KEYS: "keep-current"}),
    )  # fmt: skip


def test_a_directory_that_only_lost_a_mode_does_not_come_back_empty_over_a_link(
    bench: Bench,
) -> None:
    tx_id = closed(bench)
    move_and_link(bench, HOME)
    undone(
        bench, tx_id, Resolutions(), Resolutions("merge"), Resolutions("restore"),
        Resolutions("keep-current", {HOME: "restore"}), Resolutions("keep-current"),
    )  # fmt: skip
    assert bench.host.state(f"{HOME}/.ssh/authorized_keys") is not None


def test_so_it_is_where_only_the_file_is_a_root_and_the_link_is_its_owners(bench: Bench) -> None:
    """As with a home that was closed already: nobody writes through a link of others."""
    chmod(bench, KEYS, 0o644)
    tx = bench.begin("homes", roots=(Root(KEYS),))
    chmod(bench, KEYS, 0o600)
    tx_id = tx.commit().id
    move_and_link(bench, "/home/admin/.ssh")
    home = bench.host.state(HOME)
    assert home is not None
    bench.host.put(HOME, msgspec.structs.replace(home, uid=1000, gid=1000))
    undone(bench, tx_id, Resolutions(), Resolutions(single={KEYS: "keep-current"}))
