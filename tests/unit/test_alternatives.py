"""A group of alternatives stays while anybody else has a program in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import FileState
from snapshots.alternatives import parse, shared
from snapshots.captured import Captured
from snapshots.model import Delta
from tests.unit.test_package_owners import Dpkg
from tests.unit.undo_world import text

GROUP = "/var/lib/dpkg/alternatives/editor"
ONE, TWO = "/usr/bin/one", "/usr/bin/two"
SOCKET, OTHERS_SOCKET = "/run/one.sock", "/run/two.sock"
MADE = (TWO, SOCKET, OTHERS_SOCKET)
HEAD = "auto\n/usr/bin/editor\neditor.1.gz\n/usr/share/man/man1/editor.1.gz\n\n"
OF_ONE = f"{ONE}\n10\n/usr/share/man/man1/one.1.gz\n"
OF_TWO = f"{TWO}\n5\n\n"
FILES = {GROUP, "/etc/alternatives/editor", "/etc/alternatives/editor.1.gz"}


def test_a_group_is_read() -> None:
    assert parse(f"{HEAD}{OF_ONE}{OF_TWO}\n") == (["editor.1.gz"], [ONE, TWO])
    assert parse(f"manual\n/usr/bin/editor\n\n{ONE}\n10\n\n") == ([], [ONE])
    assert parse("damaged") == ([], [])


@pytest.mark.parametrize(
    ("programs", "owned", "stays"),
    [
        (OF_ONE, {"one": (ONE,)}, False),
        (OF_ONE + OF_TWO, {"one": (ONE,), "two": (TWO,)}, True),
        (OF_ONE + OF_TWO, {"one": (ONE, TWO)}, False),
        (OF_ONE + OF_TWO, {"one": (ONE,)}, True),  # an administrator's own
        (OF_ONE + "/usr/bin/gone\n5\n\n", {"one": (ONE,)}, False),
        (f"{SOCKET}\n5\n\n", {}, False),
        (f"{OTHERS_SOCKET}\n5\n\n", {}, True),
    ],
)
def test_what_others_registered_in_stays(
    tmp_path: Path, programs: str, owned: dict[str, tuple[str, ...]], stays: bool
) -> None:
    host = Dpkg(tmp_path)
    host.owned = owned
    for path, content in ((GROUP, f"{HEAD}{programs}\n"), *((path, "") for path in MADE)):
        names = path.split("/")[1:-1]
        for depth in range(1, len(names) + 1):
            above = f"/{'/'.join(names[:depth])}"
            if host.state(above) is None:
                host.put(above, FileState(kind="dir", mode=0o755))
        host.write_file(path, content.encode())
    current: Captured = {"files": {GROUP: text("x")}}
    deltas = [Delta("files", GROUP, None, text("x"))]
    assert shared(host, deltas, current, {"one"}) == (FILES if stays else set())
    assert shared(host, deltas, current, ()) == set()
