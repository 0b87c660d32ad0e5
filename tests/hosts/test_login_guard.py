"""Nobody is locked out: what shuts administrators out is refused, with the reason, untouched."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, details, roll_back

pytestmark = pytest.mark.either_release

SSH_STEPS = ("ssh.root-login", "ssh.key-only", "ssh.limits")
REFUSED = 3


def refusal(host: LabHost, step: str) -> str:
    """What the program says when it refuses, on one line; asked on the console, without a key."""
    done = host.run("harden-tui", "apply", step, "--yes", check=False)
    assert done.returncode == REFUSED, f"{done.returncode}: {done.stdout}\n{done.stderr}"
    return " ".join(f"{done.stdout} {done.stderr}".split())


@pytest.mark.parametrize(
    ("breaking", "reason"),
    [
        (["mv /home/alice/.ssh /root/moved"], "alice has no key in /home/alice/.ssh"),
        (["chmod 777 /home/alice/.ssh"], "StrictModes"),
        (["chage -E 2020-01-01 alice"], "the account alice has expired"),
        (["rm /etc/sudoers.d/alice", "deluser alice sudo"], "no account but root"),
        (["sed -i 's/^/command=\"date\" /' /home/alice/.ssh/authorized_keys"], "one command"),
        (
            ["echo 'DenyUsers ali*' >/etc/ssh/sshd_config.d/x.conf", "systemctl reload ssh"],
            "DenyUsers shuts alice out",
        ),
        (
            ["echo 'AllowGroups adm' >/etc/ssh/sshd_config.d/x.conf", "systemctl reload ssh"],
            "AllowGroups names no group of alice",
        ),
    ],
)
def test_refused_while_no_administrator_could_come_back(
    host: LabHost, breaking: list[str], reason: str
) -> None:
    for command in breaking:
        host.run("sh", "-c", command)
    before = fingerprint(host)
    for step in SSH_STEPS:
        said = refusal(host, step)
        assert reason in said
        assert "then apply again" in said
    assert differences(before, fingerprint(host)) == []


def test_root_over_ssh_must_see_an_administrator_log_in_first(host: LabHost) -> None:
    done = host.ssh("harden-tui apply ssh.root-login --yes", user="root", check=False)
    assert done.returncode == REFUSED
    assert "Log in as alice in a second session" in done.stdout + done.stderr
    beside = subprocess.Popen(host.ssh_argv("sleep 60"), stdin=subprocess.DEVNULL)
    try:
        time.sleep(1)
        host.ssh("harden-tui apply ssh.root-login --yes", user="root")
    finally:
        beside.kill()
        beside.wait()
    assert not host.can_log_in("root")
    assert host.can_log_in()


def test_an_edit_without_a_reload_is_not_called_good(host: LabHost) -> None:
    """The listening sshd hands its old configuration to every new connection."""
    host.write("/etc/ssh/sshd_config.d/10-own.conf", "PermitRootLogin no\n")
    assert host.can_log_in("root")
    found = details(host, "ssh.root-login")["steps"][0]
    assert found["status"] == "unknown"
    assert "10-own.conf changed after sshd last read" in found["findings"][0]["note"]
    apply(host, "ssh.root-login")
    assert not host.can_log_in("root")
    assert details(host, "ssh.root-login")["steps"][0]["status"] == "pass"


def test_a_match_block_that_lets_root_in_is_found_and_edited(host: LabHost) -> None:
    host.write(
        "/etc/ssh/sshd_config.d/90-backup.conf",
        f"Match Address {host.address.rsplit('.', 1)[0]}.0/24\n  PermitRootLogin yes\n",
    )
    host.run("systemctl", "reload", "ssh")
    time.sleep(1)
    before = fingerprint(host)
    findings = details(host, "ssh.root-login")["steps"][0]["findings"]
    assert any("90-backup.conf:2" in finding["origin"] for finding in findings)
    apply(host, "ssh.root-login")
    assert not host.can_log_in("root")
    roll_back(host, "ssh.root-login")
    assert host.can_log_in("root")
    assert differences(before, fingerprint(host)) == []


def test_an_sshd_that_its_socket_started_is_restarted_and_not_reloaded(host: LabHost) -> None:
    """A reload kills it: it tries to bind the port that systemd holds."""
    host.run("systemctl", "disable", "--now", "ssh.service")
    host.run("systemctl", "enable", "--now", "ssh.socket")
    assert host.can_log_in("root")  # the first login starts sshd
    before = fingerprint(host)
    apply(host, "ssh.root-login")
    assert host.out("systemctl", "is-active", "ssh.service", "ssh.socket") == "active\nactive"
    assert host.can_log_in() and not host.can_log_in("root")
    roll_back(host, "ssh.root-login")
    assert host.can_log_in("root")
    assert differences(before, fingerprint(host)) == []
