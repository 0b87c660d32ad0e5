"""The steps about updates: apt, systemd and unattended-upgrades are asked themselves."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial


def _unattended(host: LabHost) -> Answers:
    config = host.out("apt-config", "dump")
    dry_run = host.run("unattended-upgrade", "--dry-run", "-d")
    timers = ("apt-daily.timer", "apt-daily-upgrade.timer")
    active = host.run("systemctl", "is-active", *timers, check=False).stdout.split()
    return [
        ("lists are fetched daily", 'APT::Periodic::Update-Package-Lists "1";' in config),
        ("updates are installed daily", 'APT::Periodic::Unattended-Upgrade "1";' in config),
        ("reports go to root", 'Unattended-Upgrade::Mail "root";' in config),
        ("it does not restart the host", 'Automatic-Reboot "false";' in config),
        (
            "its dry run takes security updates",
            f"codename={host.suite}-security,label=Debian-Security" in dry_run.stdout
            or f"codename={host.suite}-security,label=Debian-Security" in dry_run.stderr,
        ),
        ("both timers run", active == ["active", "active"]),
    ]


def _stop_a_timer(host: LabHost) -> None:
    host.run("systemctl", "disable", "--now", "apt-daily.timer")


def _start_it(host: LabHost) -> None:
    host.run("systemctl", "enable", "--now", "apt-daily.timer")


TRIALS = (
    Trial(
        step="updates.unattended", holds=_unattended, furnish=_stop_a_timer, tidy=_start_it
    ),
)
