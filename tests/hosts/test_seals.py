"""What lies below a seal: its content can be undone while the seal stands."""

from __future__ import annotations

import pytest

from tests.hosts.base import key
from tests.hosts.beds import typo3
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import harden

pytestmark = pytest.mark.either_release

CHOSEN = ("--checklist", "typo3", "--yes")


def test_a_setting_is_undone_below_the_seal_and_the_seal_stays(host: LabHost) -> None:
    bed = typo3.install(host, 200)
    first = fingerprint(host, typo3.PATH)
    settings = host.root / bed.additional.lstrip("/")
    as_delivered = settings.read_bytes()
    for step in ("app.config-secrets", "typo3.settings", "typo3.tree"):
        harden(host, "apply", step, *CHOSEN)
    assert settings.read_bytes() != as_delivered
    for step in ("typo3.settings", "app.config-secrets"):
        harden(host, "rollback", step, *CHOSEN)
    assert settings.read_bytes() == as_delivered
    assert "i" in host.out("lsattr", bed.additional).split()[0]
    assert typo3.answers(host)
    harden(host, "rollback", "typo3.tree", *CHOSEN)
    assert differences(first, fingerprint(host, typo3.PATH)) == []


def test_keys_below_a_closed_home_survive_its_opening(host: LabHost) -> None:
    """A step took modes from a list of keys without reading it, another wrote a line in it since:
    undoing the first costs none of the two."""
    keys = "/home/dave/.ssh/authorized_keys"
    host.run("useradd", "-m", "-s", "/bin/bash", "-G", "sudo", "dave")
    host.run("install", "-d", "-o", "dave", "-g", "dave", "-m", "700", "/home/dave/.ssh")
    host.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/old")
    host.run("install", "-o", "dave", "-g", "dave", "-m", "644", "/root/old.pub", keys)
    host.write("/root/new.pub", key().with_suffix(".pub").read_bytes())
    old = host.out("cat", keys)
    first = fingerprint(host, "/home/dave")
    harden(host, "apply", "accounts.homes", "--yes")
    given = ("--set", "ssh.admin-key.user=dave", "--set", "ssh.admin-key.key=/root/new.pub")
    harden(host, "apply", "ssh.admin-key", *given, "--yes")
    harden(host, "rollback", "accounts.homes", "--yes")
    assert host.out("stat", "-c", "%a", keys) == "644"
    assert host.out("cat", keys).startswith(old)
    assert host.can_log_in("dave")
    harden(host, "rollback", "ssh.admin-key", "--yes")
    assert differences(first, fingerprint(host, "/home/dave")) == []
