"""Sessions of people: wrong passwords, idle shells, temporary files, homes, and who starts sudo."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.trials.accounts import STAPLE, asks_for, asks_for_root, pam_regenerated
from tests.hosts.trials.trial import Answers, Trial


def _lockout(host: LabHost) -> Answers:
    for _ in range(3):
        assert asks_for(host, "alice", "wrong", "alice") != "alice"
    counted = host.out("faillock", "--user", "alice").count(" su ")
    paused = asks_for(host, "alice", STAPLE, "alice")
    host.ssh("true")
    forgotten = host.out("faillock", "--user", "alice").count(" su ")
    for _ in range(3):
        asks_for(host, "root", "wrong", "alice")
    after = asks_for(host, "alice", STAPLE, "alice")
    for _ in range(3):
        asks_for(host, "alice", "wrong", "nobody")
    others = host.out("faillock", "--user", "alice").count(" su ")
    return [
        ("others do not bring a pause about", others == 0),
        ("three wrong passwords are counted", counted == 3),
        ("the right one is refused then", paused != "alice"),
        ("alice comes in with her key, and the count begins anew", forgotten == 0),
        ("the right one is taken again", after == "alice"),
        ("root is never locked", asks_for_root(host) == "root"),
        *(pam_regenerated(host, name) for name in ("common-auth", "common-account")),
    ]  # fmt: skip


def _alices_password(host: LabHost) -> None:
    """Alice gets a password that lets her in, and whoever guesses is not stopped yet."""
    host.run("cp", "-a", "/etc/shadow", "/etc/shadow-", "/root")
    host.run("chpasswd", stdin=f"alice:{STAPLE}\n")
    for _ in range(3):
        assert asks_for(host, "alice", "wrong") == ""
    assert asks_for(host, "alice", STAPLE) == "alice"


def _no_alices_password(host: LabHost) -> None:
    host.run("cp", "-a", "/root/shadow", "/root/shadow-", "/etc")
    host.run("rm", "/root/shadow", "/root/shadow-")


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
        pam_regenerated(host, "common-session"),
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


TRIALS = (
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
    ),
)
