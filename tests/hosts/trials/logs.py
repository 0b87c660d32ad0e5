"""Steps about logs: journald, rsyslog, logrotate and cron are asked themselves."""

from __future__ import annotations

import re
import time

from tests.hosts.lab import LabHost
from tests.hosts.program import APP
from tests.hosts.trials.trial import Answers, Trial

VOLATILE = "/etc/systemd/journald.conf.d/10-lab.conf"


def _in_memory(host: LabHost) -> None:
    """A journal that is gone after the next boot."""
    host.write(VOLATILE, "[Journal]\nStorage=volatile\n")
    host.run("systemctl", "restart", "systemd-journald")


def _on_the_disk(host: LabHost) -> None:
    host.run("rm", "-r", "/etc/systemd/journald.conf.d")
    host.run("systemctl", "restart", "systemd-journald")
    host.run("journalctl", "--flush")


def _persistent(host: LabHost) -> Answers:
    host.run("logger", "-t", "lab", "a line for the disk")
    host.run("journalctl", "--sync")
    header = host.out("journalctl", "--header", "--system")
    limits = host.out(
        "journalctl", "-b", "-o", "cat", "_SYSTEMD_UNIT=systemd-journald.service"
    ).splitlines()  # fmt: skip
    told = [line for line in limits if line.startswith("System Journal (/var/log/journal/")]
    on_disk = host.out("journalctl", "-D", "/var/log/journal", "-t", "lab", "-o", "cat")
    log = host.root / f"{APP}/log/old.log".lstrip("/")
    before = log.stat()
    host.run("logrotate", "-f", "/etc/logrotate.d/harden-tui-logs-persistent")
    rotated = log.with_name("old.log.1")
    answers = [
        ("journald writes to the disk", "File path: /var/log/journal/" in header),
        ("a new line is on the disk", "a line for the disk" in on_disk),
        (
            "journald says its limit",
            bool(told) and re.search(r"max 512(\.0)?M,", told[-1]) is not None,
        ),
        (
            "rsyslog writes text",
            "a line for the disk" in host.out("cat", "/var/log/syslog")
            and host.out("systemctl", "is-enabled", "rsyslog") == "enabled",
        ),
        ("logrotate waits", "logrotate.timer" in host.out("systemctl", "list-timers")),
        ("the application's log was rotated", rotated.exists() and log.stat().st_size == 0),
        ("by its owner", rotated.exists() and rotated.stat().st_uid == before.st_uid),
    ]
    host.run("mv", f"{APP}/log/old.log.1", f"{APP}/log/old.log")
    host.run("chown", "www-data:www-data", f"{APP}/log/old.log")
    return answers


JOBS = "/etc/cron.d/i-doit"
USERS_JOBS = "/var/spool/cron/crontabs/alice"


def _silent_jobs(host: LabHost) -> None:
    """Jobs as i-doit's manual has them, with a mark of what they did."""
    say = "/bin/sh -c 'echo heard-system'"
    host.write(
        JOBS,
        f"@reboot alice {say} --password admin > /dev/null 2>&1\n"
        "5 * * * * root test -d / && echo kept > /dev/null\n",
    )
    host.write("/root/alice.cron", "@reboot /bin/sh -c 'echo heard-user' &> /dev/null\n")
    host.run("crontab", "-u", "alice", "/root/alice.cron")


def _without_them(host: LabHost) -> None:
    host.run("rm", JOBS, "/root/alice.cron")
    host.run("crontab", "-u", "alice", "-r")


def _heard(host: LabHost) -> Answers:
    """cron itself runs the jobs: it takes this for the first start after a boot."""
    host.run("rm", "-f", "/run/crond.reboot")
    host.run("systemctl", "restart", "cron")
    wanted = {"cron-i-doit": "heard-system", "cron-alice": "heard-user"}
    until = time.monotonic() + 15
    said: dict[str, str] = {}
    while time.monotonic() < until:
        said = {
            tag: host.run("journalctl", "-t", tag, "-o", "cat", check=False).stdout
            for tag in wanted
        }
        if all(text in said[tag] for tag, text in wanted.items()):
            break
        time.sleep(0.2)
    users = (host.root / USERS_JOBS.lstrip("/")).stat()
    return [
        *((f"{tag} is in the log", text in said[tag]) for tag, text in wanted.items()),
        ("others cannot read the password", host.out("stat", "-c", "%a", JOBS) == "600"),
        (
            "the other job is as it was",
            "&& echo kept > /dev/null\n" in host.out("cat", JOBS) + "\n",
        ),
        ("a user's crontab is still hers", (users.st_uid, users.st_mode & 0o777) == (1000, 0o600)),
    ]


TRIALS = (
    Trial(
        step="logs.cron-output",
        furnish=_silent_jobs,
        tidy=_without_them,
        holds=_heard,
        given=("--set", "logs.cron-output.users=yes"),
    ),
    Trial(
        step="logs.persistent",
        furnish=_in_memory,
        tidy=_on_the_disk,
        holds=_persistent,
        given=("--set", "logs.persistent.max-use=512M"),
    ),
)
