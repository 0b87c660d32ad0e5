"""The steps about updates: apt, systemd and unattended-upgrades are asked themselves."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.histories import archive
from tests.histories.archive import Deb
from tests.hosts.lab import LabHost
from tests.hosts.trials.trial import Answers, Trial


def _unattended(host: LabHost) -> Answers:
    config = host.out("apt-config", "dump")
    dry_run = host.run("unattended-upgrade", "--dry-run", "-d")
    timers = ("apt-daily.timer", "apt-daily-upgrade.timer")
    active = host.run("systemctl", "is-active", *timers, check=False).stdout.split()
    loaded = host.out("systemctl", "show", "--property=LoadState", "apt-daily-upgrade.service")
    return [
        ("lists are fetched daily", 'APT::Periodic::Update-Package-Lists "1";' in config),
        ("updates are installed daily", 'APT::Periodic::Unattended-Upgrade "1";' in config),
        ("reports go to root", 'Unattended-Upgrade::Mail "root";' in config),
        ("it does not restart the host", 'Automatic-Reboot "false";' in config),
        (
            "its dry run takes security updates",
            f"codename={host.suite}-security,label=Debian-Security" in dry_run.stdout
            or f"codename={host.suite}-security,label=Debian-Security" in dry_run.stderr,
        ),
        ("both timers run", active == ["active", "active"]),
        ("what the other timer starts is not masked", "LoadState=loaded" in loaded),
    ]


def _stop_a_timer(host: LabHost) -> None:
    """And mask what the other one starts, which it does not tell."""
    host.run("systemctl", "disable", "--now", "apt-daily.timer")
    host.run("systemctl", "mask", "apt-daily-upgrade.service")


def _start_it(host: LabHost) -> None:
    host.run("systemctl", "unmask", "apt-daily-upgrade.service")
    host.run("systemctl", "enable", "--now", "apt-daily.timer")


HERE = "/srv/here"
LIST = "/etc/apt/sources.list.d/here.list"
DEBS = tuple(
    Deb(
        name=name, version=version, files={f"/usr/share/{name}/version": f"{version}\n"},
        depends="liblab" if name == "labtool" else "",
    )
    for name in ("labtool", "liblab")
    for version in ("1", "2.0")
)  # fmt: skip


def _offer(host: LabHost, version: str) -> None:
    """A source that calls itself Debian's security repository, with our packages in a version."""
    folder = host.root / HERE.lstrip("/")
    archive.offer(folder, [deb.file_name for deb in DEBS if deb.version == version])
    archive.name_release(folder, Origin="Debian", Label="Debian-Security", Suite="stable-security")
    host.write(LIST, f"deb [trusted=yes] file:{HERE} ./\n")
    host.run("apt-get", "update", "-q")


def let_updates_wait(host: LabHost) -> None:
    with tempfile.TemporaryDirectory() as place:
        for deb in DEBS:
            host.write(f"{HERE}/{deb.file_name}", archive.build(deb, Path(place)).read_bytes())
    _offer(host, "1")
    host.run("apt-get", "install", "-y", "-q", "labtool")
    _offer(host, "2.0")


def without_them(host: LabHost) -> None:
    host.run("apt-get", "purge", "-y", "-q", "labtool", "liblab")
    host.run("rm", "-r", LIST, HERE)
    host.run("apt-get", "update", "-q")


def pending(host: LabHost) -> Answers:
    waiting = host.out("apt-get", "--simulate", "upgrade")
    version = host.out("dpkg-query", "-W", "-f", "${Version}", "liblab")
    automatic = host.out("apt-mark", "showauto").split()
    return [
        ("apt has nothing to upgrade", "Inst " not in waiting),
        ("the library is new", version == "2.0"),
        ("its files are new", host.out("cat", "/usr/share/labtool/version") == "2.0"),
        ("apt still knows who asked", "liblab" in automatic and "labtool" not in automatic),
    ]


KEY = "/etc/apt/keyrings/lab.gpg"


def _gpg(home: str, *argv: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(
        ("gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode=loopback", *argv),
        input=stdin, check=True, capture_output=True,
    ).stdout  # fmt: skip


def _sign_repository(host: LabHost) -> None:
    """The lab's repository, signed, but taken without its signature; apt may do so elsewhere."""
    repository = host.root / "srv/repo"
    with tempfile.TemporaryDirectory() as home:
        _gpg(home, "--passphrase", "", "--quick-gen-key", "lab@example.org", "rsa3072", "sign")
        release = (repository / "Release").read_bytes()
        (repository / "InRelease").write_bytes(_gpg(home, "--clear-sign", stdin=release))
        host.write(KEY, _gpg(home, "--export", "lab@example.org"))
        subprocess.run(("gpgconf", "--homedir", home, "--kill", "all"), check=False)
    host.write("/etc/apt/sources.list", f"deb [trusted=yes signed-by={KEY}] file:/srv/repo ./\n")
    host.write("/etc/apt/apt.conf.d/50lab", 'Acquire::AllowInsecureRepositories "true";\n')
    host.run("apt-get", "update", "-q")


def _unsign_repository(host: LabHost) -> None:
    host.write("/etc/apt/sources.list", "deb [trusted=yes] file:/srv/repo ./\n")
    # apt remembers that the repository was signed, and would not take it unsigned any more.
    host.run("rm", KEY, "/srv/repo/InRelease", "/etc/apt/apt.conf.d/50lab")
    host.run("rm", "-r", "/var/lib/apt/lists")
    host.run("apt-get", "update", "-q")


def _sources(host: LabHost) -> Answers:
    entry = host.out("cat", "/etc/apt/sources.list")
    good = host.run("apt-get", "update", "--error-on=any", check=False).returncode == 0
    inrelease = host.root / "srv/repo/InRelease"
    signed = inrelease.read_bytes()
    inrelease.write_bytes(signed.replace(b"Label: Debian-Security", b"Label: Debian-Sicherheit"))
    forged = host.run("apt-get", "update", "--error-on=any", check=False).returncode
    inrelease.write_bytes(signed)
    host.run("apt-get", "update", "-q")
    return [
        ("the entry names its key alone", entry == f"deb [signed-by={KEY}] file:/srv/repo ./"),
        ("a good signature is taken", good),
        ("a forged list is refused", forged != 0),
        (
            "apt takes no unsigned source anywhere",
            'AllowInsecureRepositories "false"' in host.out("apt-config", "dump"),
        ),
    ]


LABD = "/usr/lib/labd"


def replace_a_running_program(host: LabHost) -> None:
    unit = f"[Service]\nType=exec\nExecStart={LABD} infinity\n"
    host.write("/etc/systemd/system/labd.service", unit)
    host.run("cp", "/bin/sleep", LABD)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "labd.service")
    host.run("cp", "/bin/sleep", f"{LABD}.new")
    host.run("mv", f"{LABD}.new", LABD)


def without_it(host: LabHost) -> None:
    host.run("systemctl", "stop", "labd.service")
    host.run("rm", LABD, "/etc/systemd/system/labd.service")
    host.run("systemctl", "daemon-reload")


def _restart(host: LabHost) -> Answers:
    pid = host.out("systemctl", "show", "labd.service", "-p", "MainPID", "--value")
    asked = host.out("needrestart", "-b")
    mode = host.out("perl", "-e", "do '/etc/needrestart/needrestart.conf'; print $nrconf{restart}")
    return [
        ("the program runs", pid != "0"),
        ("it is the one on the disk", "deleted" not in host.out("ls", "-l", f"/proc/{pid}/exe")),
        ("needrestart has nothing to say", "NEEDRESTART-SVC" not in asked),
        ("needrestart restarts by itself", mode == "a"),
    ]


TRIALS = (
    Trial(
        step="updates.sources",
        holds=_sources,
        furnish=_sign_repository,
        tidy=_unsign_repository,
    ),
    Trial(
        step="updates.restart",
        holds=_restart,
        furnish=replace_a_running_program,
        tidy=without_it,
    ),
    Trial(step="updates.pending", holds=pending, furnish=let_updates_wait, tidy=without_them),
    Trial(step="updates.unattended", holds=_unattended, furnish=_stop_a_timer, tidy=_start_it),
)
