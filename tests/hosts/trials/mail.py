"""Mail that really arrives: a mail server in a root of its own takes it on port 2525."""

from __future__ import annotations

import time

from tests.hosts.lab import LabHost
from tests.hosts.trials import apart
from tests.hosts.trials.trial import Answers, Trial

MAILBOX = f"{apart.ROOT}/var/mail/alice"

SERVER = """
echo "postfix postfix/main_mailer_type select Local only" | debconf-set-selections
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postfix
postconf -e smtpd_tls_cert_file=/etc/apart.pem smtpd_tls_key_file=/etc/apart.key \\
    smtpd_tls_security_level=encrypt mydestination=mx.example,localhost \\
    inet_interfaces=loopback-only maillog_file=/var/log/mx.log
sed -i 's/^smtp  *inet/2525 inet/' /etc/postfix/master.cf
postfix start
"""


def _mail_server(host: LabHost) -> None:
    """A real MTA that takes mail over TLS only."""
    apart.set_up(host, SERVER)


def _no_mail_server(host: LabHost) -> None:
    apart.take_away(host, "postfix stop")


def _arrived(host: LabHost, *words: str) -> bool:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        mail = host.run("cat", MAILBOX, check=False).stdout
        if all(word in mail for word in words):
            return True
        time.sleep(0.2)
    return False


def _relayed(host: LabHost) -> Answers:
    tested = _arrived(host, "Subject: harden-tui: test mail of")
    host.run("sendmail", "root", stdin="Subject: from cron\n\nto root\n")
    by_root = _arrived(host, "Subject: from cron", "From: host@web.example")
    host.run(
        "runuser", "-u", "www-data", "--", "/usr/sbin/sendmail", "-i", "www-data",
        stdin="Subject: from the web server\n\nto itself\n",
    )  # fmt: skip
    by_others = _arrived(host, "Subject: from the web server")
    mail = host.out("cat", MAILBOX)
    listening = host.out("ss", "-Htlnp", "sport = :25")
    return [
        ("the test mail arrived", tested),
        ("root's mail arrives, from the right sender", by_root),
        ("mail for local names arrives too", by_others),
        ("it came encrypted", mail.count("SMTPS id ") == mail.count("Received: ")),
        (f"nothing listens on port 25 {listening}".strip(), listening == ""),
    ]


TRIALS = (
    Trial(
        step="mail.relay",
        furnish=_mail_server,
        tidy=_no_mail_server,
        holds=_relayed,
        given=(
            "--set", "mail.relay.host=localhost",
            "--set", "mail.relay.port=2525",
            "--set", f"mail.relay.authorities={apart.AUTHORITY}",
            "--set", "mail.relay.sender=host@web.example",
            "--set", "mail.relay.to=alice@mx.example",
            "--set", "mail.relay.test-to=alice@mx.example",
        ),
    ),
)  # fmt: skip
