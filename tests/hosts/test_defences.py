"""Firewall, bans and the sealed tree, where the kernel and the attackers decide."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.hosts.base import key
from tests.hosts.lab import LabHost
from tests.hosts.program import (
    APP,
    SSH_ITSELF_FAILED,
    apply,
    furnish,
    harden,
    roll_back,
    statuses,
)

pytestmark = pytest.mark.either_release


def _ssh_from(host: LabHost, source: str, user: str) -> int:
    """A login attempt from another address of this side of the host's network.

    A ban that falls in the middle of one leaves ssh without any answer: then it failed.
    """
    command = host.ssh_argv("true", user=user, options=("-b", source))
    if user != "alice":
        position = command.index(str(key()))
        command[position] = "/dev/null"
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode
    except subprocess.TimeoutExpired:
        return SSH_ITSELF_FAILED


def _second_address(host: LabHost) -> str:
    source = f"10.77.{host.number}.9"
    subprocess.run(
        ["ip", "address", "add", f"{source}/24", "dev", f"ve-{host.name}"], check=True
    )  # goes with the interface
    return source


def test_networks_for_ssh_never_shut_out_who_asks(host: LabHost) -> None:
    refused = harden(
        host, "apply", "firewall.ufw", "--yes", "--set", "firewall.ufw.from=192.0.2.0/24",
        check=False,
    )  # fmt: skip
    assert refused.returncode == 3
    assert f"10.77.{host.number}.1" in refused.stdout + refused.stderr
    assert host.run("which", "ufw", check=False).returncode != 0
    other = _second_address(host)
    apply(host, "firewall.ufw", more=("--set", f"firewall.ufw.from=10.77.{host.number}.1"))
    assert host.can_log_in()
    assert _ssh_from(host, other, "alice") != 0
    assert host.http("/").status == 200
    apply(host, "firewall.ufw", more=("--set", "firewall.ufw.from="))
    assert _ssh_from(host, other, "alice") == 0


def test_a_firewall_that_only_says_active_fails(host: LabHost) -> None:
    apply(host, "firewall.ufw")
    host.run("iptables", "-I", "INPUT", "-j", "ACCEPT")
    assert "Status: active" in host.out("ufw", "status")
    assert statuses(host, "firewall.ufw") == {"firewall.ufw": "fail"}
    apply(host, "firewall.ufw")
    assert "-A INPUT -j ACCEPT" not in host.out("iptables", "-S", "INPUT").splitlines()
    host.run("ip6tables", "-F", "ufw6-before-input")
    assert statuses(host, "firewall.ufw") == {"firewall.ufw": "fail"}
    apply(host, "firewall.ufw")
    assert "ufw6-user-input" in host.out("ip6tables", "-S", "ufw6-before-input")


def test_ufw_after_the_kernel_parameters_leaves_them(host: LabHost) -> None:
    """ufw sets log_martians=0 whenever it starts."""
    apply(host, "kernel.sysctl")
    apply(host, "firewall.ufw")
    host.run("systemctl", "restart", "ufw")
    good = {"firewall.ufw": "pass", "kernel.sysctl": "pass"}
    assert statuses(host, "firewall.ufw", "kernel.sysctl") == good
    roll_back(host, "firewall.ufw")
    assert statuses(host, "kernel.sysctl") == {"kernel.sysctl": "pass"}


def test_an_attacker_is_banned_and_the_administrator_is_not(host: LabHost) -> None:
    apply(host, "defence.fail2ban")
    attacker = _second_address(host)
    for _ in range(30):
        assert _ssh_from(host, attacker, "root") != 0
        if attacker in host.out("fail2ban-client", "status", "sshd"):
            break
        time.sleep(1)
    assert attacker in host.out("nft", "list", "table", "inet", "f2b-table")
    assert _ssh_from(host, attacker, "alice") != 0
    for _ in range(4):
        host.ssh("true", user="nobody", check=False)
    # trixie's sshd itself keeps an address waiting after failures (PerSourcePenalties, at most ten
    # minutes); a ban would last an hour.
    until = time.monotonic() + 660
    while not host.can_log_in() and time.monotonic() < until:
        time.sleep(1)
    assert host.can_log_in(), host.out("journalctl", "-u", "ssh", "-n", "40", "--no-pager")
    assert f"10.77.{host.number}.1" not in host.out("nft", "list", "table", "inet", "f2b-table")


def test_no_journal_reader_and_no_rsyslog(host: LabHost) -> None:
    """Bookworm's usual server: fail2ban's own package cannot even start there."""
    host.run("apt-get", "purge", "-y", "-q", "rsyslog")
    host.run("rm", "-f", "/var/log/auth.log", "/var/log/syslog")
    apply(host, "defence.fail2ban")
    assert host.out("systemctl", "is-active", "fail2ban") == "active"
    assert host.out("fail2ban-client", "get", "sshd", "maxretry") == "3"
    roll_back(host, "defence.fail2ban")
    assert host.out("systemctl", "--failed", "--no-legend") == ""


def test_a_jail_of_the_host_without_a_log_is_named_before_anything_breaks(host: LabHost) -> None:
    apply(host, "defence.fail2ban")
    host.write("/etc/fail2ban/jail.local", "[typo3]\nenabled = true\nlogpath = /none\n")
    host.write("/etc/fail2ban/filter.d/typo3.conf", "[Definition]\nfailregex = ^ <HOST>\n")
    assert statuses(host, "defence.fail2ban") == {"defence.fail2ban": "fail"}
    refused = harden(host, "apply", "defence.fail2ban", "--yes", check=False)
    assert refused.returncode == 3
    assert "typo3 (/etc/fail2ban/jail.local:2)" in refused.stdout + refused.stderr
    assert host.out("fail2ban-client", "get", "sshd", "maxretry") == "3"


def test_a_tree_with_links_of_every_kind(host: LabHost) -> None:
    furnish(host)
    host.write("/srv/shared.php", "shared")
    host.run("ln", "/srv/shared.php", f"{APP}/shared.php")
    host.run("ln", "-s", "/etc/passwd", f"{APP}/out")
    before = host.out("stat", "-c", "%a %U %G", "/srv/shared.php", "/etc/passwd")
    apply(host, "app.tree")
    assert host.out("stat", "-c", "%a %U %G", "/srv/shared.php", "/etc/passwd") == before
    assert host.run("touch", f"{APP}/new", check=False).returncode != 0
    host.run("runuser", "-u", "www-data", "--", "touch", f"{APP}/log/new.log")
    assert statuses(host, "app.tree") == {"app.tree": "pass"}
    host.run("chattr", "-i", f"{APP}/index.php", f"{APP}/src")
    host.run("mkdir", "-m", "755", f"{APP}/src/update")
    host.write(f"{APP}/src/update/new.php", "<?php")
    assert statuses(host, "app.tree") == {"app.tree": "fail"}
    apply(host, "app.tree")
    assert host.out("stat", "-c", "%a %U", f"{APP}/src/update/new.php") == "440 www-data"
    assert host.run("touch", f"{APP}/src/update/new.php", check=False).returncode != 0
    roll_back(host, "app.tree")
    host.run("touch", f"{APP}/new")
