"""Copies for a program to try out: gone afterwards, also where the disk refuses once."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.base import FileState, HostError
from host.practice import PracticeHost
from steps.private_copy import private_copy, take_away


class Refusing(PracticeHost):
    """Refuses to remove each path so many times."""

    times = 1

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.refused: dict[str, int] = {}

    def put(
        self,
        path: str,
        wanted: FileState | None,
        content: bytes | None = None,
        *,
        within: str = "",
    ) -> None:
        if wanted is None and self.refused.setdefault(path, 0) < self.times:
            self.refused[path] += 1
            raise HostError(f"{path} could not be removed: Input/output error")
        super().put(path, wanted, content, within=within)


def test_a_copy_goes_although_the_disk_refuses_once(tmp_path: Path) -> None:
    host = Refusing(tmp_path / "practice")
    with private_copy(host, "/etc/copy-", "text\n") as path:
        assert host.read_bytes(path) == b"text\n"
    assert host.state(path) is None


def test_a_directory_goes_after_what_is_in_it(tmp_path: Path) -> None:
    host = Refusing(tmp_path / "practice")
    host.put("/etc/copies", FileState(kind="dir", mode=0o700))
    host.write_file("/etc/copies/0.conf", b"", FileState(kind="file", mode=0o600))
    take_away(host, "/etc/copies/0.conf", "/etc/copies")
    assert host.state("/etc/copies") is None


def test_what_the_disk_refuses_for_good_is_said(tmp_path: Path) -> None:
    host = Refusing(tmp_path / "practice")
    host.times = 9
    host.write_file("/etc/copy", b"", FileState(kind="file", mode=0o600))
    with pytest.raises(HostError, match="/etc/copy could not be removed"):
        take_away(host, "/etc/copy")
