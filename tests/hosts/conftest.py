"""Fixtures for real hosts; where they cannot run, they are left out (tests/conftest.py says so,
and fails where they are required)."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.base import LAB, SUITES, base, missing
from tests.hosts.lab import LabHost, installed_layer
from tests.hosts.program import furnish

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

EVERYWHERE = "HARDEN_TUI_EVERYWHERE"
"""Set by `make test-everywhere`."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests of this folder out where the machine cannot boot a host."""
    reason = missing()
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.hosts)
    # Of those that failed last time all ran: counted anew, some of them would be left out.
    all_of_them = EVERYWHERE in os.environ or config.getoption("lf", False)
    left_out = ours if reason else [] if all_of_them else _on_the_other_release(ours)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def _on_the_other_release(items: list[pytest.Item]) -> list[pytest.Item]:
    """Of the situations that one test lists, every other is tried on one release, the rest on the
    other; so are the tests of a file marked `either_release`. All of them on both with `make
    test-everywhere`, or marked `every_release`."""
    numbers: dict[tuple[Path, str], dict[str, int]] = {}
    left_out = []
    for item in items:
        spec = getattr(item, "callspec", None)
        if spec is None or "suite" not in spec.params or item.get_closest_marker("every_release"):
            continue
        suite = spec.params["suite"]
        test = item.name.partition("[")[0]
        name = "-".join(part for part in spec.id.split("-") if part != suite)
        if set(spec.params) == {"suite"}:
            if not item.get_closest_marker("either_release"):
                continue
            name, test = test, ""
        seen = numbers.setdefault((item.path, test), {})
        if (seen.setdefault(name, len(seen)) + SUITES.index(suite)) % 2:
            left_out.append(item)
    return left_out


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each Debian release in turn."""
    name: str = request.param
    base(name)
    return name


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    """The .deb of each release, built from this tree (`HARDEN_TUI_DEBS` names a folder of them)."""
    given = os.environ.get("HARDEN_TUI_DEBS")
    folder = Path(given) if given else _built_once()
    return {
        name: next(folder.glob(f"harden-tui_*+deb{number}_*.deb"))
        for name, number in (("bookworm", 12), ("trixie", 13))
    }


def _built_once() -> Path:
    """Built by the first of this run's processes that asks; the others wait."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = LAB / f"debs-{run}"
    LAB.mkdir(parents=True, exist_ok=True)
    with (LAB / "debs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            for old in LAB.glob("debs-*"):
                if old.stat().st_mtime < time.time() - 86400:
                    shutil.rmtree(old)
            subprocess.run(
                [sys.executable, str(ROOT / "packaging/build_deb.py"), "--out", str(folder)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            (folder / "complete").touch()
    return folder


@pytest.fixture
def blank(suite: str) -> Iterator[LabHost]:
    """A fresh host without our program."""
    with LabHost(suite) as host:
        yield host


@pytest.fixture(scope="session")
def installed(suite: str, packages: dict[str, Path]) -> Path:
    """The layer of a host on which our package was installed; made once per run and release."""
    package = packages[suite]
    mark = (
        f"{package.stat().st_mtime_ns:x}-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    )
    place = LAB / "layers" / f"{suite}-{mark}"
    place.parent.mkdir(exist_ok=True)
    with (LAB / "layers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            for old in (LAB / "layers").iterdir():
                if old.stat().st_mtime < time.time() - 86400:
                    shutil.rmtree(old)
            installed_layer(suite, package, place)
            (place / "complete").touch()
    return place / "upper"


@pytest.fixture
def host(suite: str, installed: Path) -> Iterator[LabHost]:
    """A fresh host with our package installed by apt (test_install.py does so on a running one)."""
    with LabHost(suite, installed) as host:
        yield host


@pytest.fixture(scope="module")
def worn(suite: str, installed: Path) -> Iterator[LabHost]:
    """A furnished host that the tests of one file share; each leaves it as it found it."""
    with LabHost(suite, installed) as host:
        furnish(host)
        yield host
