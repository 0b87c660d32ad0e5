"""Fixtures for real hosts; where they cannot run, one line says how to get them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.base import LAB, SUITES, base, missing
from tests.hosts.lab import LabHost

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests of this folder out where the machine cannot boot a host."""
    reason = missing()
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.hosts)
    if reason:
        kept = [item for item in items if item not in ours]
        config.hook.pytest_deselected(items=ours)
        items[:] = kept
        config.stash[_REASON] = f"{len(ours)} left out: {reason}"


_REASON = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reason = terminalreporter.config.stash.get(_REASON, "")
    if reason:
        terminalreporter.write_line(reason)


@pytest.fixture(scope="session", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each Debian release in turn."""
    name: str = request.param
    base(name)
    return name


@pytest.fixture(scope="session")
def packages() -> dict[str, Path]:
    """The .deb of each release, built from this tree (`HARDEN_TUI_DEBS` names a folder of them)."""
    folder = Path(os.environ.get("HARDEN_TUI_DEBS", LAB / f"debs-{os.getpid()}"))
    if "HARDEN_TUI_DEBS" not in os.environ:
        subprocess.run(
            [sys.executable, str(ROOT / "packaging/build_deb.py"), "--out", str(folder)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    found = {}
    for name, number in (("bookworm", 12), ("trixie", 13)):
        found[name] = next(folder.glob(f"harden-tui_*+deb{number}_*.deb"))
    return found


@pytest.fixture
def blank(suite: str) -> Iterator[LabHost]:
    """A fresh host without our program."""
    with LabHost(suite) as host:
        yield host


@pytest.fixture
def host(blank: LabHost, packages: dict[str, Path]) -> LabHost:
    """A fresh host with our package installed, as an administrator would install it."""
    blank.install(packages[blank.suite])
    return blank
