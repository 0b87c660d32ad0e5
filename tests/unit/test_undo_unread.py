"""Undos of steps that saw a file without its content, beside those that wrote in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from host.base import FileState
from snapshots import undo, windows
from snapshots.model import Conflict, Resolutions, Root, WriteFile
from snapshots.progress import Silent
from snapshots.transaction import Transaction
from tests.unit.snapshots_host import Bench

KEYS = "/home/admin/.ssh/authorized_keys"
FILE = "/srv/app/conf"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    for directory in ("/srv", "/srv/app"):
        made.host.put(directory, FileState(kind="dir", mode=0o755))
    made.host.write_file(FILE, b"first\n", FileState(kind="file", mode=0o644))
    chmod(made, KEYS, 0o644)
    return made


def chmod(bench: Bench, path: str, mode: int) -> None:
    state = bench.host.state(path)
    assert state is not None
    bench.host.put(path, msgspec.structs.replace(state, mode=mode))


def changed(bench: Bench, step: str, root: Root, change: Callable[[Transaction], None]) -> str:
    tx = bench.begin(step, roots=(root,))
    change(tx)
    return tx.commit().id


def here(bench: Bench, path: str) -> tuple[str, int]:
    state = bench.host.state(path)
    assert state is not None
    return bench.read(path), state.mode


def test_who_sealed_a_file_gives_it_back_with_what_a_later_step_wrote_in_it(bench: Bench) -> None:
    """A home's keys lose a mode, then get a line: undoing the first must not cost the old line."""
    first, old = here(bench, KEYS), bench.host.read_bytes(KEYS)
    homes = changed(bench, "homes", Root(KEYS), lambda _: chmod(bench, KEYS, 0o600))
    new = WriteFile(path=KEYS, content=old + b"ssh-ed25519 NEW\n")
    key = changed(
        bench, "key", Root("/home/admin/.ssh", content=True), lambda tx: tx.perform(new)
    )  # fmt: skip
    (item,) = undo.plan_undo(bench.host, bench.state, homes).items
    assert item.diff == f"{KEYS}: mode 0600 -> 0644"
    assert bench.undo(homes).status == "committed"
    assert here(bench, KEYS) == ((old + b"ssh-ed25519 NEW\n").decode(), 0o644)
    assert bench.undo(key).status == "committed"
    assert here(bench, KEYS) == first


@pytest.mark.parametrize("order", ["st", "ts"])
@pytest.mark.parametrize("content", [b"first\nmore\n", b"second\n"])
def test_sealed_then_written(bench: Bench, order: str, content: bytes) -> None:
    written = WriteFile(
        path=FILE, content=content, mode=0o640, uid=0, gid=0, force_state=True
    )  # fmt: skip
    done = {
        "s": changed(bench, "s", Root("/srv/app"), lambda _: chmod(bench, FILE, 0o600)),
        "t": changed(
            bench, "t", Root("/srv/app", content=True), lambda tx: tx.perform(written)
        ),
    }  # fmt: skip
    for one in order:
        assert bench.undo(done[one]).status == "committed"
    assert here(bench, FILE) == ("first\n", 0o644)


@pytest.mark.parametrize("order", ["sw", "ws"])
def test_sealed_then_written_in_a_window(bench: Bench, order: str) -> None:
    done = {"s": changed(bench, "s", Root("/srv/app"), lambda _: chmod(bench, FILE, 0o600))}
    with bench.state.lock("test"):
        done["w"] = windows.new_id(bench.state)
    windows.begin(
        bench.host, bench.state, done["w"], user="t", roots=(Root("/srv/app", content=True),),
        secrets=(), progress=Silent(),
    )  # fmt: skip
    bench.host.write_file(FILE, b"second\n", FileState(kind="file", mode=0o640))
    windows.finish(bench.host, bench.state, done["w"], Silent())
    for one in order:
        assert bench.undo(done[one]).status == "committed"
    assert here(bench, FILE) == ("first\n", 0o644)


def became_a_link(bench: Bench) -> None:
    bench.host.put(FILE, None)
    bench.host.put(FILE, FileState(kind="symlink", mode=0o777, target="/elsewhere"))


def test_what_was_not_read_is_not_offered_to_come_back(bench: Bench) -> None:
    sealed = changed(bench, "sealed", Root("/srv/app"), lambda _: chmod(bench, FILE, 0o600))
    became_a_link(bench)
    (item,) = undo.plan_undo(bench.host, bench.state, sealed).items
    assert item.how == "conflict"
    assert item.cannot["restore"] == "its content was not kept, so it cannot come back"
    with pytest.raises(Conflict, match="cannot be undone with --restore: its content was not kept"):
        bench.undo(sealed, resolutions=Resolutions("restore"))
    assert bench.undo(sealed, resolutions=Resolutions("keep-current")).status == "committed"
    state = bench.host.state(FILE)
    assert state is not None and state.target == "/elsewhere"


def test_a_content_is_not_left_to_who_never_read_it(bench: Bench) -> None:
    """A link became a file, which another step sealed: that one could not give the link back
    without losing what was written since."""
    became_a_link(bench)

    def written(tx: Transaction) -> None:
        bench.host.put(FILE, None)
        tx.perform(WriteFile(path=FILE, content=b"second\n", mode=0o644, uid=0, gid=0))

    wrote = changed(bench, "wrote", Root("/srv/app", content=True), written)
    sealed = changed(bench, "sealed", Root("/srv/app"), lambda _: chmod(bench, FILE, 0o600))
    (item,) = undo.plan_undo(bench.host, bench.state, wrote).items
    assert item.how == "conflict"
    with pytest.raises(Conflict, match="not its content; undo sealed first"):
        bench.undo(wrote, resolutions=Resolutions("restore"))
    assert here(bench, FILE) == ("second\n", 0o600)
    assert bench.undo(sealed).status == "committed"
    assert bench.undo(wrote).status == "committed"
    state = bench.host.state(FILE)
    assert state is not None and state.target == "/elsewhere"
