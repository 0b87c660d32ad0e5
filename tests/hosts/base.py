"""The base trees that real test hosts are laid over: built once per release with debootstrap."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

LAB = Path(os.environ.get("HARDEN_TUI_LAB", "/var/tmp/harden-tui-lab"))
SUITES = ("bookworm", "trixie")
ADMIN = "alice"

HOST_PACKAGES = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "sudo",
    "apache2",
    "php",
    "php-mysql",
    "mariadb-server",
    "rsyslog",
    "cron",
    "iproute2",
    "procps",
    "python3",
    "ca-certificates",
    "cups-daemon",
    "e2fsprogs",
    "less",
    "acl",
    "attr",
    "tmux",
    "screen",
    "locales",
]

OFFERED = (
    "ufw nftables fail2ban python3-systemd needrestart lynis openscap-scanner openscap-common "
    "ssg-debian avahi-daemon rpcbind vsftpd php-fpm strace whois unattended-upgrades apparmor "
    "apparmor-utils apparmor-profiles auditd aide aide-common debsums acct sysstat chrony "
    "systemd-timesyncd libpam-pwquality libpwquality-tools libpam-tmpdir libapache2-mod-security2 "
    "modsecurity-crs php-xdebug phpmyadmin inetutils-telnet ftp tftp-hpa ldap-utils curl "
    "libpam-apparmor debsecan logwatch msmtp-mta postfix bsd-mailx nagios-nrpe-server "
    "monitoring-plugins-basic ssh-audit rsyslog-gnutls mariadb-backup moreutils cryptsetup-bin "
    "systemd-journal-remote rkhunter certbot borgbackup restic cracklib-runtime logrotate kmod"
).split()
"""What a step or a judge may install later: a repository inside the host, so that no network is
needed once the base is built."""

NEEDED_PROGRAMS = (
    "debootstrap", "systemd-nspawn", "apt-ftparchive", "ip", "ssh", "tmux", "nft", "gpg",
)  # fmt: skip


def missing() -> str:
    """Why real hosts cannot run here, and the command that mends it; empty where they can."""
    lacking = [program for program in NEEDED_PROGRAMS if shutil.which(program) is None]
    if os.geteuid() != 0:
        return "tests on real hosts need root: run `sudo make test`"
    if lacking:
        return (
            f"tests on real hosts need {', '.join(lacking)}: apt-get install debootstrap"
            " systemd-container apt-utils iproute2 openssh-client tmux nftables gnupg"
        )
    return ""


def base(suite: str) -> Path:
    """The base tree of a release, built now if it is not there yet (about two minutes)."""
    LAB.mkdir(parents=True, exist_ok=True)
    recipe = hashlib.sha256(repr((HOST_PACKAGES, OFFERED, _RECIPE)).encode()).hexdigest()
    tree = LAB / f"base-{suite}"
    with (LAB / f"base-{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = LAB / f"base-{suite}.built"
        if not stamp.exists() or stamp.read_text() != recipe:
            stamp.unlink(missing_ok=True)
            _build(suite, tree)
            stamp.write_text(recipe)
    return tree


def key() -> Path:
    """The administrator's private key for the test hosts."""
    path = LAB / "id"
    if not path.exists():
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    return path


_RECIPE = 4
"""Count up when `_build` changes."""


def _build(suite: str, tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    log = LAB / f"base-{suite}.log"
    _run(
        "debootstrap", "--variant=minbase", f"--include={','.join(HOST_PACKAGES)}",
        suite, str(tree), mirror(), log=log,
    )  # fmt: skip
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    _inside(tree, "apt-get", "update", "-q", log=log)
    for package in OFFERED:  # one at a time: a release may lack one of them
        _inside(
            tree, "apt-get", "install", "-y", "-q", "--no-install-recommends", "--download-only",
            package, log=log, check=False,
        )  # fmt: skip
    _local_repository(suite, tree, log)
    _administrator(tree)
    # In a container systemd may not see that a service has ended, and waits: 90 s by default.
    manager = tree / "etc/systemd/system.conf.d/lab.conf"
    manager.parent.mkdir(exist_ok=True)
    manager.write_text("[Manager]\nDefaultTimeoutStopSec=10s\n")
    if suite != "bookworm":
        _certificate_of_mariadb(tree)
    (tree / "etc/resolv.conf").unlink()
    (tree / "etc/machine-id").write_text("")


def _local_repository(suite: str, tree: Path, log: Path) -> None:
    repository = tree / "srv/repo"
    repository.mkdir(parents=True)
    for package in (tree / "var/cache/apt/archives").glob("*.deb"):
        shutil.move(package, repository / package.name)
    packages = subprocess.run(
        ["apt-ftparchive", "packages", "."], cwd=repository, check=True, capture_output=True
    ).stdout
    (repository / "Packages").write_bytes(packages)
    codename = f"{suite}-security"
    fields = {"Origin": "Debian", "Label": "Debian-Security", "Suite": codename}
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    release = subprocess.run(
        ["apt-ftparchive", *options, f"-oAPT::FTPArchive::Release::Codename={codename}",
         "release", "."],
        cwd=repository, check=True, capture_output=True,
    ).stdout  # fmt: skip
    (repository / "Release").write_bytes(release)
    for source in (tree / "etc/apt/sources.list.d").glob("*"):
        source.unlink()
    (tree / "etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/repo ./\n")
    _inside(tree, "apt-get", "update", "-q", log=log)


def _administrator(tree: Path) -> None:
    _inside(tree, "useradd", "-m", "-s", "/bin/bash", "-G", "sudo", ADMIN)
    sudoers = tree / "etc/sudoers.d" / ADMIN
    sudoers.write_text(f"{ADMIN} ALL=(ALL) NOPASSWD: ALL\n")
    sudoers.chmod(0o440)
    public = key().with_suffix(".pub").read_text()
    for home, owner in ((tree / "home" / ADMIN, 1000), (tree / "root", 0)):
        ssh = home / ".ssh"
        ssh.mkdir(exist_ok=True)
        ssh.chmod(0o700)
        (ssh / "authorized_keys").write_text(public)
        for path in (ssh, ssh / "authorized_keys"):
            os.chown(path, owner, owner)
    subprocess.run(
        ["chroot", str(tree), "chpasswd"],
        input=f"{ADMIN}:correct horse\nroot:battery staple\n".encode(),
        check=True,
    )


def _certificate_of_mariadb(tree: Path) -> None:
    """Where it has none, MariaDB of trixie makes a key of 4096 bits at each start: a second of a
    core for each host that boots."""
    place = "/etc/mysql/lab"
    (tree / place[1:]).mkdir()
    _inside(
        tree, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "3650", "-subj", "/CN=lab",
        "-keyout", f"{place}/key.pem", "-out", f"{place}/cert.pem",
    )  # fmt: skip
    _inside(tree, "chown", "-R", "mysql:mysql", place)
    (tree / "etc/mysql/mariadb.conf.d/90-lab.cnf").write_text(
        f"[mariadbd]\nssl_key = {place}/key.pem\nssl_cert = {place}/cert.pem\n"
    )


def mirror() -> str:
    """Where this machine itself gets its Debian packages."""
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    return next(uri for uri in targets if uri.endswith("/debian/"))


def _inside(tree: Path, *argv: str, log: Path | None = None, check: bool = True) -> None:
    _run("chroot", str(tree), *argv, log=log, check=check)


def _run(*argv: str, log: Path | None = None, check: bool = True) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    with (log or Path(os.devnull)).open("ab") as out:
        subprocess.run(argv, check=check, env=environment, stdout=out, stderr=out)
