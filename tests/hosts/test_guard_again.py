"""A guard after one that failed, and one over a soft reboot: what waits is taken back even so."""

from __future__ import annotations

import time

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.lockout import GUARD, begin, last_status, situation, until_taken_back
from tests.hosts.program import harden

FIRST, SECOND = "ssh.forwarding", "ssh.limits"


@pytest.mark.either_release
def test_what_follows_a_take_back_that_failed(
    host: LabHost, request: pytest.FixtureRequest
) -> None:
    """Its journal is damaged for a while, and cron, which ran masked, cannot be started."""
    host.run("systemctl", "mask", "cron")
    with situation(request, host, "a take-back failed before", same=False):
        (tx_id,) = begin(host, FIRST)["transactions"]
        journal = host.root / f"var/lib/harden-tui/transactions/{tx_id}/journal.jsonl"
        journal.write_bytes(journal.read_bytes().replace(b"change", b"chance", 1))
        host.run("systemctl", "stop", "cron")
        until_s = time.monotonic() + 60
        while not (host.root / GUARD[1:] / "by-script").exists():
            assert time.monotonic() < until_s, "nothing took it back"
            time.sleep(0.5)
        refused = harden(host, "apply", SECOND, "--yes", "--no-wait", check=False)
        assert refused.returncode == 3, refused.stdout + refused.stderr
        said = " ".join((refused.stdout + refused.stderr).split())
        assert f"{FIRST}: not confirmed, and the restore points were put back" in said
        assert "Run `harden-tui recover` to complete it. Nothing was changed now." in said
        failed = harden(host, "recover", "--yes", check=False)
        assert failed.returncode == 5 and "journal.jsonl was altered" in failed.stdout
        begin(host, SECOND)
        assert "maxsessions 4\n" in host.out("sshd", "-T")
        until_taken_back(host, host.can_log_in)
        assert "maxsessions 10\n" in host.out("sshd", "-T")
        status, reason = last_status(host)
        assert (status, reason) == ("rolled-back", "Nobody confirmed it before its deadline.")
        journal.write_bytes(journal.read_bytes().replace(b"chance", b"change", 1))
        done = " ".join(harden(host, "recover", "--yes").stdout.split())
        assert f"Brought back to the state before: {FIRST}." in done
        assert "cron.service ran before although it is masked" in done
    assert harden(host, "recover", "--yes").stdout.startswith("Nothing was interrupted")


@pytest.mark.every_release
def test_a_soft_reboot(host: LabHost, request: pytest.FixtureRequest) -> None:
    """It ends the detached shell, begins the timer anew, and is the same boot for the kernel."""
    if host.suite == "bookworm":
        pytest.skip("its systemd has no soft reboot")
    with situation(request, host, "soft reboot"):
        harden(host, "apply", SECOND, "--yes", "--no-wait", "--confirm-within", "1h")
        # In a container its manager takes up to 90 s to stop.
        host.run("systemctl", "kill", "-s", "KILL", "user@1000.service", check=False)
        host.run("systemctl", "soft-reboot")
        until_s = time.monotonic() + 60
        boot = "harden-tui-guard-boot.service"
        while host.run("systemctl", "is-active", boot, check=False).stdout != "active\n":
            assert time.monotonic() < until_s, "the unit for the next boot does not wait"
            time.sleep(0.5)
        while host.run("systemctl", "is-system-running", check=False).stdout == "starting\n":
            assert time.monotonic() < until_s, "what waits holds up the boot"
            time.sleep(0.5)
        harden(host, "confirm", "--extend", "10s")
        until_taken_back(host, host.can_log_in)
        assert "maxsessions 10\n" in host.out("sshd", "-T")
    status, reason = last_status(host)
    assert (status, reason) == ("rolled-back", "Nobody confirmed it before its deadline.")
