"""The deadline passes while the disk is full or read-only: the old way in comes back even so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.disks import DiskHost
from tests.hosts.lockout import GUARD, begin, last_status, situation
from tests.hosts.program import harden

pytestmark = pytest.mark.either_release

STATE = "/var/lib/harden-tui"
STEP = "ssh.root-login"
WITHIN_S = 60.0


@pytest.fixture
def state_disk(suite: str, installed: Path) -> Iterator[DiskHost]:
    """A host whose state directory has a small disk of its own."""
    host = DiskHost(suite, installed, STATE, 60)
    with host:
        yield host


@pytest.fixture
def only_disk(suite: str, installed: Path) -> Iterator[DiskHost]:
    """A host with one small disk for all that it writes."""
    host = DiskHost(suite, installed)
    with host:
        yield host


def until(what: str, is_so: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    until_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < until_s, what
        time.sleep(0.5)


def comes_in(host: DiskHost) -> Callable[[], bool]:
    """Whether root, whom the step keeps out, logs in."""
    return lambda: host.can_log_in("root")


def marks(host: DiskHost) -> set[str]:
    return {path.name for path in (host.root / GUARD[1:]).iterdir()}


def test_the_state_directory_is_full(state_disk: DiskHost, request: pytest.FixtureRequest) -> None:
    host = state_disk
    with situation(request, host, "the state directory's disk is full"):
        begin(host, STEP)
        host.fill()
        assert not host.can_log_in("root")
        until("root never came in again", comes_in(host))
        until("it stayed armed", lambda: "armed" not in marks(host))
        said = host.run("harden-tui", "confirm", "--status").stdout
        assert f"{STEP}: not confirmed, and the restore points were put back" in said
        host.make_room()
        said = harden(host, "recover", "--yes").stdout
        assert f"Brought back to the state before: {STEP}" in said
        # What had to go to /run is beside the other things of its restore point now.
        (aside,) = (host.root / f"{STATE[1:]}/snapshots/points").glob("*/set-aside.1")
        where = f"/{aside.relative_to(host.root)}"
        assert where in "".join(said.split())  # longer than a line
        assert list((aside / "etc/ssh/sshd_config.d").iterdir()) != []
    assert last_status(host)[0] == "rolled-back"


def test_the_state_directory_is_read_only(state_disk: DiskHost) -> None:
    """Nothing can be marked there, so the switch is on still when the host starts anew."""
    host = state_disk
    host.person.present = False
    begin(host, STEP)
    host.make_read_only()
    until("root never came in again", comes_in(host))
    until(
        "it was never said",
        lambda: "were put back" in host.run("harden-tui", "confirm", "--status").stdout,
    )
    host.start_again()
    until("root never came in again after the boot", comes_in(host))


def test_the_only_disk_is_full(only_disk: DiskHost, request: pytest.FixtureRequest) -> None:
    host = only_disk
    with situation(request, host, "the only disk is full", same=False):
        begin(host, STEP)
        host.fill()
        assert not host.can_log_in("root")
        until("root never came in again", comes_in(host))
        host.make_room()
        until("it stayed armed", lambda: "armed" not in marks(host), 90.0)
        host.run("harden-tui", "recover", "--yes")
    assert last_status(host)[0] == "rolled-back"


def test_the_only_disk_is_read_only(only_disk: DiskHost) -> None:
    """Nothing can go back then, so the switch stays on, and that is said."""
    host = only_disk
    host.person.present = False
    begin(host, STEP)
    host.make_read_only()
    time.sleep(25)
    assert "armed" in marks(host)
    said = host.run("harden-tui", "confirm", "--status", check=False).stdout
    assert f"{STEP}: not confirmed before its deadline, and being taken back." in said
    assert "it is tried again every minute" in said
