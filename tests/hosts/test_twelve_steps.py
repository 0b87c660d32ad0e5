"""The main job on a real host: twelve steps applied, proved, and undone in an order of its own."""

from __future__ import annotations

from tests.hosts.answers import wrong
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, TWELVE, apply, furnish, harden, roll_back, statuses

ANOTHER_ORDER = (
    "firewall.ufw",
    "apache.banner",
    "app.tree",
    "ssh.root-login",
    "kernel.sysctl",
    "minimal.apache-modules",
    "ssh.limits",
    "defence.fail2ban",
    "php.settings",
    "minimal.services",
    "apache.headers",
    "ssh.key-only",
)
"""Neither the order of the checklist nor its reverse."""

ACCEPTABLE = ("pass", "not-applicable")


def test_twelve_steps_applied_proved_and_undone_in_another_order(host: LabHost) -> None:
    furnish(host)
    first = fingerprint(host, APP)

    before = statuses(host)
    assert [step for step in TWELVE if before[step] in ACCEPTABLE] == []
    plan = harden(host, "plan", "--checklist", "i-doit", check=False)
    assert plan.returncode == 1, plan.stderr
    assert differences(first, fingerprint(host, APP)) == [], "check and plan must change nothing"

    for step in TWELVE:
        apply(host, step)
        assert wrong(host, step) == [], step
        assert host.can_log_in(), f"after {step}"
    after = statuses(host)
    assert {step: after[step] for step in TWELVE if after[step] not in ACCEPTABLE} == {}

    hardened = fingerprint(host, APP)
    again = harden(host, "apply", "--checklist", "i-doit", *TWELVE, "--yes")
    assert "othing to change" in again.stdout
    assert differences(hardened, fingerprint(host, APP)) == [], "applying again changes nothing"

    left = list(TWELVE)
    for step in ANOTHER_ORDER:
        roll_back(host, step)
        left.remove(step)
        assert host.can_log_in(), f"after undoing {step}"
        broken = {other: wrong(host, other) for other in left if wrong(host, other)}
        assert broken == {}, f"after undoing {step}"
    assert differences(first, fingerprint(host, APP)) == []
