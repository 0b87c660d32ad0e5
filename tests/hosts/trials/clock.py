"""The daemon that sets the clock."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial


def _sync(host: LabHost) -> Answers:
    """That it runs is not asked: systemd leaves it out of containers (ConditionVirtualization)."""
    enabled = host.run("systemctl", "is-enabled", "systemd-timesyncd.service", check=False).stdout
    shown = host.out("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Provides}\n")
    rows = [row.split() for row in shown.splitlines()]
    daemons = [row[1] for row in rows if row[0] == "installed" and "time-daemon" in row[2:]]
    return [
        ("systemd-timesyncd is enabled", enabled.strip() == "enabled"),
        ("it is the only time daemon", daemons == ["systemd-timesyncd"]),
    ]


TRIALS = (Trial(step="time.sync", holds=_sync),)
