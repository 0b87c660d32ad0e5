"""Trees, restore points of them, and the restore.sh in those run on them, for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from host.base import FileState
from host.local import LocalHost
from snapshots.captured import Captured
from snapshots.model import FileItem, Root, ValueItem
from snapshots.objects import ObjectStore
from snapshots.points import Points
from snapshots.state import StateDir

ETC = (Root("/etc", content=True),)
needs_tools = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("setfacl", "setfattr", "chattr"))),
    reason="needs root and the packages acl, attr and e2fsprogs",
)


def make_tree(tmp_path: Path) -> Path:
    etc = tmp_path / "tree" / "etc"
    (etc / "ssh" / "deep").mkdir(parents=True)
    (etc / "hosts").write_text("127.0.0.1 localhost\n")
    (etc / "ssh" / "config").write_text("Port 22\n")
    (etc / "ssh" / "key").write_text("secret\n")
    (etc / "ssh" / "key").chmod(0o600)
    (etc / "ssh" / "deep" / "with space, 100% \\ odd\nname ").write_text("odd\n")
    (etc / "link").symlink_to("hosts")
    (etc / "dangling").symlink_to("no where")
    os.mkfifo(etc / "pipe")
    return tmp_path / "tree"


def make_app(tmp_path: Path) -> Path:
    app = tmp_path / "srv" / "app"
    (app / "sub").mkdir(parents=True)
    (app / "index.php").write_text("<?php\n")
    (app / "index.php").chmod(0o644)
    (app / "sub" / "f").write_text("f\n")
    return app


def make_elsewhere(tmp_path: Path) -> Path:
    """What is none of the restore point's business, and must stay as it is."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "inner").mkdir(parents=True)
    for path in (elsewhere / "shadow", elsewhere / "inner" / "f"):
        path.write_text("not yours\n")
        path.chmod(0o640)
    if shutil.which("setfattr") and os.geteuid() == 0:
        os.setxattr(elsewhere / "shadow", "user.note", b"kept")
    return elsewhere


def make_points(tmp_path: Path) -> Points:
    state = StateDir(tmp_path / "state")
    return Points(state.points, ObjectStore(state.objects))


def capture(tree: Path, store: ObjectStore) -> Captured:
    """`tree` as if it were the root of a host."""
    files = {}
    for path, state in LocalHost().walk(str(tree / "etc"), content=True):
        if state.sha256:
            store.add(Path(path).read_bytes())
        files[path.removeprefix(str(tree))] = FileItem(state)
    return {"files": dict(files), "units": {"a.service": ValueItem("active")}}


def summary(tree: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path, state in LocalHost().walk(str(tree / "etc"), content=True):
        name = path.removeprefix(str(tree))
        found[name] = (state.kind, state.mode, state.uid, state.gid, state.sha256, state.target,
                       state.flags, state.xattrs)  # fmt: skip
    return found


def keep(points: Points, *roots: Root) -> None:
    """The restore point "one" of some trees, under their own names."""
    files = {}
    for root in roots:
        for path, state in LocalHost().walk(root.path, content=root.content):
            if state.sha256:
                points._store.add(Path(path).read_bytes())
            files[path] = FileItem(state)
    points.write("one", "host", roots, {"files": dict(files)})


def everything(tree: Path) -> dict[str, FileState]:
    return dict(LocalHost().walk(str(tree), content=True))


def run_restore(points: Points, tree: Path) -> subprocess.CompletedProcess[str]:
    script = points.path / "one" / "restore.sh"
    return subprocess.run(["/bin/sh", script, tree], capture_output=True, text=True, check=False)


def run_restore_with(
    points: Points, tree: Path, *run: str | Path
) -> subprocess.CompletedProcess[str]:
    """As `run_restore`, with another /run: what mount(8) takes for it. Needs root."""
    words = ["mount", *run, "/run"]
    script = points.path / "one" / "restore.sh"
    both = f'"$@" && exec sh "{script}" "{tree}"'
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", both, "sh", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


NO_RUN = ("-t", "tmpfs", "-o", "ro", "none")
"""A /run in which nothing can be written."""


def restore(points: Points) -> subprocess.CompletedProcess[str]:
    script = points.path / "one" / "restore.sh"
    return subprocess.run(["/bin/sh", script], capture_output=True, text=True, check=False)
