"""The steps about the way in over SSH."""

from __future__ import annotations

import subprocess

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial


def _told(host: LabHost) -> dict[str, str]:
    """`sshd -T`, the last line of each option."""
    rows = host.out("sshd", "-T").splitlines()
    return dict(row.split(" ", 1) for row in rows if " " in row)


def _through_ssh(host: LabHost) -> str:
    """What Apache answers through a tunnel."""
    done = subprocess.run(
        host.ssh_argv(options=("-W", "127.0.0.1:80")),
        input="HEAD / HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    return done.stdout


def _tunnels_work(host: LabHost) -> None:
    assert "HTTP/" in _through_ssh(host)


def _forwarding(host: LabHost) -> Answers:
    sshd = _told(host)
    off = ("allowtcpforwarding", "allowagentforwarding", "x11forwarding", "permittunnel")
    return [
        ("disableforwarding yes", sshd["disableforwarding"] == "yes"),
        *((f"{option} no", sshd[option] == "no") for option in off),
        ("tcpkeepalive no", sshd["tcpkeepalive"] == "no"),
        ("compression no", sshd["compression"] == "no"),
        ("no tunnel to Apache can be opened", "HTTP/" not in _through_ssh(host)),
    ]


def _logging(host: LabHost) -> Answers:
    sshd = _told(host)
    argv = [word for word in host.ssh_argv("true") if word != "-q"]
    seen = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stderr
    said = host.out("journalctl", "-b", "-o", "cat", "-t", "sshd", "-t", "sshd-session")
    return [
        ("loglevel VERBOSE", sshd["loglevel"] == "VERBOSE"),
        ("banner /etc/issue.net", sshd["banner"] == "/etc/issue.net"),
        ("a login is warned before it", "Authorized access only" in seen),
        ("the warning names no system", "Debian" not in seen),
        ("the key of a login is in the journal", "Accepted key ED25519 SHA256:" in said),
    ]


TRIALS = (
    Trial(step="ssh.forwarding", furnish=_tunnels_work, holds=_forwarding),
    Trial(step="ssh.logging", holds=_logging),
)
