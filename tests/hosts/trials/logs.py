"""Steps about logs: journald, rsyslog, logrotate and cron are asked themselves."""

from __future__ import annotations

import re
import time

from tests.hosts.lab import LabHost
from tests.hosts.program import APP
from tests.hosts.trials import apart
from tests.hosts.trials.monitoring import MAILBOX, local_mail, no_local_mail
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


def _mail_and_a_break_in(host: LabHost) -> None:
    local_mail(host)
    host.run("logger", "-p", "auth.info", "-t", "sshd[99]",
             "Failed password for root from 192.0.2.77 port 40022 ssh2")  # fmt: skip


def _reported(host: LabHost) -> Answers:
    """The daily job itself, for today instead of yesterday."""
    job = host.out("cat", "/etc/cron.daily/00logwatch")
    report = host.out("logwatch", "--range", "today", "--output", "stdout")
    host.run("logwatch", "--range", "today", "--output", "mail")
    mail = host.root / MAILBOX.lstrip("/")
    until = time.monotonic() + 20
    while not mail.exists() and time.monotonic() < until:
        time.sleep(0.2)
    text = mail.read_text() if mail.exists() else ""
    return [
        ("cron runs it daily", "logwatch --output mail" in job),
        ("it reports the failed login", "192.0.2.77" in report),
        ("it says more than the least", "Detail Level of Output: 5" in report),
        ("the mail arrived", "Subject: Logwatch for" in text and "192.0.2.77" in text),
        ("from whom it shall be", "From: watch@web.example" in text),
    ]


LOG_HOST = """
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends rsyslog-gnutls
cat > /etc/receive.conf <<'CONFIGURATION'
global(DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="/etc/apart.pem"
    DefaultNetstreamDriverCertFile="/etc/apart.pem" DefaultNetstreamDriverKeyFile="/etc/apart.key")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="6514")
action(type="omfile" file="/var/log/received.log")
CONFIGURATION
rsyslogd -f /etc/receive.conf -i /receive.pid
"""


def _log_host(host: LabHost) -> None:
    """A real rsyslog that takes lines over TLS only."""
    apart.set_up(host, LOG_HOST)


def _no_log_host(host: LabHost) -> None:
    apart.take_away(host, "kill $(cat /receive.pid)")


def _received(host: LabHost) -> Answers:
    host.run("logger", "-p", "auth.notice", "-t", "lab", "seen from afar")
    until = time.monotonic() + 15
    text = ""
    while "seen from afar" not in text and time.monotonic() < until:
        time.sleep(0.2)
        text = host.run("cat", f"{apart.ROOT}/var/log/received.log", check=False).stdout
    valid = host.run("rsyslogd", "-N1", check=False)
    return [
        ("its configuration is sound", valid.returncode == 0),
        ("a line arrives on the log host", "seen from afar" in text),
        ("the program's test line did too", " harden-tui: harden-tui-" in text),
        ("rsyslog keeps the connection", "rsyslogd" in host.out("ss", "-Htnp", "dport = :6514")),
    ]


TRIALS = (
    Trial(
        step="logs.remote",
        furnish=_log_host,
        tidy=_no_log_host,
        holds=_received,
        given=(
            "--set",
            "logs.remote.host=localhost",
            "--set",
            f"logs.remote.authority={apart.AUTHORITY}",
        ),
    ),
    Trial(
        step="logs.logwatch",
        furnish=_mail_and_a_break_in,
        tidy=no_local_mail,
        holds=_reported,
        stays={MAILBOX: "reports that were mailed meanwhile"},
        given=(
            "--set",
            "logs.logwatch.mail-to=alice",
            "--set",
            "logs.logwatch.mail-from=watch@web.example",
        ),
    ),
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
