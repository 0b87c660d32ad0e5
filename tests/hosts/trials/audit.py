"""Auditing, integrity and accounting."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.program import APP
from tests.hosts.trials.trial import Answers, Trial


def _no_audit_here(host: LabHost) -> Answers:
    """A container has no audit of its own: nothing may be installed that fails there at once."""
    installed = host.run("dpkg-query", "-W", "auditd", check=False).returncode == 0
    failed = host.out("systemctl", "list-units", "--failed", "--plain", "--no-legend", "*audit*")
    return [
        ("it is a container", host.out("systemd-detect-virt", "--container") != "none"),
        ("auditd was not installed", not installed),
        ("no unit of it failed", failed == ""),
    ]


def _integrity(host: LabHost) -> Answers:
    """AIDE itself finds a new script in the web tree, and none in a directory for uploads; debsums
    finds a program that is not as packaged."""
    host.write(f"{APP}/src/planted.php", "<?php\n")
    host.write(f"{APP}/upload/holiday.jpg", "a picture\n")
    found = host.run("aide", "--config", "/etc/aide/aide.conf", "--check", check=False).stdout
    for name in ("src/planted.php", "upload/holiday.jpg"):
        host.run("rm", f"{APP}/{name}")
    timers = host.out("systemctl", "list-timers", "--no-legend", "dailyaidecheck.timer")
    host.run("sh", "-c", "cp -p /usr/bin/chacl /tmp; echo >> /usr/bin/chacl")
    weekly = host.run("sh", "/etc/cron.weekly/debsums", check=False).stdout
    host.run("sh", "-c", "cp -p /tmp/chacl /usr/bin/; rm /tmp/chacl")
    sums = host.out("grep", "^Checksums", "/etc/aide/aide.conf")
    return [
        ("a planted script is found", f"{APP}/src/planted.php" in found),
        ("an uploaded picture is not", "holiday.jpg" not in found),
        ("a changed program is found by debsums", "/bin/chacl" in weekly),
        ("AIDE compares by two checksums", sums == "Checksums = sha256+sha512"),
        ("the check comes every day", "dailyaidecheck.timer" in timers),
    ]


def _accounting(host: LabHost) -> Answers:
    timers = host.out("systemctl", "list-timers", "--no-legend", "sysstat-collect.timer")
    may = int(host.out("sed", "-n", "s/^CapBnd:\\t//p", "/proc/1/status"), 16) >> 20 & 1
    failed = host.out(
        "systemctl", "list-units", "--failed", "--plain", "--no-legend", "sysstat*", "acct*"
    )
    processes = "lastcomm: kept out" if not may else host.out("lastcomm", "true")
    return [
        ("sar has figures", "Linux" in host.out("sh", "-c", "sar -u -f /var/log/sysstat/sa??")),
        ("figures come every ten minutes", "sysstat-collect.timer" in timers),
        ("ENABLED is true", 'ENABLED="true"' in host.out("cat", "/etc/default/sysstat")),
        ("lastcomm answers where the container may account", bool(processes)),
        ("none of their units failed", failed == ""),
    ]


TRIALS = (
    Trial(
        step="audit.auditd",
        holds=_no_audit_here,
        before="not-applicable",
        unmeasured="these hosts are containers, and the kernel's audit belongs to the machine that"
        " runs them: nothing is installed, written or loaded there",
    ),
    Trial(
        step="audit.integrity",
        # Only so much that a trial ends soon: a whole host takes AIDE minutes.
        given=("--set", "audit.integrity.exclude=/usr,/var/lib,/var/cache,/srv,/home,/run,/proc"),
        holds=_integrity,
    ),
    Trial(step="audit.accounting", holds=_accounting),
)
