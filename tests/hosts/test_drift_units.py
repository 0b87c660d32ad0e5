"""Units that an administrator masks or stops: put back, and the putting back undone."""

from __future__ import annotations

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, history, roll_back
from tests.hosts.test_drift import drifted

pytestmark = pytest.mark.either_release

UNIT = "fail2ban.service"
MASK = f"/etc/systemd/system/{UNIT}"


def test_a_masked_unit_is_put_back_and_masked_again_in_any_order(host: LabHost) -> None:
    first = fingerprint(host)
    apply(host, "defence.fail2ban", "kernel.sysctl")
    left = fingerprint(host)
    host.run("systemctl", "mask", "--now", UNIT)
    masked = fingerprint(host)
    assert drifted(host) == {UNIT, MASK}
    settling = put_back(host)
    assert differences(left, fingerprint(host)) == []
    shown = harden(host, "rollback", settling, "--dry-run").stdout
    assert f"systemctl stop {UNIT}" in shown and "restart" not in shown
    roll_back(host, settling)
    assert differences(masked, fingerprint(host)) == []
    assert drifted(host) == {UNIT, MASK}

    settling = put_back(host)
    roll_back(host, "defence.fail2ban")
    roll_back(host, settling)
    assert host.out("readlink", MASK) == "/dev/null", "the administrator's own"
    host.run("systemctl", "unmask", UNIT)
    roll_back(host, "kernel.sysctl")
    assert differences(first, fingerprint(host)) == []


def test_a_mask_until_the_next_boot_is_lifted_with_its_unit_and_laid_again(host: LabHost) -> None:
    apply(host, "defence.fail2ban")
    left = fingerprint(host)
    host.run("systemctl", "mask", "--runtime", "--now", UNIT)
    masked = fingerprint(host)
    assert drifted(host) == {UNIT}
    settling = put_back(host)
    assert host.out("systemctl", "is-active", UNIT) == "active"
    assert differences(left, fingerprint(host)) == []
    roll_back(host, settling)
    assert host.out("readlink", f"/run/systemd/system/{UNIT}") == "/dev/null"
    assert differences(masked, fingerprint(host)) == []


def put_back(host: LabHost) -> str:
    """Everything that drifted; returns the id of the transaction."""
    harden(host, "drift", "restore", "--all", "--yes")
    assert drifted(host) == set()
    return str(history(host)[-1]["id"])
