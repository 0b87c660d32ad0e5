"""What other packages have of a transaction's files by now stays with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from host.base import Completed, OnLine
from host.practice import PracticeHost
from snapshots import dependencies
from snapshots.captured import Captured
from snapshots.decision import Kept, Later, by_key
from snapshots.model import Delta, Item, TransactionRecord, ValueItem
from snapshots.package_owners import AT_ONCE, new_files, owners, with_owners
from tests.unit.undo_world import directory, text

CONF = "/etc/extra/extra.conf"
MADE = "/etc/extra/made"
DATA = "/var/lib/extra"


class Dpkg(PracticeHost):
    """A host on which dpkg knows these packages and their files."""

    owned: Mapping[str, tuple[str, ...]] = {}
    relations = ""
    asked = 0

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float = 30.0,
        env: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
        ok: Iterable[int] | None = (0,),
    ) -> Completed:
        out = ""
        if tuple(argv) == dependencies.QUERY:
            out = self.relations
        elif "-S" in argv:
            self.asked += 1
            for path in argv[2:]:
                names = [name for name, paths in self.owned.items() if path in paths]
                out += f"{', '.join(names)}: {path}\n" if names else ""
        elif "-L" in argv:
            out = "".join(f"{path}\n" for name in argv[2:] for path in self.owned.get(name, ()))
        return Completed(tuple(argv), 0, out, "", 0.0)


def package(version: str, status: str = "manual") -> Item:
    return ValueItem(f"{version};{status}")


NEW = [
    Delta("files", "/etc/extra", None, directory()),
    Delta("files", CONF, None, text("one\n")),
    Delta("files", MADE, None, text("made\n")),
    Delta("files", DATA, None, directory()),
    Delta("packages", "extra", None, package("1")),
]


def kept(
    host: Dpkg,
    now: dict[str, Item],
    before: dict[str, Item] | None = None,
    later: Sequence[Later] = (),
    declared: frozenset[str] = frozenset(),
) -> Kept:
    files = {one.key: one.after for one in NEW if one.domain == "files" and one.after is not None}
    current: Captured = {"files": files, "packages": now}
    known = owners(host, new_files(NEW, current, declared) | {DATA})
    return with_owners(
        host, Kept(), NEW, later, current, declared, known, [DATA], before=lambda: before or {}
    )


@pytest.fixture
def host(tmp_path: Path) -> Dpkg:
    return Dpkg(tmp_path)


def test_a_file_that_moved_to_another_package_in_an_upgrade_is_that_ones(host: Dpkg) -> None:
    host.owned = {"extra": ("/etc/extra", CONF), "extra-common": ("/etc/extra", CONF)}
    found = kept(host, {"extra": package("2"), "extra-common": package("2", "auto")})
    assert found.files == {CONF: "extra-common"}  # the directory stays with it anyway
    assert (found.heirs, found.places) == ({}, {})


def test_an_empty_directory_that_another_package_has_is_that_ones(host: Dpkg) -> None:
    host.owned = {"other": ("/etc/extra",)}
    found = kept(host, {"extra": package("1"), "other": package("1")})
    assert found.files == {"/etc/extra": "other"}


@pytest.mark.parametrize(
    ("then", "now", "stays"),
    [
        ("2", "2", False),  # it had the file before, which somebody had removed
        ("1", "2", True),
        (None, "2", True),
        (None, None, False),  # removed again
    ],
)
def test_a_package_that_was_there_before_takes_nothing_over(
    host: Dpkg, then: str | None, now: str | None, stays: bool
) -> None:
    host.owned = {"other": (CONF,)}
    before = {"other": package(then)} if then else {}
    there = {"extra": package("1"), "other": package(now) if now else ValueItem("config-files")}
    assert kept(host, there, before).files == ({CONF: "other"} if stays else {})


def test_what_the_step_names_itself_is_its_own(host: Dpkg) -> None:
    host.owned = {"other": (CONF,)}
    there = {"extra": package("1"), "other": package("1")}
    assert kept(host, there, declared=frozenset({CONF})).files == {}


@pytest.mark.parametrize("left", [{"extra": ValueItem("config-files")}, {}])
@pytest.mark.parametrize(
    ("relations", "has"),
    [("extra\t\t\t\t", False), ("\t\t\t\textra", False), ("\t\t\t\t", True)],
    ids=["provides", "replaces", "has its files"],
)
def test_what_came_in_place_of_a_package_keeps_its_data(
    host: Dpkg, left: dict[str, Item], relations: str, has: bool
) -> None:
    host.owned = {"extra-ng": ("/etc/extra", *([CONF] if has else []))}
    host.relations = f"extra-ng\tinstalled\t{relations}\n"
    found = kept(host, {**left, "extra-ng": package("1")})
    assert found.places == {DATA: "extra-ng"}
    assert found.files[MADE] == found.files[DATA] == "extra-ng"
    # While its own package is there, only what the other one has stays.
    still = kept(host, {"extra": package("1"), "extra-ng": package("1")})
    assert MADE not in still.files and DATA not in still.files


def test_taking_over_files_of_older_versions_is_not_coming_in_place(host: Dpkg) -> None:
    host.relations = "extra-common\tinstalled\t\t\t\t\textra (<< 2)\n"
    assert kept(host, {"extra-common": package("1")}) == Kept()


def test_of_two_packages_only_the_one_that_is_gone_has_a_successor(host: Dpkg) -> None:
    """Another took over a file of the one that is still there."""
    both = [*NEW, Delta("packages", "thing", None, package("1"))]
    both.append(Delta("files", "/var/lib/thing", None, directory()))
    host.owned = {"extra-common": (CONF,)}
    host.relations = "".join(
        f"{name}\tinstalled\t{provides}\t\t\t\t\n"
        for name, provides in (("extra-common", ""), ("ng", "thing"))
    )
    there = {"extra": package("2"), "extra-common": package("2"), "ng": package("1")}
    files = {one.key: one.after for one in both if one.domain == "files" and one.after is not None}
    current: Captured = {"files": files, "packages": there}
    came = [DATA, "/var/lib/thing"]
    known = owners(host, new_files(both, current, ()))
    found = with_owners(host, Kept(), both, (), current, (), known, came, before=dict)
    assert found.files == {CONF: "extra-common", "/var/lib/thing": "ng"}
    assert found.places == {"/var/lib/thing": "ng"}


def test_what_a_window_brought_inherits_it(host: Dpkg) -> None:
    host.owned = {"extra-common": (CONF,)}
    window = TransactionRecord(
        id="2", kind="window", steps=(), title="Update window", status="committed", started=""
    )
    theirs = Delta("packages", "extra-common", None, package("2"))
    there = {"extra": package("2"), "extra-common": package("2")}
    found = kept(host, there, later=[Later(window, by_key([theirs]))])
    assert found.heirs == {"extra-common": "2"}


def test_thousands_of_paths_are_asked_at_once(host: Dpkg) -> None:
    host.owned = {"big": tuple(f"/etc/big/{number}" for number in range(AT_ONCE + 1))}
    paths = {*host.owned["big"], "/etc/other"}
    assert len(owners(host, paths)) == AT_ONCE + 1
    assert host.asked == 2
    assert owners(host, ()) == {} and host.asked == 2


def test_nothing_is_asked_where_no_package_changed() -> None:
    files = {"/etc/mine": text("x\n")}
    deltas = [Delta("files", "/etc/mine", None, text("x\n"))]
    assert new_files(deltas, {"files": dict(files), "packages": {}}, ()) == set()
