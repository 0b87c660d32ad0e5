"""Accounts: passwords, shells, sudo and how PAM treats them."""

from __future__ import annotations

import subprocess
from functools import partial

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial


def pam_regenerated(host: LabHost, name: str) -> tuple[str, bool]:
    """Whether pam-auth-update keeps the file as it is, as packages make it do."""
    path = f"/etc/pam.d/{name}"
    before = host.out("cat", path)
    host.run("pam-auth-update", "--package")
    return f"pam-auth-update keeps {path}", host.out("cat", path) == before


def no_manager(host: LabHost, name: str) -> None:
    """End the systemd of whoever was here for a moment: in a container it may take 90 s to go, and
    the next login waits for that."""
    number = host.out("id", "-u", name)
    host.run("systemctl", "kill", "--signal=KILL", f"user@{number}.service", check=False)


def _kiosk(host: LabHost) -> None:
    host.run("useradd", "--create-home", "--shell", "/bin/bash", "kiosk")
    host.run("passwd", "--delete", "kiosk")
    assert _becomes(host, "kiosk"), "an empty password lets nobody in here: nothing is tried"


def _no_kiosk(host: LabHost) -> None:
    host.run("userdel", "--remove", "kiosk", check=False)


def _becomes(host: LabHost, name: str) -> bool:
    """Whether anybody becomes NAME with su without being asked."""
    asked = host.run("runuser", "-u", "nobody", "--", "su", name, "-c", "id -un", check=False)
    no_manager(host, name)
    return asked.stdout.strip() == name


def _no_empty_passwords(host: LabHost) -> Answers:
    without = [line for line in host.out("getent", "shadow").splitlines() if "::" in line[:20]]
    return [
        ("no field of a password is empty", not [w for w in without if w.split(":")[1] == ""]),
        ("kiosk is locked", host.out("passwd", "-S", "kiosk").split()[1] == "L"),
        ("nobody becomes kiosk without a password", not _becomes(host, "kiosk")),
        ("nullok stands nowhere", host.run("grep", "-rn", "nullok", "/etc/pam.d/common-auth",
                                           check=False).returncode == 1),
        ("sshd refuses empty passwords", "permitemptypasswords no" in host.out("sshd", "-T")),
        pam_regenerated(host, "common-auth"),
    ]  # fmt: skip


def _git(host: LabHost) -> None:
    host.run("useradd", "--system", "--create-home", "--shell", "/bin/bash", "git")
    host.run("chpasswd", stdin="git:staple-horse-7\n")
    assert host.out("runuser", "git", "-c", "id -un") == "git"


def _no_git(host: LabHost) -> None:
    host.run("userdel", "--remove", "git", check=False)


def _system_shells(host: LabHost) -> Answers:
    became = host.run("runuser", "git", "-c", "id -un", check=False)
    return [
        ("git has nologin", host.out("getent", "passwd", "git").endswith(":/usr/sbin/nologin")),
        ("nobody becomes git", "not available" in became.stdout),
        ("git's password is locked", host.out("passwd", "-S", "git").split()[1] == "L"),
        (
            "git's files are still there",
            host.run("test", "-f", "/home/git/.bashrc").returncode == 0,
        ),
        ("sync is left alone", host.out("getent", "passwd", "sync").endswith(":/bin/sync")),
    ]


def _sudo_log(host: LabHost) -> Answers:
    host.ssh("sudo /usr/bin/id -un")
    log = host.out("cat", "/var/log/sudo.log")
    settings = host.out("sudo", "-l", "-U", "root")
    rotated = host.out("cat", "/etc/logrotate.d/harden-tui-sudo")
    return [
        ("sudo logs to a file", "logfile=/var/log/sudo.log" in settings),
        ("sudo looks for nothing where it stands", "ignore_dot" in settings),
        ("alice's call is in it", "alice" in log and "COMMAND=/usr/bin/id" in log),
        ("visudo accepts it", host.run("visudo", "-c").returncode == 0),
        ("the log is root's alone", host.out("stat", "-c", "%a %U", "/var/log/sudo.log")
         == "600 root"),
        ("it is rotated", rotated.splitlines()[1] == "/var/log/sudo.log {"),
    ]  # fmt: skip


def _root_locked(host: LabHost) -> Answers:
    asked = asks_for_root(host)
    return [
        ("root's password is locked", host.out("passwd", "-S", "root").split()[1] == "L"),
        ("su with the old password fails", asked != "root"),
        ("alice becomes root with sudo", host.ssh("sudo id -un").stdout.strip() == "root"),
    ]


def _root_password(host: LabHost) -> None:
    assert asks_for_root(host) == "root", "root's password lets nobody in here: nothing is tried"


STAPLE = "battery staple"


def asks_for_root(host: LabHost) -> str:
    """Who alice is after su with root's password."""
    return asks_for(host, "root", STAPLE, "alice")


def asks_for(host: LabHost, name: str, password: str, by: str = "nobody") -> str:
    """Who `by` is after su with a password; empty where it is refused."""
    asked = host.run(
        "runuser", "-u", by, "--", "su", name, "-c", "id -un",
        stdin=f"{password}\n", check=False,
    )  # fmt: skip
    no_manager(host, name)
    return asked.stdout.strip()


def _password_policy(host: LabHost) -> Answers:
    short = host.run("chpasswd", stdin="judge:Rover-7x\n", check=False)
    plain = host.run("chpasswd", stdin="judge:seven-horses-n-staples\n", check=False)
    long, secret, again = _given_a_password(host, "judge", "7-Horses-n-staples")
    return [
        ("a short password is refused, root's too", short.returncode != 0),
        ("one without a digit and a capital is refused", plain.returncode != 0),
        ("a long one is taken", long.returncode == 0),
        ("it is not taken a second time", again.returncode != 0),
        ("its hash costs 7 rounds of yescrypt", secret.startswith("$y$jBT$")),
        ("a session begins with umask 027", host.ssh("umask").stdout.strip() == "0027"),
        ("alice's password runs out", "\t: 365\n" in host.run("chage", "-l", "alice").stdout),
        ("new accounts are closed in time", "INACTIVE=45" in host.out("useradd", "-D")),
        *(pam_regenerated(host, name)
          for name in ("common-password", "common-session", "common-session-noninteractive")),
    ]  # fmt: skip


def _given_a_password(
    host: LabHost, name: str, password: str
) -> tuple[subprocess.CompletedProcess[str], str, subprocess.CompletedProcess[str]]:
    """How chpasswd ended, the hash it made, and how it ended when told the same after another;
    what it wrote is put back as it was."""
    kept = ("shadow", "shadow-", "security/opasswd")
    host.run("cp", "-a", *(f"/etc/{name}" for name in kept), "/root")
    done = host.run("chpasswd", stdin=f"{name}:{password}\n", check=False)
    secret = host.out("getent", "shadow", name).split(":")[1]
    host.run("chpasswd", stdin=f"{name}:{password}-but-4-others\n")
    again = host.run("chpasswd", stdin=f"{name}:{password}\n", check=False)
    host.run("cp", "-a", "/root/shadow", "/root/shadow-", "/etc")
    host.run("cp", "-a", "/root/opasswd", "/etc/security/opasswd")
    host.run("rm", "/etc/security/opasswd.old", *(f"/root/{name.split('/')[-1]}" for name in kept))
    return done, secret, again


def _judge(host: LabHost) -> None:
    host.run("useradd", "judge")
    assert host.ssh("umask").stdout.strip() != "0027", "sessions begin with 027 already"


def _no_judge(host: LabHost) -> None:
    host.run("userdel", "judge", check=False)


BOB = "staple-Horse-seven-battery"
BOBS_KEY = """\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACAshVeSd+VKjLImSZZ4kPeNmP0/w3lUq7KMIwZul0WmpwAAAJCOPuA9jj7g
PQAAAAtzc2gtZWQyNTUxOQAAACAshVeSd+VKjLImSZZ4kPeNmP0/w3lUq7KMIwZul0Wmpw
AAAEDF5Jgfyt9Qe39p+vffPGpaY/ppKH6blBZMt9qQHNhAhiyFV5J35UqMsiZJlniQ942Y
/T/DeVSrsowjBm6XRaanAAAACWJvYkB0cmlhbAECAwQ=
-----END OPENSSH PRIVATE KEY-----
"""
"""Made for this trial alone, for a host that is thrown away."""

BOBS_PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICyFV5J35UqMsiZJlniQ942Y/T/DeVSrsowjBm6XRaan bob@trial"
)


def _bob(host: LabHost) -> Answers:
    private = host.directory / "bob"
    private.write_text(BOBS_KEY)
    private.chmod(0o600)
    login = partial(_logged_in_with, host, "bob", str(private))
    place = host.out("stat", "-c", "%a %U:%G", "/home/bob/.ssh", "/home/bob/.ssh/authorized_keys")
    answers = [
        ("bob comes in with his key", login("id -un") == "bob"),
        ("bob becomes root with his password",
         login(f"printf '%s\\n' {BOB} | sudo -S -p '' id -un") == "root"),
        ("bob does not become root without it", login("sudo -k -n id -un") != "root"),
    ]  # fmt: skip
    no_manager(host, "bob")
    host.run("rm", "-f", "/home/bob/.sudo_as_admin_successful")  # sudo's own, not ours to undo
    spilled = host.run(
        "grep", "-rlF", BOB, "/etc", "/var/lib/harden-tui", "/var/log", "/run", check=False
    )
    return [
        *answers,
        ("only bob writes his keys", place.splitlines() == ["700 bob:bob", "600 bob:bob"]),
        ("the password is in no file", spilled.stdout == ""),
        ("the password is not in the journal", BOB not in host.out("journalctl", "--no-pager")),
    ]


def _logged_in_with(host: LabHost, user: str, private: str, command: str) -> str:
    argv = host.ssh_argv(command, user=user, options=("-i", private))
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
    )
    return done.stdout.strip()


TRIALS = (
    Trial(
        step="accounts.admin-user",
        holds=_bob,
        given=(
            "--set",
            "accounts.admin-user.name=bob",
            "--set",
            f"accounts.admin-user.key={BOBS_PUBLIC_KEY}",
        ),
        values=f"accounts.admin-user: {{password: {BOB}}}\n",
        roots=("/home/bob",),
    ),
    Trial(
        step="accounts.password-policy",
        furnish=_judge,
        tidy=_no_judge,
        holds=_password_policy,
        roots=("/usr/share/pam-configs", "/var/lib/pam"),
        given=(
            "--set",
            "accounts.password-policy.packages=libpam-pwquality",
            "--set",
            "accounts.password-policy.ageing=everyone",
        ),
    ),
    Trial(
        step="accounts.no-empty-passwords",
        furnish=_kiosk,
        tidy=_no_kiosk,
        holds=_no_empty_passwords,
    ),
    Trial(step="accounts.system-shells", furnish=_git, tidy=_no_git, holds=_system_shells),
    Trial(step="accounts.sudo-log", holds=_sudo_log),
    Trial(step="accounts.root-locked", furnish=_root_password, holds=_root_locked),
)
