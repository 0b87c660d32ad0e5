"""A tree of others that is captured by root: nothing is read that they made a name lead to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from host.base import FileState, UnsafePath
from host.local import LocalHost
from snapshots.domains.base import Scope
from snapshots.domains.files import Files
from snapshots.model import FileItem, Root
from snapshots.objects import ObjectStore
from snapshots.secret_paths import SecretPaths
from snapshots.state import StateDir

SECRET = b"root:$y$secret\n"


class Swapped(LocalHost):
    """A host on which something happens between a file's being listed and its being read."""

    def __init__(self, path: str, swap: Callable[[], None]) -> None:
        super().__init__()
        self._path = path
        self._swap = swap

    def walk(self, root: str, **given: Any) -> Iterator[tuple[str, FileState]]:
        for path, state in super().walk(root, **given) if root != "/etc" else ():
            if path == self._path:
                self._swap()
            yield path, state


def captured(tmp_path: Path, path: Path, swap: Callable[[], None]) -> tuple[FileState, ObjectStore]:
    state = StateDir(tmp_path / "state")
    store = ObjectStore(state.objects)
    files = Files(store, SecretPaths(state))
    host = Swapped(str(path), swap)
    item = files.capture(host, Scope((Root(str(tmp_path / "app"), content=True),)))[str(path)]
    assert isinstance(item, FileItem)
    return item.state, store


def test_a_file_that_became_a_link_is_kept_as_a_link(tmp_path: Path) -> None:
    (tmp_path / "shadow").write_bytes(SECRET)
    path = tmp_path / "app" / "index.php"
    path.parent.mkdir()
    path.write_bytes(b"<?php\n")

    def swap() -> None:
        path.unlink()
        path.symlink_to(tmp_path / "shadow")

    state, store = captured(tmp_path, path, swap)
    assert (state.kind, state.target) == ("symlink", str(tmp_path / "shadow"))
    assert not [sha for sha in store.all() if store.get(sha) == SECRET]


@pytest.mark.skipif(os.geteuid() != 0, reason="another owner needs root")
def test_a_directory_that_became_a_link_of_somebody_else_is_not_gone_through(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x").write_bytes(SECRET)
    above = tmp_path / "app" / "sub"
    above.mkdir(parents=True)
    (above / "x").write_bytes(b"<?php\n")

    def swap() -> None:
        above.rename(tmp_path / "app" / "gone")
        above.symlink_to(tmp_path / "secret")
        os.lchown(above, 33, 33)

    with pytest.raises(UnsafePath):
        captured(tmp_path, above / "x", swap)
