"""Which names outside /etc came with packages, and which are somebody else's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from host.base import Completed, FileState
from host.practice import PracticeHost
from snapshots import leftovers
from snapshots.model import Delta, FileItem, Root
from snapshots.progress import Silent
from snapshots.records import Records
from snapshots.recover import recover
from steps import recovery
from tests.unit.snapshots_host import Bench
from tests.unit.test_recovery_words import an_engine

DIRECTORY = FileState(kind="dir", mode=0o755)
LOG = FileState(kind="file", mode=0o640)
OF_AN_APPLICATION = FileState(kind="dir", mode=0o755, uid=33)
KNOWN = ("/var/lib/php", "/var/lib/dpkg")


class Host(PracticeHost):
    """dpkg knows `KNOWN`. `moved` to where they are with their old times: path -> when, in s."""

    moved: ClassVar[dict[str, int]] = {}

    def changed_ns(self, path: str) -> int:
        return self.moved.get(path, 0) * 10**9 or super().changed_ns(path)

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


def at(host: PracticeHost, path: str, seconds: float) -> None:
    """Make a file that was last changed then, in seconds since 1970."""
    _directories(host, path)
    host.write_file(path, b"x")
    os.utime(host.directory / f"root{path}", (seconds, seconds))


def cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, int], moved: dict[str, int]
) -> tuple[Host, list[str], list[str]]:
    """What came to a host until 100 s, and what stays there because it is younger."""
    host = Host(tmp_path)
    before = leftovers.survey(host)
    monkeypatch.setattr(Host, "moved", moved)
    for path, seconds in files.items():
        at(host, path, seconds)
    for path, state in host.walk("/", content=False):
        if state.kind == "dir":
            os.utime(host.directory / f"root{path}", (50, 50))
    return host, *leftovers.came_before_the_crash(host, before, leftovers.survey(host), 100 * 10**9)


def test_after_a_crash_what_is_younger_than_dpkgs_last_word_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"/var/lib/came": 90, "/var/lib/of-a-helper": 130}
    _, came, stays = cut_off(tmp_path, monkeypatch, files, {})
    assert (came, stays) == (["/var/lib/came"], ["/var/lib/of-a-helper"])


def test_what_was_moved_there_with_its_old_time_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"/var/lib/came": 90, "/srv/rescue.tar": 10, "/opt/tool/data": 10}
    moved = {"/srv/rescue.tar": 130, "/opt/tool": 130}
    _, came, stays = cut_off(tmp_path, monkeypatch, files, moved)
    assert (came, stays) == (["/var/lib/came"], ["/opt/tool", "/srv/rescue.tar"])


def test_in_a_packages_directory_what_was_put_there_stays_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "/var/lib/php/own": 90,
        "/var/lib/php/moved/in/data": 10,
        "/var/lib/php/deep/edit": 130,
        "/var/lib/php/deep/own": 90,
    }
    moved = {"/var/lib/php": 130, "/var/lib/php/moved": 130}
    host, came, stays = cut_off(tmp_path, monkeypatch, files, moved)
    assert came == ["/var/lib/php"]
    assert stays == ["/var/lib/php/deep/edit", "/var/lib/php/moved"]
    leftovers.remove(host, came, leftovers.states(host, stays))
    assert [path for path in files if host.state(path) is not None] == [
        "/var/lib/php/moved/in/data",
        "/var/lib/php/deep/edit",
    ]
    assert "/var/lib/php/deep/edit, /var/lib/php/moved came or was" in leftovers.left_there(
        host, [*stays, *stays]
    )


def test_what_was_moved_there_after_an_undo_stays_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"/var/lib/php/own": 90, "/var/lib/php/moved/data": 10, "/var/lib/php/edit": 130}
    host, _, _ = cut_off(tmp_path, monkeypatch, files, {})
    monkeypatch.setattr(Host, "moved", {"/var/lib/php": 130, "/var/lib/php/moved": 130})
    leftovers.remove(host, ["/var/lib/php"], until_ns=100 * 10**9)
    assert host.listdir("/var/lib/php") == ["edit", "moved"]
    assert host.listdir("/var/lib/php/moved") == ["data"]


def test_what_dpkg_says_it_is_about_to_do_is_its_last_word(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    assert leftovers.cut_off_ns(host, 0.0) == 0
    at(host, leftovers.DPKG_STATUS, 100.0)
    assert leftovers.cut_off_ns(host, 0.0) == 100 * 10**9
    at(host, f"{leftovers.DPKG_UPDATES}/0001", 130.0)
    at(host, f"{leftovers.DPKG_UPDATES}/0000", 120.0)
    assert leftovers.cut_off_ns(host, 0.0) == 130 * 10**9


@pytest.mark.parametrize(("began_s", "until_s"), [(90.0, 150), (160.0, 130)])
def test_before_a_new_start_of_the_host_nobody_came_to_help(
    tmp_path: Path, began_s: float, until_s: int
) -> None:
    host = PracticeHost(tmp_path)
    at(host, leftovers.DPKG_STATUS, 100.0)
    at(host, f"{leftovers.DPKG_UPDATES}/0001", 130.0)
    at(host, "/proc/stat", 0.0)
    host.write_file("/proc/stat", b"cpu  1 2 3\nbtime 150\nprocesses 4\n")
    assert leftovers.cut_off_ns(host, began_s) == until_s * 10**9


@pytest.mark.parametrize("booted", [False, True])
def test_recover_names_what_it_leaves(tmp_path: Path, booted: bool) -> None:
    bench = Bench(tmp_path)
    host, records = bench.host, Records(bench.state)
    tx = bench.begin("s")
    records.keep_names(tx.id, leftovers.survey(host))
    began_s = datetime.fromisoformat(tx.record.started).timestamp()
    at(host, leftovers.DPKG_STATUS, began_s + 1)
    at(host, "/var/lib/of-the-first", began_s + 2)
    at(host, f"{leftovers.DPKG_UPDATES}/0004", began_s + 3)
    at(host, "/var/lib/of-the-running", began_s + 4)
    at(host, "/var/lib/later", began_s + 9)
    if booted:
        at(host, "/proc/stat", 0.0)
        host.write_file("/proc/stat", b"btime %d\n" % (began_s + 7))
    tx._held.close()  # as where the process ended

    status, said, _ = recovery.recover(an_engine(bench))
    left = ["/var/lib/later", *([] if booted else ["/var/lib/of-the-running"])]
    assert status == 0
    assert f"{', '.join(left)} came or was changed after dpkg's last word before" in said
    assert (
        f"{', '.join(left)} came or was changed after dpkg's last word"
        in records.read(tx.id).reason
    )
    assert [path for path in left if host.state(path)] == left
    assert host.state("/var/lib/of-the-first") is None
    assert (host.state("/var/lib/of-the-running") is None) == booted


def test_what_went_by_itself_is_not_named(tmp_path: Path) -> None:
    host = PracticeHost(tmp_path)
    assert leftovers.left_there(host, ["/var/lib/gone"]) == ""
    names = [f"/var/lib/{number}" for number in range(leftovers.NAMED + 2)]
    for name in names:
        at(host, name, 1.0)
    assert f"{names[leftovers.NAMED - 1]} and 2 more came" in leftovers.left_there(host, names)


def test_nothing_is_said_where_nothing_is_left(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    tx = bench.begin("s")
    Records(bench.state).keep_names(tx.id, leftovers.survey(bench.host))
    tx._held.close()
    (ended,) = recover(bench.host, bench.state, Silent())
    assert ended.status == "rolled-back" and "dpkg" not in ended.reason
