"""Steps that watch the host."""

from __future__ import annotations

import time

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial

MAILBOX = "/var/mail/alice"


def local_mail(host: LabHost) -> None:
    """A real MTA that delivers on this host only."""
    host.run("debconf-set-selections", stdin="postfix postfix/main_mailer_type select Local only\n")
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
        "--no-install-recommends", "postfix",
    )  # fmt: skip


def no_local_mail(host: LabHost) -> None:
    host.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "purge", "-y", "-q", "postfix")
    host.run("rm", "-f", MAILBOX)


def _watched(host: LabHost) -> Answers:
    timers = host.out("systemctl", "list-timers", "--all", "--no-legend")
    enabled = host.out("systemctl", "is-enabled", "harden-tui-check.timer")
    host.run("systemctl", "start", "harden-tui-check.service")
    mail = host.root / MAILBOX.lstrip("/")
    until = time.monotonic() + 20
    while not mail.exists() and time.monotonic() < until:
        time.sleep(0.2)
    text = mail.read_text() if mail.exists() else ""
    return [
        ("the timer waits", "harden-tui-check.timer" in timers),
        ("it is enabled", enabled == "enabled"),
        ("a mail arrived", f"Subject: harden-tui on {host.name}:" in text),
        ("it says what is wrong", "ssh.root-login  fail" in text),
        ("the run counts as good", host.out(
            "systemctl", "show", "-p", "Result", "--value", "harden-tui-check.service"
        ) == "success"),
    ]  # fmt: skip


TRIALS = (
    Trial(
        step="monitoring.drift",
        furnish=local_mail,
        tidy=no_local_mail,
        given=("--set", "monitoring.drift.mail=alice"),
        stays=("/var/mail/", "/var/spool/postfix/"),
        holds=_watched,
    ),
)
