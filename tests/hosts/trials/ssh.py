"""The steps about the way in over SSH."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.hosts.base import key
from tests.hosts.lab import LabHost
from tests.hosts.program import harden
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


_POLICIES = Path(__file__).parent.parent / "policies"
_RELEASES = {"bookworm": 12, "trixie": 13}
_JUDGE = ("ssh-audit", "-n", "-P", "/root/policy.txt")


def _judge_comes(host: LabHost) -> None:
    policy = _POLICIES / f"hardened-debian-{_RELEASES[host.suite]}.txt"
    host.write("/root/policy.txt", policy.read_bytes())
    host.run("apt-get", "install", "-y", "-q", "ssh-audit")
    assert "Failed" in _judged(host)


def _judge_goes(host: LabHost) -> None:
    host.run("apt-get", "purge", "-y", "-q", "--autoremove", "ssh-audit")
    host.run("rm", "-f", "/root/policy.txt")


def _judged(host: LabHost) -> str:
    """Not over 127.0.0.1: trixie's sshd turns away an address that looks and does not log in."""
    return host.run(*_JUDGE, host.address, check=False).stdout


_HOST_KEYS = "ssh-ed25519,rsa-sha2-512,rsa-sha2-256"


def _offered_keys(host: LabHost) -> str:
    """What sshd's first packet says, as a client's debug lines tell it."""
    argv = [*host.ssh_argv("true", options=("-vv",))]
    argv.remove("-q")
    said = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stderr
    server = said.partition("peer server KEXINIT proposal")[2]
    return server.partition("host key algorithms: ")[2].partition("\n")[0].strip()


def _crypto(host: LabHost) -> Answers:
    sshd = _told(host)
    scan = host.run("ssh-keyscan", "-t", "rsa,ed25519", "127.0.0.1")
    sizes = host.run("ssh-keygen", "-l", "-f", "-", stdin=scan.stdout).stdout
    old = host.ssh_argv("true", options=("-o", "KexAlgorithms=ecdh-sha2-nistp256"))
    refused = subprocess.run(old, capture_output=True, timeout=30, check=False).returncode
    small = host.out("awk", "$5 ~ /^[0-9]+$/ && $5 < 3071", "/etc/ssh/moduli")
    return [
        ("ssh-audit's policy for this release passes", "Passed" in _judged(host)),
        ("sshd accepts no ECDSA", "ecdsa" not in sshd["hostkeyalgorithms"]),
        ("Ed25519 comes first, then RSA", _offered_keys(host) == _HOST_KEYS),
        ("the RSA host key it shows has 4096 bits", "4096 SHA256:" in sizes),
        ("it shows an Ed25519 host key", "(ED25519)" in sizes),
        ("its version line does not name Debian", "Debian" not in f"{scan.stdout}{scan.stderr}"),
        ("requiredrsasize 3072", sshd["requiredrsasize"] == "3072"),
        ("an older key exchange is refused", refused != 0),
        ("no small group is left", small == ""),
    ]


def _carol_comes(host: LabHost) -> None:
    host.run("useradd", "-m", "-s", "/bin/bash", "carol")
    host.run("cp", "-a", "/root/.ssh", "/home/carol/.ssh")
    host.run("chown", "-R", "carol:carol", "/home/carol/.ssh")
    assert host.can_log_in("carol")
    assert host.can_log_in("root")


def _carol_goes(host: LabHost) -> None:
    host.run("userdel", "-r", "carol", check=False)


def _allow(host: LabHost) -> Answers:
    sshd = _told(host)
    elsewhere = ("--set", "ssh.allow.network=192.0.2.0/24", "--format", "json")
    refused = harden(host, "plan", "ssh.allow", *elsewhere, check=False).stdout
    return [
        ("allowgroups sudo", sshd["allowgroups"] == "sudo"),
        ("allowusers names the network", sshd["allowusers"] == "*@10.77.0.0/16"),
        ("carol, who is in no such group, is shut out", not host.can_log_in("carol")),
        ("so is root", not host.can_log_in("root")),
        (
            "a network that the present administrator is not in is refused",
            "AllowUsers does not name alice" in refused,
        ),
    ]


def _dave_comes(host: LabHost) -> None:
    host.run("useradd", "-m", "-s", "/bin/bash", "-G", "sudo", "dave")
    host.write("/root/dave.pub", key().with_suffix(".pub").read_bytes())
    assert not host.can_log_in("dave")


def _dave_goes(host: LabHost) -> None:
    host.run("userdel", "-r", "dave", check=False)
    host.run("rm", "-f", "/root/dave.pub")


def _admin_key(host: LabHost) -> Answers:
    modes = host.out("stat", "-c", "%a %U:%G", "/home/dave/.ssh", "/home/dave/.ssh/authorized_keys")
    return [
        ("dave can log in", host.can_log_in("dave")),
        ("nobody else may look at the keys", modes == "700 dave:dave\n600 dave:dave"),
    ]


TRIALS = (
    Trial(
        step="ssh.admin-key",
        furnish=_dave_comes,
        holds=_admin_key,
        tidy=_dave_goes,
        roots=("/home",),
        given=(
            *("--set", "ssh.admin-key.user=dave"),
            *("--set", "ssh.admin-key.key=/root/dave.pub"),
        ),
    ),
    Trial(step="ssh.forwarding", furnish=_tunnels_work, holds=_forwarding),
    Trial(step="ssh.logging", holds=_logging),
    Trial(step="ssh.crypto", furnish=_judge_comes, holds=_crypto, tidy=_judge_goes),
    Trial(
        step="ssh.allow",
        furnish=_carol_comes,
        holds=_allow,
        tidy=_carol_goes,
        given=(
            *("--set", "ssh.allow.groups=sudo"),
            *("--set", "ssh.allow.network=10.77.1.9/16"),
        ),
    ),
)
