"""Steps that watch the host."""

from __future__ import annotations

import socket
import ssl
import struct
import time
import zlib

from tests.hosts.base import SUITES
from tests.hosts.lab import LabHost
from tests.hosts.program import harden
from tests.hosts.trials.trial import Answers, Trial

MAILBOX = "/var/mail/alice"


def local_mail(host: LabHost) -> None:
    """A real MTA that delivers on this host only, and did so once: it keeps the locks of processes
    that were ever needed."""
    host.run("debconf-set-selections", stdin="postfix postfix/main_mailer_type select Local only\n")
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
        "--no-install-recommends", "postfix",
    )  # fmt: skip
    host.run("sendmail", "alice", stdin="Subject: the first\n\nmail\n")
    host.run("timeout", "20", "sh", "-c", f"until test -s {MAILBOX}; do sleep 0.2; done")
    host.run("rm", MAILBOX)


def no_local_mail(host: LabHost) -> None:
    """Stopped first: trixie's package leaves it running, without its files."""
    host.run("systemctl", "stop", "postfix")
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


def ask_nrpe(address: str, command: str) -> tuple[int, str]:
    """check_nrpe's own question (packet version 2, over anonymous TLS): exit status and text."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ADH:@SECLEVEL=0")
    text = command.encode().ljust(1024, b"\0")
    packet = struct.pack(">hhIh1024s2x", 2, 1, 0, 0, text)
    packet = struct.pack(">hhIh1024s2x", 2, 1, zlib.crc32(packet), 0, text)
    plain = socket.create_connection((address, 5666), timeout=60)
    with context.wrap_socket(plain) as line:
        line.sendall(packet)
        answer = b""
        while len(answer) < 1036 and (more := line.recv(4096)):
            answer += more
    _, _, _, status, said = struct.unpack(">hhIh1024s2x", answer[:1036])
    return status, said.partition(b"\0")[0].decode()


def _asked(host: LabHost) -> Answers:
    status, text = ask_nrpe(host.address, "check_harden_tui")
    may = host.out("sudo", "-l", "-U", "nagios")
    rules = [line.strip() for line in may.splitlines() if "NOPASSWD" in line]
    refused = host.run(
        "python3", "-c",
        "import socket; s = socket.create_connection(('127.0.0.1', 5666), 5, ('127.0.0.2', 0));"
        " s.settimeout(5); s.sendall(b'x'); print(s.recv(1))",
        check=False,
    )  # fmt: skip
    return [
        ("NRPE answers with Nagios' status", status == 2 and "HARDEN-TUI CRITICAL - " in text),
        ("and with figures", " | fail=" in text and "time=" in text),
        ("it names what fails", "\nssh.root-login: fail" in text),
        ("nobody else is answered", refused.returncode != 0 or "b''" in refused.stdout),
        ("nagios may run that and nothing else", rules == [
            "(root) NOPASSWD: /usr/bin/harden-tui check --monitoring nagios --checklist server"
        ]),
        ("arguments are refused", "dont_blame_nrpe=0" in host.out(
            "cat", "/etc/nagios/nrpe.d/zz-harden-tui.cfg"
        )),
    ]  # fmt: skip


FEED = "/run/feed"
SOURCE = "http://127.0.0.1:8099/"
HOLES = (
    "VERSION 1\nCVE-2099-0001,,a hole made up for a trial\n\nsudo,0, HRF,99-1,98-1+deb99u1\n\n\n"
)
"""What debsecan downloads: names of holes, then packages with them, then binary packages."""


def _feed(host: LabHost) -> None:
    """A server of debsecan's data."""
    for suite in SUITES:
        path = f"{FEED}/{suite}"
        write = (
            "import sys, zlib; open(sys.argv[1], 'wb').write(zlib.compress(sys.argv[2].encode()))"
        )
        host.run("mkdir", "-p", FEED)
        host.run("python3", "-c", write, path, HOLES)
    host.run(
        "systemd-run", "-q", "--collect", "--unit=feed", "python3", "-m", "http.server", "8099",
        "--bind", "127.0.0.1", "-d", FEED,
    )  # fmt: skip
    ask = f"until python3 -c \"import urllib.request as r; r.urlopen('{SOURCE}')\"; do :; done"
    host.run("timeout", "20", "sh", "-c", ask)


def _no_feed(host: LabHost) -> None:
    host.run("systemctl", "stop", "feed.service")
    host.run("rm", "-r", FEED)


def _scanned(host: LabHost) -> Answers:
    settings = host.out("cat", "/etc/default/debsecan")
    host.run("systemctl", "start", "harden-tui-vulnerabilities.service")
    report = host.out("cat", "/var/lib/harden-tui/vulnerabilities/report")
    itself = host.out("debsecan", "--suite", host.suite, "--only-fixed", "--format", "detail")
    verbose = harden(host, "check", "vulnerabilities.scan", "--verbose", check=False).stdout
    host.run("mv", f"{FEED}/{host.suite}", f"{FEED}/away")
    failed = host.run("systemctl", "start", "harden-tui-vulnerabilities.service", check=False)
    kept = host.out("cat", "/var/lib/harden-tui/vulnerabilities/report")
    host.run("systemctl", "reset-failed", "harden-tui-vulnerabilities.service")
    host.run("mv", f"{FEED}/away", f"{FEED}/{host.suite}")
    host.run("systemctl", "start", "harden-tui-vulnerabilities.service")
    return [
        ("debsecan knows the release", f"SUITE={host.suite}\n" in settings),
        ("the report is debsecan's own", report.strip() == itself.strip()),
        ("it names the hole", "CVE-2099-0001" in report and "installed: sudo" in report),
        ("a check names the version that closes it", "98-1+deb99u1" in verbose),
        ("without the server the last report stays", failed.returncode != 0 and kept == report),
        ("a timer waits", "harden-tui-vulnerabilities.timer" in host.out(
            "systemctl", "list-timers", "--all"
        )),
    ]  # fmt: skip


TRIALS = (
    Trial(
        step="vulnerabilities.scan",
        furnish=_feed,
        tidy=_no_feed,
        holds=_scanned,
        after="manual",
        given=("--set", f"vulnerabilities.scan.source={SOURCE}"),
    ),
    Trial(
        step="monitoring.agent",
        holds=_asked,
        given=(
            "--set",
            "monitoring.agent.hosts=10.77.0.0/16",
            "--set",
            "monitoring.agent.checklist=server",
        ),
    ),
    Trial(
        step="monitoring.drift",
        furnish=local_mail,
        tidy=no_local_mail,
        given=("--set", "monitoring.drift.mail=alice"),
        stays={MAILBOX: "mails that were sent meanwhile"},
        holds=_watched,
    ),
)
