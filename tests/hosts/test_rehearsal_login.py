"""The login rehearsal against the real sshd: what it foresees is what a login then meets.

In each situation the host is already as the step would leave it, so that the same question has two
answers: the rehearsal's, and that of a real login.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.lab import LabHost

pytestmark = pytest.mark.either_release

KEYS = "/home/alice/.ssh/authorized_keys"
CONF = "/etc/ssh/sshd_config.d/x.conf"
SITE = "/etc/harden-tui/steps.d/site.yaml"
STEP = """\
- id: site.step
  stage: pre-install
  title: A step of this site
  why: For this test.
  breaks: Nothing.
  source: this test
  guard: login
  ensure:
    - {body}
"""


@pytest.fixture(scope="module")
def one(suite: str, installed: Path) -> Iterator[LabHost]:
    """A host that the situations share; each is put right again."""
    with LabHost(suite, installed) as host:
        host.run("mkdir", "-p", "/etc/harden-tui/steps.d")
        host.run("sh", "-c", f"mkdir /root/kept && cp -a {KEYS} /root/kept/keys")
        host.run("cp", "-a", "/etc/pam.d/sshd", "/etc/security/access.conf", "/etc/shadow",
                 "/root/kept/")  # fmt: skip
        yield host


@pytest.fixture
def host(one: LabHost) -> Iterator[LabHost]:
    yield one
    one.run(
        "sh", "-c",
        "rm -rf /etc/ssh/sshd_config.d/*.conf /etc/ssh/keys /etc/ssh/revoked /etc/nologin"
        " /run/nologin"
        f" /home/alice/.ssh {SITE}; install -d -o alice -g alice -m 700 /home/alice/.ssh;"
        f" cp -a /root/kept/keys {KEYS}; cp -a /root/kept/sshd /etc/pam.d/;"
        " cp -a /root/kept/access.conf /etc/security/; cp -a /root/kept/shadow /etc/;"
        " systemctl reload ssh",
    )  # fmt: skip
    _reloaded()


def _reloaded() -> None:
    time.sleep(0.4)  # systemctl comes back before sshd has read its files again


def rehearsed(host: LabHost, step: str, user: str = "alice") -> dict[str, Any]:
    """The plan of a step for who came as `user` from this side of the network."""
    near = f"10.77.{host.number}.1"
    done = host.run(
        "env", f"SUDO_USER={user}", f"SSH_CONNECTION={near} 50000 {host.address} 22",
        "harden-tui", "plan", step, "--format", "json", check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    plan: dict[str, Any] = json.loads(done.stdout)["steps"][0]
    assert plan["changes"], plan
    return plan


def _allow(place: str) -> str:
    return f"echo '{place}' >{CONF}; systemctl reload ssh"


_ACCESS = (
    "sed -i 's/^account *required *pam_nologin.so/&\\naccount required pam_access.so/'"
    " /etc/pam.d/sshd; echo '{}' >/etc/security/access.conf"
)
_COMMAND = (
    "install -d /etc/ssh/keys; cd /etc/ssh/keys; mv {keys} list; chmod 644 list;"
    " printf '#!/bin/sh\\ncat /etc/ssh/keys/list\\n' >ask; chmod {mode} ask;"
    " printf 'AuthorizedKeysCommand /etc/ssh/keys/ask %%u\\nAuthorizedKeysCommandUser nobody\\n'"
    " >{conf}; systemctl reload ssh"
)


@pytest.mark.parametrize(
    ("situation", "reason"),
    [
        (_allow("AllowUsers alice@10.77.0.0/16"), ""),
        (_allow("AllowUsers alice@192.0.2.0/24"), "AllowUsers does not name alice"),
        (_allow("DenyUsers !alice *"), "DenyUsers shuts alice out"),
        (_allow("AllowUsers !alice *"), ""),
        (_allow("AllowUsers alice@!10.77.0.0/16,*"), "AllowUsers does not name alice"),
        (_allow("DenyGroups sudo"), "DenyGroups shuts alice out"),
        (_allow("Match Address 10.77.0.0/16\n PubkeyAuthentication no"), "PubkeyAuthentication"),
        (_allow("Match Host 10.77.*\n AllowUsers bob"), "AllowUsers does not name alice"),
        (_allow("Match LocalPort 22\n ForceCommand /bin/false"), "ForceCommand binds alice"),
        (_allow("UseDNS yes\nAllowUsers alice@10.77.*"), ""),
        (_allow("PubkeyAcceptedAlgorithms rsa-sha2-512"), "does not accept ssh-ed25519"),
        (_allow("MaxSessions 0"), "MaxSessions 0 lets nobody in"),
        (_allow("MaxAuthTries 0"), "MaxAuthTries 0 lets nobody in"),
        (
            f"install -d /etc/ssh/keys; mv {KEYS} /etc/ssh/keys/alice; cd /etc/ssh/keys;"
            " chown root alice; chmod 644 alice;" + _allow("AuthorizedKeysFile /etc/ssh/keys/%u"),
            "",
        ),
        (
            f"install -d -m 777 /etc/ssh/keys; mv {KEYS} /etc/ssh/keys/alice;"
            + _allow("AuthorizedKeysFile /etc/ssh/keys/%u"),
            "/etc/ssh/keys is writable by others",
        ),
        (f"cp {KEYS} /etc/ssh/revoked;" + _allow("RevokedKeys /etc/ssh/revoked"), "lists the key"),
        (
            f"ssh-keygen -q -k -f /etc/ssh/revoked {KEYS};"
            + _allow("RevokedKeys /etc/ssh/revoked"),
            "lists the key",
        ),
        (
            "ssh-keygen -q -k -f /etc/ssh/revoked /etc/ssh/ssh_host_rsa_key.pub;"
            + _allow("RevokedKeys /etc/ssh/revoked"),
            "",
        ),
        (_allow("RevokedKeys /etc/ssh/nowhere"), "cannot be read"),
        (_COMMAND.format(keys=KEYS, mode="755", conf=CONF), ""),
        (_COMMAND.format(keys=KEYS, mode="775", conf=CONF), ""),
        (_COMMAND.format(keys=KEYS, mode="777", conf=CONF), "sshd does not run it"),
        ("chmod 770 /home/alice/.ssh", ""),
        ("chmod 770 /home/alice/.ssh; chgrp users /home/alice/.ssh", "writable by others"),
        (f"sed -i 's/^/from=\"192.0.2.1\" /' {KEYS}", "the key is not accepted from 10.77."),
        (f"sed -i 's/^/expiry-time=\"20200101\" /' {KEYS}", "the key has expired"),
        (_ACCESS.format("-:ALL EXCEPT root:ALL"), "access.conf shuts alice out from 10.77."),
        (_ACCESS.format("+:(sudo):10.77.0.0/16\n-:ALL:ALL"), ""),
        ("touch /run/nologin", "/run/nologin exists"),
        ("passwd -q -l alice; chage -d 0 alice", "the password of alice has expired"),
        ("chage -E 2020-01-01 alice", "the account alice has expired"),
    ],
)
def test_what_is_foreseen_is_what_a_login_meets(host: LabHost, situation: str, reason: str) -> None:
    host.run("sh", "-c", situation)
    _reloaded()
    lockouts = " ".join(rehearsed(host, "ssh.root-login")["lockouts"])
    assert reason in lockouts and bool(lockouts) is bool(reason)
    assert host.can_log_in() is not bool(reason)


def _site(host: LabHost, body: str, guard: str = "guard: login") -> None:
    host.write(SITE, STEP.format(body=body).replace("guard: login", guard))


def _file(path: str, content: str, mode: str = "0644") -> str:
    return f"file: {{path: {path}, content: {json.dumps(content)}, mode: '{mode}'}}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sshd: {Port: {is: '2222'}}", "where sshd would not listen any more"),
        (_file(CONF, "Port 2222\nPort 22\n"), ""),
        (_file(CONF, "ListenAddress 127.0.0.1\n"), "where sshd would not listen any more"),
        (_file(CONF, "AllowGroups nobody\n"), "AllowGroups names no group of alice"),
        (_file(CONF, "Nonsense yes\n"), "sshd would not accept the new configuration"),
        (_file("/etc/nologin", "closed\n"), "while /etc/nologin"),
        (
            _file("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n", "0440"),
            "no account but root may become root",
        ),
        (_file("/etc/sudoers", "alice ALL=(ALL) ALL\n", "0440"), ""),
        (_file("/etc/sudoers", "alice ALL=(ALL\n", "0440"), "sudo would not accept"),
        (_file("/etc/sudoers.d/alice", "alice ALL=(ALL) /bin/ls\n", "0440"), ""),
    ],
)
def test_a_step_of_a_site_is_rehearsed_too(host: LabHost, body: str, reason: str) -> None:
    _site(host, body)
    lockouts = " ".join(rehearsed(host, "site.step")["lockouts"])
    assert reason in lockouts and bool(lockouts) is bool(reason)


def test_files_that_decide_who_becomes_root_need_no_guard_to_be_rehearsed(host: LabHost) -> None:
    _site(host, _file("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n", "0440"), guard="after: []")
    assert "Nobody could become root" in rehearsed(host, "site.step")["lockouts"][0]
    _site(host, _file("/etc/sudoers", "alice ALL=(ALL) ALL\n", "0440"), guard="after: []")
    assert rehearsed(host, "site.step")["lockouts"] == []


def test_a_password_that_faillock_locked_makes_nobody_root(host: LabHost) -> None:
    host.run("sh", "-c", "cp -a /etc/pam.d/sudo /etc/sudoers.d/alice /root/kept/")
    host.write(
        "/etc/pam.d/sudo",
        "auth required pam_faillock.so preauth deny=2\nauth [success=1 default=bad] pam_unix.so\n"
        "auth [default=die] pam_faillock.so authfail deny=2\nauth required pam_permit.so\n"
        "@include common-account\n",
    )
    sudo = ("su", "alice", "-c", "sudo -k -S true")
    try:
        host.run("rm", "/etc/sudoers.d/alice")
        _site(host, _file("/etc/ssh/sshd_config.d/a.conf", "MaxAuthTries 4\n"))
        assert host.run(*sudo, stdin="correct horse\n", check=False).returncode == 0
        assert rehearsed(host, "site.step")["lockouts"] == []
        host.run(*sudo, stdin="a\nb\nc\n", check=False)
        assert host.run(*sudo, stdin="correct horse\n", check=False).returncode != 0
        assert "no account but root" in rehearsed(host, "site.step")["lockouts"][0]
    finally:
        host.run("sh", "-c", "cp -a /root/kept/sudo /etc/pam.d/; cp -a /root/kept/alice"
                 " /etc/sudoers.d/; faillock --user alice --reset")  # fmt: skip


def test_ssh_socket_must_go_on_listening_at_this_port(host: LabHost) -> None:
    host.run("sh", "-c", "systemctl disable -q --now ssh; systemctl enable -q --now ssh.socket")
    try:
        assert host.can_log_in()
        place = "/etc/systemd/system/ssh.socket.d/port.conf"
        _site(host, _file(place, "[Socket]\nListenStream=\nListenStream=2222\n"))
        assert "ssh.socket would not listen any more" in rehearsed(host, "site.step")["lockouts"][0]
        _site(host, _file(place, "[Socket]\nListenStream=2222\n"))
        assert rehearsed(host, "site.step")["lockouts"] == []
        _site(host, _file(CONF, "Port 2222\n"))  # the socket goes on listening at 22
        assert rehearsed(host, "site.step")["lockouts"] == []
    finally:
        host.run("sh", "-c", "systemctl disable -q --now ssh.socket; systemctl stop ssh;"
                 " systemctl enable -q --now ssh")  # fmt: skip


def _as_alice(
    host: LabHost, key: Path, more: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    argv = host.ssh_argv("sudo harden-tui plan site.step --format json", options=more)
    argv[argv.index("-i") + 1] = str(key)
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def _key(place: Path, kind: str) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(place), "-C", place.name], check=True
    )
    return place


def test_the_key_in_hand_is_the_one_that_counts(host: LabHost, tmp_path: Path) -> None:
    """Another key of the same account lies on another machine."""
    rsa = _key(tmp_path / "rsa", "rsa")
    public = rsa.with_suffix(".pub").read_text()
    host.run("sh", "-c", f"cat >>{KEYS}", stdin=public)
    _site(host, _file(CONF, "PubkeyAcceptedAlgorithms ssh-ed25519\n"))
    by_rsa = json.loads(_as_alice(host, rsa).stdout)["steps"][0]["lockouts"]
    assert "the key alice came in with (SHA256:" in by_rsa[0]
    assert "does not accept ssh-rsa" in by_rsa[0]
    assert json.loads(host.ssh("sudo harden-tui plan site.step --format json", check=False).stdout)[
        "steps"
    ][0]["lockouts"] == []  # fmt: skip


def test_a_certificate_counts_while_its_authority_is_trusted(host: LabHost, tmp_path: Path) -> None:
    authority, mine = _key(tmp_path / "ca", "ed25519"), _key(tmp_path / "mine", "ed25519")
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(authority), "-I", "laptop", "-n", "alice",
         str(mine.with_suffix(".pub"))],
        check=True,
    )  # fmt: skip
    host.write("/etc/ssh/keys/ca.pub", authority.with_suffix(".pub").read_text())
    host.run("sh", "-c", f"rm {KEYS}; echo 'TrustedUserCAKeys /etc/ssh/keys/ca.pub' >{CONF};"
             " systemctl reload ssh")  # fmt: skip
    _reloaded()
    for content, reason in (
        ("MaxAuthTries 4\n", ""),
        ("TrustedUserCAKeys none\n", "is not trusted"),
        ("PubkeyAcceptedAlgorithms ssh-ed25519\n", "does not accept the ED25519-CERT"),
        ("AuthorizedPrincipalsFile /etc/ssh/keys/nobody\n", "names nobody"),
    ):
        _site(host, _file("/etc/ssh/sshd_config.d/a.conf", content))
        done = _as_alice(host, mine)
        lockouts = " ".join(json.loads(done.stdout)["steps"][0]["lockouts"])
        assert reason in lockouts and bool(lockouts) is bool(reason)


def test_a_lock_out_is_forced_with_the_hosts_name_only(host: LabHost) -> None:
    host.run("sh", "-c", f"mv {KEYS} /root/kept/moved")
    asked = ("harden-tui", "apply", "ssh.limits", "--yes")
    refused = host.run(*asked, check=False)
    assert refused.returncode == 3 and "`--force` does it all the same" in refused.stdout
    wrong = host.run(*asked, "--force", "--word", "elsewhere", check=False)
    assert wrong.returncode == 3 and f"the name of this host ({host.name})" in wrong.stderr
    host.run(*asked, "--no-wait", "--force", "--word", host.name)
    assert "forced" in host.out("harden-tui", "log", "show")
    host.run("harden-tui", "recover", "--yes")  # nobody can come in to confirm it
