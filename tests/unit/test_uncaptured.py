"""Where no capture goes nothing is changed: it could not be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import FileState, HostError, TreeRule
from host.practice import PracticeHost
from snapshots import opening
from snapshots.model import (
    Change,
    MakeLink,
    RemoveFile,
    Root,
    RunCommand,
    SealTree,
    TestRestore,
    WriteFile,
)
from snapshots.progress import Silent
from snapshots.state import StateDir
from snapshots.uncaptured import of_paths, refusals

DIRECTORY = FileState(kind="dir", mode=0o755)
OVERLAID = "/etc/d/of-the-lower-layer"
"""A file of an overlay has another number than its directory where the layers lie on two."""
SEALED = TreeRule(path="/srv/else/x", uid=0, gid=0)
ROOTS = (
    Root("/srv/app", content=True, without=("/srv/app/left",)), Root("/srv/bare"),
    Root("/srv/deep/made", content=True),
)  # fmt: skip
MOUNTS = ("/etc/apache2", "/etc/php/8.4", "/srv/app/files")


class Host(PracticeHost):
    def device(self, path: str) -> int:
        if self.state(path) is None:
            return 0
        if path == OVERLAID:
            return 3
        return 2 if f"{path}/".startswith(tuple(f"{at}/" for at in MOUNTS)) else 1


@pytest.fixture
def host(tmp_path: Path) -> Host:
    found = Host(tmp_path / "host")
    for path in (
        "/etc/apache2", "/etc/apache2/conf-enabled", "/etc/d", "/etc/php", "/etc/php/8.4",
        "/etc/php/8.4/fpm", "/etc/php/8.4/fpm/conf.d", "/srv", "/srv/app", "/srv/app/files",
        "/srv/else",
    ):  # fmt: skip
        if found.state(path) is None:
            found.put(path, DIRECTORY)
    found.write_file(OVERLAID, b"")
    found.put("/etc/out", FileState(kind="symlink", mode=0o777, target="../srv/else"))
    found.put("/etc/in", FileState(kind="symlink", mode=0o777, target="d"))
    return found


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (WriteFile(path="/etc/apache2/new/x", content=b""), "mounted on /etc/apache2,"),
        (MakeLink("/etc/apache2/x", "y"), "mounted on /etc/apache2,"),
        (RunCommand(argv=("/usr/sbin/a2enconf", "x"), why="x"), "mounted on /etc/apache2,"),
        (RunCommand(argv=("phpdismod", "x"), why="x"), "mounted on /etc/php/8.4,"),
        (RunCommand(argv=("chmod", "0600", "/etc/apache2/x"), why="x"), "mounted on /etc/apache2,"),
        (RunCommand(argv=("systemctl", "mask", "x"), why="x"), ""),
        (WriteFile(path="/etc/d/x", content=b""), ""),
        (WriteFile(path=OVERLAID, content=b""), ""),
        (WriteFile(path="/etc/in/x", content=b""), ""),
        (WriteFile(path="/etc/out/x", content=b""), "lies behind a link, in /srv/else,"),
        (WriteFile(path="/srv/else/x", content=b""), "/srv/else/x lies outside"),
        (SealTree("/srv/app", rules=()), ""),
        (WriteFile(path="/srv/app/files/x", content=b""), "mounted on /srv/app/files,"),
        (MakeLink("/srv/else/x", "y"), "/srv/else/x lies outside of what a restore point"),
        (RemoveFile("/srv/else/x"), "/srv/else/x lies outside of what a restore point"),
        (SealTree("/srv/else", rules=(SEALED,)), "/srv/else/x lies outside"),
        (SealTree("/srv", rules=(SEALED,)), "/srv/else/x lies outside"),
        (RunCommand(argv=("chmod", "0600", "/srv/else/x"), why="x"), "/srv/else/x lies outside"),
        (RunCommand(argv=("setpriv", "--reuid=1", "chmod", "0600", "/srv/else/x"), why="x"),
         "/srv/else/x lies outside"),
        (RunCommand(argv=("install", "-d", "/srv/new/x"), why="x"), "/srv/new/x lies outside"),
        (RunCommand(argv=("/bin/sh", "/srv/else/x"), why="x"), ""),
        (WriteFile(path="/srv/bare/x", content=b""), "holds no content of /srv/bare/x,"),
        (RunCommand(argv=("chmod", "0600", "/srv/bare/x"), why="x"), ""),
        (WriteFile(path="/srv/app/left/x", content=b""), "holds no content of /srv/app/left/x,"),
        (WriteFile(path="/srv/deep/made/x", content=b""), ""),
        (WriteFile(path="/srv/app/made/x", content=b""), ""),
        (TestRestore("d", "/srv/else/x"), "/srv/else/x lies outside"),
        (TestRestore("d", "/srv/app/x"), ""),
    ],
)  # fmt: skip
def test_only_what_is_captured_is_changed(host: Host, change: Change, why: str) -> None:
    said = refusals(host, [change], ROOTS)
    assert len(said) == bool(why)
    assert all(why in sentence for sentence in said)


def test_a_root_of_its_own_is_captured_on_any_file_system(host: Host) -> None:
    path = "/srv/app/files/x"
    assert of_paths(host, [path], [Root("/srv/app"), Root("/srv/app/files", content=True)]) == ()


@pytest.mark.parametrize(
    ("path", "why"),
    [("/etc/apache2/x", "mounted on /etc/apache2,"), ("/srv/else/x", "/srv/else/x lies outside")],
)
def test_a_transaction_is_not_begun(host: Host, tmp_path: Path, path: str, why: str) -> None:
    with pytest.raises(HostError, match=rf"{why} .* Nothing was changed\."):
        opening.begin(
            host, StateDir(tmp_path / "state"), steps=("x",), title="x", user="tester",
            named=(path,), progress=Silent(),
        )  # fmt: skip
