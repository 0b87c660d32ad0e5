"""Looking at a tree again opens only what changed, and misses no change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from host import light_walk, walk
from host.light_walk import LightCache
from host.local import LocalHost


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a", "b", "c", "sub/d", "sub/e"):
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    time.sleep(0.06)  # until the files are at rest
    return tmp_path / "tree"


def fresh(tree: Path) -> list[tuple[str, object]]:
    return [
        (path, msgspec.to_builtins(state)) for path, state in walk.walk(str(tree), content=False)
    ]


def again(tree: Path, cache: LightCache) -> list[tuple[str, object]]:
    walked = walk.walk(str(tree), content=False, light_cache=cache)
    return [(path, msgspec.to_builtins(state)) for path, state in walked]


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that are opened from now on."""
    names: list[str] = []
    real = os.open

    def note(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        names.append(os.path.basename(path))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", note)
    return names


def test_unchanged_files_are_not_opened(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LightCache()
    first = again(tree, cache)
    names = opened(monkeypatch)
    assert again(tree, cache) == first
    assert set(names) == {"tree", "sub"}


def link(tree: Path) -> Path:
    (tree / "link").symlink_to("c")
    return tree / "link"


CHANGES: dict[str, Callable[[Path], object]] = {
    "mode": lambda tree: (tree / "b").chmod(0o600),
    "attribute": lambda tree: os.setxattr(tree / "b", "user.note", b"x"),
    "replaced": lambda tree: os.replace(tree / "sub/d", tree / "b"),
    "new before the others": lambda tree: (tree / "0").write_text(""),
    "gone": lambda tree: (tree / "a").unlink(),
    "became a link": lambda tree: os.replace(link(tree), tree / "b"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_seen(tree: Path, change: Callable[[Path], object]) -> None:
    cache = LightCache()
    before = again(tree, cache)
    change(tree)
    assert again(tree, cache) == fresh(tree) != before


def test_a_change_within_the_same_tick_of_the_clock_is_seen(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that changed just now may change again and carry the same time: not remembered."""
    cache = LightCache()
    monkeypatch.setattr(light_walk, "_stamp", lambda there: 0)  # all carry the same time
    (tree / "b").chmod(0o600)
    again(tree, cache)
    (tree / "b").chmod(0o640)
    assert dict(again(tree, cache))[f"{tree}/b"] == dict(fresh(tree))[f"{tree}/b"]


def test_alike_files_share_one_state(tree: Path) -> None:
    states = dict(walk.walk(str(tree), content=False))
    assert states[f"{tree}/a"] is states[f"{tree}/sub/e"]


def test_what_was_just_walked_is_told_again_until_something_is_changed(tree: Path) -> None:
    host = LocalHost()
    (tree / "sub/deep").mkdir()
    (tree / "link").symlink_to("a")
    before_s = time.monotonic()
    assert host.walked(str(tree), before_s) is None, "it was not walked yet"
    first = list(host.walk(str(tree), content=False))
    (tree / "sub/deep").rmdir()
    told = host.walked(str(tree), before_s)
    assert told is not None and list(told) == first
    assert host.walked(str(tree), time.monotonic()) is None, "it was walked before that"
    assert host.walked(str(tree), None) is None
    second = list(host.walk(str(tree), content=False))
    told = host.walked(str(tree), before_s)
    assert told is not None and list(told) == second != first
    host.write_file(str(tree / "a"), b"new")
    assert host.walked(str(tree), before_s) is None, "it was changed since"


def test_a_walk_that_broke_off_is_not_told_again(tree: Path) -> None:
    host = LocalHost()
    before_s = time.monotonic()
    next(host.walk(str(tree), content=False))
    assert host.walked(str(tree), before_s) is None
