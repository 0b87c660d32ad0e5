"""Somebody's own files where packages that come put theirs are part of what is captured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host.base import CommandFailed, Completed, FileState
from host.practice import PracticeHost
from snapshots import replaced
from snapshots.model import Root
from snapshots.progress import Silent
from tests.unit.test_mounted import put

DEB = "/srv/repo/thing 1.deb"
URIS = "'file:/srv/repo/thing%201.deb' thing_1_all.deb 9 MD5Sum:x\n"
ROW = "{} root/root  9 2026-01-01 00:00 .{}\n"
CONTENTS = "".join(
    ROW.format(kind, path)
    for kind, path in (
        ("drwxr-xr-x", "/usr/bin/"),
        ("-rwxr-xr-x", "/usr/bin/thing"),
        ("-rw-r--r--", "/etc/thing.conf"),
        ("-rw-r--r--", "/usr/share/a file"),
        ("lrwxrwxrwx", "/usr/share/link -> a file"),
        ("hrw-r--r--", "/usr/share/same link to ./usr/share/a file"),
        ("-rw-r--r--", "/lib/thing/unit"),
        ("-rw-r--r--", "/usr/share/not-there"),
    )
)


class Host(PracticeHost):
    """One with programs that say what is given here."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_practice = False
        self.uris, self.owned, self.installed, self.archives = URIS, "", "", ""
        self.asked: list[list[str]] = []

    def run(self, argv: Sequence[str], **given: Any) -> Completed:
        self.asked.append(list(argv))
        said = {
            "dpkg-deb": CONTENTS,
            "apt-get": self.uris,
            "dpkg-query": self.owned,
            "apt-config": self.archives,
        }[argv[0]]
        if argv[1] == "-W":
            said = self.installed
        if said == "fails":
            raise CommandFailed(Completed(tuple(argv), 100, "", "E: no", 0.0))
        return Completed(tuple(argv), 0, said, "", 0.0)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    for path in (DEB, "/usr/bin/thing", "/etc/thing.conf", "/usr/share/a file",
                 "/usr/share/link", "/usr/share/same"):  # fmt: skip
        put(host, path)
    return host


def roots(host: Host) -> list[str]:
    found = replaced.roots(host, ("thing",), Silent())
    assert {*found} == {Root(root.path, content=True) for root in found}
    return [root.path for root in found]


def test_what_no_package_has_is_captured(host: Host) -> None:
    host.owned = "other: /usr/share/a file\n"
    assert roots(host) == ["/usr/bin/thing", "/usr/share/link", "/usr/share/same"]


def test_a_file_has_two_names_where_lib_is_a_link(host: Host) -> None:
    host.put("/lib", FileState(kind="symlink", target="usr/lib"))
    put(host, "/usr/lib/thing/unit")
    assert "/usr/lib/thing/unit" in roots(host)
    host.owned = "other: /lib/thing/unit\n"
    assert "/usr/lib/thing/unit" not in roots(host)


def test_what_is_installed_is_not_asked_for(host: Host) -> None:
    host.installed = "thing:amd64\tinstalled\t1\n"
    assert roots(host) == []
    host.installed = "thing\tconfig-files\t1\n"
    assert roots(host)


def test_where_apt_cannot_say_the_change_itself_will(host: Host) -> None:
    host.uris = "fails"
    assert roots(host) == []


def test_what_has_to_be_fetched_is_fetched_under_our_lock(host: Host) -> None:
    host.uris = "'http://deb.example/thing_1_all.deb' thing_1_all.deb 9 MD5Sum:x\n"
    host.archives = "where='/srv/arch/'\n"
    assert roots(host) == []
    put(host, "/srv/arch/thing_1_all.deb")
    assert "/usr/bin/thing" in roots(host)
    (fetched,) = [argv for argv in host.asked if "--download-only" in argv]
    assert "Debug::NoLocking=1" in fetched
