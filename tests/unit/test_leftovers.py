"""Which names outside /etc came with packages, and which are somebody else's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from host.base import Completed, FileState
from host.practice import PracticeHost
from snapshots import leftovers
from snapshots.model import Delta, FileItem, Root

DIRECTORY = FileState(kind="dir", mode=0o755)
LOG = FileState(kind="file", mode=0o640)
OF_AN_APPLICATION = FileState(kind="dir", mode=0o755, uid=33)
KNOWN = ("/var/lib/php", "/var/lib/dpkg")


class Host(PracticeHost):
    """dpkg knows `KNOWN`."""

    def run(self, argv: Sequence[str], **options: Any) -> Completed:
        if tuple(argv[:2]) != ("dpkg-query", "-S"):
            return super().run(argv, **options)
        found = "".join(f"some-package: {path}\n" for path in argv[2:] if path in KNOWN)
        return Completed(tuple(argv), 0, found, "", 0.0)


BEFORE = {
    "/var/lib/php": DIRECTORY,
    "/var/lib/php/modules": DIRECTORY,
    "/var/lib/application": DIRECTORY,
    "/var/lib/other": OF_AN_APPLICATION,
    "/var/lib/dpkg": DIRECTORY,
    "/var/lib/dpkg/alternatives": DIRECTORY,
}


@pytest.mark.parametrize(
    ("new", "counted"),
    [
        ({"/var/log/php-fpm.log": LOG}, ["/var/log/php-fpm.log"]),
        ({"/var/lib/php/modules/fpm": DIRECTORY}, ["/var/lib/php/modules/fpm"]),
        ({"/var/lib/dpkg/alternatives/x": LOG}, ["/var/lib/dpkg/alternatives/x"]),
        # An application writes while apt runs: dpkg does not know it, or root does not own it.
        ({"/var/lib/application/upload": LOG}, []),
        ({"/var/lib/other/upload": LOG}, []),
        # What is below something new goes with it; a name that only begins alike does not.
        (
            {"/var/lib/new": DIRECTORY, "/var/lib/new/data": LOG, "/var/lib/new-er": DIRECTORY},
            ["/var/lib/new", "/var/lib/new-er"],
        ),
    ],
)
def test_what_came_with_packages(
    tmp_path: Path, new: dict[str, FileState], counted: list[str]
) -> None:
    assert leftovers.came(Host(tmp_path), BEFORE, {**BEFORE, **new}) == counted


def test_a_survey_leaves_out_what_comes_by_itself(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    names = (
        "/var/log/syslog.1", "/var/log/apt/term.log", "/var/log/ufw.log.2.gz", "/var/log/auth.log",
        "/var/lib/mysql/ibdata1", "/var/lib/dpkg/status", "/var/lib/harden-tui/key",
        "/var/lib/dpkg/alternatives/editor", "/var/lib/fail2ban/fail2ban.sqlite3",
        "/var/log/fail2ban.log",
    )  # fmt: skip
    for name in names:
        _directories(host, name)
        host.write_file(name, b"x")
    found = leftovers.survey(host)
    assert {name for name in names if name in found} == set(names[-3:])


def _directories(host: PracticeHost, path: str) -> None:
    above = path.rpartition("/")[0]
    if above and host.state(above) is None:
        _directories(host, above)
        host.put(above, DIRECTORY)


def test_removing_takes_what_came_later_and_leaves_what_stays(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    for name in ("/var/lib/new/a/later", "/var/lib/new/b/kept"):
        _directories(host, name)
        host.write_file(name, b"x")
    leftovers.remove(host, ["/var/lib/new"], staying=["/var/lib/new/b/kept"])
    assert host.listdir("/var/lib/new") == ["b"]
    leftovers.remove(host, ["/var/lib/new"])
    assert host.state("/var/lib/new") is None


def test_only_what_lies_outside_of_the_captured_trees() -> None:
    deltas = [
        Delta("files", "/etc/new", None, FileItem(LOG)),
        Delta("files", "/srv/app/new", None, FileItem(LOG)),
        Delta("files", "/var/log/new.log", None, FileItem(LOG)),
        Delta("files", "/var/log/was-there", FileItem(LOG), FileItem(LOG)),
    ]
    assert leftovers.tops_of(deltas, (Root("/srv/app", content=True),)) == ["/var/log/new.log"]


def test_after_a_crash_what_is_younger_than_dpkgs_last_word_stays(tmp_path: Path) -> None:
    old = FileState(kind="dir", mode=0o755, mtime_ns=10)
    young = FileState(kind="dir", mode=0o755, mtime_ns=30)
    found = {**BEFORE, "/var/lib/came": old, "/var/lib/of-a-helper": young}
    host = Host(tmp_path)
    assert leftovers.came_before_the_crash(host, BEFORE, found, 20) == ["/var/lib/came"]
