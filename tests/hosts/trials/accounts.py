"""Accounts: passwords, shells, sudo and how PAM treats them."""

from __future__ import annotations

import subprocess
from functools import partial

from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial


def _pam_regenerated(host: LabHost, name: str) -> tuple[str, bool]:
    """Whether pam-auth-update keeps the file as it is, as packages make it do."""
    path = f"/etc/pam.d/{name}"
    before = host.out("cat", path)
    host.run("pam-auth-update", "--package")
    return f"pam-auth-update keeps {path}", host.out("cat", path) == before


def _no_manager(host: LabHost, name: str) -> None:
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
    _no_manager(host, name)
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
        _pam_regenerated(host, "common-auth"),
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
    asked = _asks_for_root(host)
    return [
        ("root's password is locked", host.out("passwd", "-S", "root").split()[1] == "L"),
        ("su with the old password fails", asked != "root"),
        ("alice becomes root with sudo", host.ssh("sudo id -un").stdout.strip() == "root"),
    ]


def _root_password(host: LabHost) -> None:
    assert _asks_for_root(host) == "root", "root's password lets nobody in here: nothing is tried"


STAPLE = "battery staple"


def _asks_for_root(host: LabHost) -> str:
    """Who alice is after su with root's password."""
    return _asks_for(host, "root", STAPLE, "alice")


def _asks_for(host: LabHost, name: str, password: str, by: str = "nobody") -> str:
    """Who `by` is after su with a password; empty where it is refused."""
    asked = host.run(
        "runuser", "-u", by, "--", "su", name, "-c", "id -un",
        stdin=f"{password}\n", check=False,
    )  # fmt: skip
    _no_manager(host, name)
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
        *(_pam_regenerated(host, name)
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


def _lockout(host: LabHost) -> Answers:
    for _ in range(3):
        assert _asks_for(host, "alice", "wrong") != "alice"
    counted = host.out("faillock", "--user", "alice").count(" su ")
    paused = _asks_for(host, "alice", STAPLE)
    host.ssh("true")
    forgotten = host.out("faillock", "--user", "alice").count(" su ")
    for _ in range(3):
        _asks_for(host, "root", "wrong")
    after = _asks_for(host, "alice", STAPLE)
    return [
        ("three wrong passwords are counted", counted == 3),
        ("the right one is refused then", paused != "alice"),
        ("alice comes in with her key, and the count begins anew", forgotten == 0),
        ("the right one is taken again", after == "alice"),
        ("root is never locked", _asks_for_root(host) == "root"),
        *(_pam_regenerated(host, name) for name in ("common-auth", "common-account")),
    ]  # fmt: skip


def _alices_password(host: LabHost) -> None:
    """Alice gets a password that lets her in, and whoever guesses is not stopped yet."""
    host.run("cp", "-a", "/etc/shadow", "/etc/shadow-", "/root")
    host.run("chpasswd", stdin=f"alice:{STAPLE}\n")
    for _ in range(3):
        assert _asks_for(host, "alice", "wrong") == ""
    assert _asks_for(host, "alice", STAPLE) == "alice"


def _no_alices_password(host: LabHost) -> None:
    host.run("cp", "-a", "/root/shadow", "/root/shadow-", "/etc")
    host.run("rm", "/root/shadow", "/root/shadow-")


def _judge(host: LabHost) -> None:
    host.run("useradd", "judge")
    assert host.ssh("umask").stdout.strip() != "0027", "sessions begin with 027 already"


def _no_judge(host: LabHost) -> None:
    host.run("userdel", "judge", check=False)


_TELL = 'echo "$(umask) ${TMOUT-never}"'


def _sessions(host: LabHost) -> Answers:
    login = host.ssh(f"bash --login -c '{_TELL}'").stdout.strip()
    terminal = host.ssh(f"bash -i -c '{_TELL}' 2>&1").stdout.strip().splitlines()[-1]
    tmux = host.ssh(f"TMUX=x bash --login -c '{_TELL}'").stdout.strip()
    again = host.ssh("bash --login -c '. /etc/profile; TMOUT=0; echo gone'", check=False)
    deployed = host.ssh("bash --login -c 'sudo sh -c umask'").stdout.strip()
    command = host.ssh("umask").stdout.strip()
    return [
        ("a login shell has umask 077 and ends after 900 s", login == "0077 900"),
        ("a bash at a terminal has umask 077", terminal.startswith("0077 ")),
        ("a prompt in tmux may stand", tmux == "0077 never"),
        ("a person cannot lift it", "readonly" in again.stderr and "gone" not in again.stdout),
        ("the profile may be read twice", again.stderr.count("readonly") == 1),
        ("what runs under sudo keeps what PAM gives", deployed != "0077"),
        ("what is run over SSH keeps what PAM gives", command != "0077"),
        ("a shell that is no bash takes it", host.ssh(f"dash -lc '{_TELL}'").stdout.strip()
         == "0077 900"),
    ]  # fmt: skip


def _sudo_callers(host: LabHost) -> Answers:
    web = host.run("runuser", "-u", "www-data", "--", "sudo", "-n", "-l", check=False)
    upgraded = host.run("dpkg-statoverride", "--list", "/usr/bin/sudo", check=False)
    return [
        ("www-data cannot start sudo", web.returncode == 126 or "ermission denied" in web.stderr),
        ("alice can", host.ssh("sudo id -un").stdout.strip() == "root"),
        ("it is root's, and its group's to start",
         host.out("stat", "-c", "%a %U:%G", "/usr/bin/sudo") == "4110 root:sudo"),
        ("an upgrade keeps it", "root sudo 4110" in upgraded.stdout),
    ]  # fmt: skip


def _private_tmp(host: LabHost) -> Answers:
    own = host.ssh("echo $TMPDIR; stat -c '%a %U' $TMPDIR").stdout.split()
    root = host.ssh("sudo sh -c 'echo $TMPDIR; mktemp'").stdout.split()
    php = "echo sys_get_temp_dir(), ' ', tempnam('', 'x');"
    web = host.ssh(f'sudo -u www-data php -r "{php}"').stdout.split()
    update = host.ssh("sudo apt-get update -q", check=False)
    service = host.out("systemctl", "show", "-P", "Environment", "apache2.service")
    return [
        ("alice has a directory of her own", own == ["/tmp/user/1000", "700", "alice"]),
        ("root has one, and writes there", root[0] == "/tmp/user/0" and "/tmp/user/0/" in root[1]),
        ("PHP of www-data writes into its own", web[0] == "/tmp/user/33" and web[0] in web[1]),
        ("apt works under sudo", update.returncode == 0 and "W:" not in update.stderr),
        ("Apache has no such directory", "TMPDIR" not in service),
        _pam_regenerated(host, "common-session"),
    ]


def _no_private_tmp(host: LabHost) -> None:
    host.run("rm", "-rf", "/tmp/user")


def _open_homes(host: LabHost) -> None:
    """Alice's stands open, as useradd makes them; carol's has pages that are served."""
    host.run("useradd", "--create-home", "--shell", "/bin/bash", "carol")
    host.run("chmod", "755", "/home/alice", "/home/carol")
    host.run("install", "-d", "-o", "carol", "/home/carol/public_html")
    assert _looks_into(host, "/home/alice/.bashrc")


def _no_carol(host: LabHost) -> None:
    host.run("userdel", "--remove", "carol", check=False)


def _looks_into(host: LabHost, path: str) -> bool:
    seen = host.run("runuser", "-u", "www-data", "--", "head", "-c1", path, check=False)
    return seen.returncode == 0


def _homes(host: LabHost) -> Answers:
    return [
        ("www-data does not look into alice's home", not _looks_into(host, "/home/alice/.bashrc")),
        ("alice does", host.ssh("head -c1 ~/.bashrc").stdout != ""),
        ("her .bashrc is closed too", host.out("stat", "-c", "%a", "/home/alice/.bashrc") == "640"),
        ("carol's pages are still served", host.out("stat", "-c", "%a", "/home/carol") == "755"),
        ("so is the list of her keys", host.out("stat", "-c", "%a",
                                                "/home/alice/.ssh/authorized_keys") == "600"),
        ("so is what useradd copies", host.out("stat", "-c", "%a", "/etc/skel/.bashrc") == "640"),
        ("an upgrade keeps it", host.run("dpkg-statoverride", "--list", "/etc/skel/.bashrc",
                                         check=False).returncode == 0),
    ]  # fmt: skip


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
    _no_manager(host, "bob")
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
        step="accounts.lockout",
        furnish=_alices_password,
        tidy=_no_alices_password,
        holds=_lockout,
        roots=("/usr/share/pam-configs", "/var/lib/pam"),
    ),
    Trial(step="accounts.sudo-callers", holds=_sudo_callers, roots=("/usr/bin",)),
    Trial(step="accounts.sessions", holds=_sessions),
    Trial(
        step="accounts.private-tmp",
        tidy=_no_private_tmp,
        holds=_private_tmp,
        roots=("/var/lib/pam",),
    ),
    Trial(
        step="accounts.homes",
        furnish=_open_homes,
        tidy=_no_carol,
        holds=_homes,
        roots=("/home",),
        stays=(".sudo_as_admin_successful",),
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
