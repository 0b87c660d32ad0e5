"""Names that are not UTF-8 in directories that came with packages: they stop no way back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from host import command
from host.base import Completed
from host.practice import PracticeHost
from snapshots import leftovers
from snapshots.package_owners import owners
from tests.unit.snapshots_host import Bench
from tests.unit.test_mounted import put
from tests.unit.test_put_since import ALL, back_with, dies, kills, waits
from tests.unit.test_put_there import HOME, MINE, applied, takes

LATIN = HOME + "/" + os.fsdecode(b"caf\xe9")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Programs are given no argument that the real host would refuse; what dpkg was asked."""
    asked: list[tuple[str, ...]] = []
    real = PracticeHost.run

    def run(host: PracticeHost, argv: tuple[str, ...], **how: object) -> Completed:
        command._require_words(argv)
        if tuple(argv[:2]) == ("dpkg-query", "-S"):
            asked.append(tuple(argv[2:]))
        return real(host, argv, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(PracticeHost, "run", run)
    return asked


def test_dpkg_is_asked_of_no_name_that_is_not_utf8(
    bench: Bench, strict: list[tuple[str, ...]]
) -> None:
    put(bench.host, LATIN)
    put(bench.host, MINE)
    owners(bench.host, [LATIN, MINE])
    assert leftovers._known_to_dpkg(bench.host, [LATIN, MINE]) == set()
    assert strict == [(MINE,), (MINE,)]


def test_a_name_that_is_not_utf8_stops_no_undo(bench: Bench, strict: list[tuple[str, ...]]) -> None:
    made = applied(bench)
    put(bench.host, LATIN)
    ended = bench.undo(made, prove=lambda: takes(bench, LATIN, *ALL))
    assert ended.status == "committed"
    assert f"{HOME}/caf\\xe9" in ended.reason
    assert bench.host.listdir(HOME) == sorted(["my_check.sh", LATIN.rpartition("/")[2]])


@pytest.mark.parametrize("kills_first", [True, False])
def test_a_name_that_is_not_utf8_stops_no_waiting_change(
    bench: Bench, strict: list[tuple[str, ...]], kills_first: bool
) -> None:
    waits(bench)
    put(bench.host, LATIN)
    takes(bench, MINE)
    if kills_first:
        dies(bench, lambda: back_with(bench, kills))
    ended = back_with(bench, lambda: takes(bench, LATIN, *ALL[1:]))
    assert ended.status == "rolled-back" and f"{HOME}/caf\\xe9." in ended.reason
    assert bench.read(LATIN) == "x"
