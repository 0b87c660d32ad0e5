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
from tests.unit.test_put_there import HOME, MINE

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
