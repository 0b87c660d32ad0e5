"""Rules that an administrator added after the firewall was set up: never lost unasked."""

from __future__ import annotations

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back
from tests.hosts.test_conflicts import dry_run, in_conflict

pytestmark = pytest.mark.either_release

STEP = "firewall.ufw"
RULE = ("INPUT", "-s", "203.0.113.9", "-j", "DROP")


def test_a_rule_by_hand(host: LabHost) -> None:
    """The step brought iptables: where it goes, no rule can stay."""
    first = fingerprint(host)
    apply(host, STEP)
    host.run("iptables", "-A", *RULE)
    there = fingerprint(host)
    shown = dry_run(host, STEP)
    assert in_conflict(shown) == ["ip filter INPUT"]
    refused = harden(host, "rollback", STEP, "--yes", check=False)
    assert refused.returncode == 3 and "ip filter INPUT" in refused.stdout + refused.stderr
    for way in ("--keep-current", "--merge"):
        refused = harden(host, "rollback", STEP, way, "--yes", check=False)
        assert refused.returncode == 3
        assert "apt-mark manual iptables" in refused.stdout + refused.stderr
    assert differences(there, fingerprint(host)) == []
    harden(host, "rollback", STEP, "--restore", "--yes")
    assert differences(first, fingerprint(host)) == []


def test_a_rule_by_hand_stays_where_iptables_is_wanted(host: LabHost) -> None:
    apply(host, STEP)
    host.run("iptables", "-A", *RULE)
    host.run("apt-mark", "manual", "iptables")
    preview = harden(host, "rollback", STEP, "--dry-run").stdout
    assert "somebody marked it as manually installed since" in " ".join(preview.split())
    assert "rules that others added since stay" in preview
    roll_back(host, STEP)
    assert host.out("iptables", "-S").splitlines() == [
        "-P INPUT ACCEPT", "-P FORWARD ACCEPT", "-P OUTPUT ACCEPT",
        "-A INPUT -s 203.0.113.9/32 -j DROP",
    ]  # fmt: skip
    assert host.run("which", "ufw", check=False).returncode != 0


def test_a_rule_that_ufw_made(host: LabHost) -> None:
    first = fingerprint(host)
    apply(host, STEP)
    host.run("ufw", "allow", "8080/tcp")
    shown = dry_run(host, STEP)
    found = in_conflict(shown)
    assert {"ip filter ufw-user-input", "ip6 filter ufw6-user-input"} <= set(found)
    assert harden(host, "rollback", STEP, "--yes", check=False).returncode == 3
    harden(host, "rollback", STEP, "--restore", "--yes")
    assert differences(first, fingerprint(host)) == []


def test_bans_are_nobodys_edit(host: LabHost) -> None:
    first = fingerprint(host)
    apply(host, STEP, "defence.fail2ban")
    host.run("fail2ban-client", "set", "sshd", "banip", "203.0.113.7")
    roll_back(host, STEP)
    roll_back(host, "defence.fail2ban")
    assert differences(first, fingerprint(host)) == []
