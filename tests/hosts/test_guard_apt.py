"""The deadline passes while another package tool holds dpkg's lock, at a question of its own."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.lockout import GUARD, begin, last_status, situation, until_taken_back

pytestmark = pytest.mark.either_release

HOLD = (
    "import fcntl, time; lock = open('/var/lib/dpkg/lock-frontend', 'w');"
    " fcntl.lockf(lock, fcntl.LOCK_EX); print('held', flush=True); time.sleep(900)"
)


@contextlib.contextmanager
def dpkg_locked(host: LabHost) -> Iterator[None]:
    argv = ["nsenter", "-t", str(host.leader), "-a", "--", "python3", "-c", HOLD]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            host.run("pkill", "-KILL", "-f", "lock-frontend")


def test_a_step_of_files_does_not_wait(host: LabHost, request: pytest.FixtureRequest) -> None:
    with situation(request, host, "ssh.root-login, dpkg's lock held"):
        begin(host, "ssh.root-login")
        with dpkg_locked(host):
            assert not host.can_log_in("root")
            until_taken_back(host, lambda: host.can_log_in("root"))
    assert last_status(host)[0] == "rolled-back"


def test_a_step_of_packages_waits_only_for_them(
    host: LabHost, request: pytest.FixtureRequest
) -> None:
    """The files and the packet filter are back at once, the package goes when dpkg is free."""
    with situation(request, host, "firewall.ufw, dpkg's lock held"):
        host.run(
            "harden-tui", "apply", "firewall.ufw", "--yes", "--no-wait", "--confirm-within", "10s",
            "--set", "firewall.ufw.from=192.0.2.7",
        )  # fmt: skip
        with dpkg_locked(host):
            assert not host.can_log_in()
            until_in(host, 100.0)
        host.run("harden-tui", "recover", "--yes")
    assert last_status(host)[0] == "rolled-back"


def until_in(host: LabHost, within_s: float) -> None:
    until_s = time.monotonic() + within_s
    while not host.can_log_in():
        log = host.root / GUARD[1:] / "fired.log"
        assert time.monotonic() < until_s, log.read_text() if log.exists() else "it never fired"
        time.sleep(0.5)
    while not (host.root / GUARD[1:] / "by-script").exists():
        assert time.monotonic() < until_s, "it was never said"
        time.sleep(0.5)
