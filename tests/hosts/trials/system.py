"""Modes, kernel modules, core dumps, mounts, confinement and encryption."""

from __future__ import annotations

from tests.hosts.lab import LabHost
from tests.hosts.program import details, harden, statuses
from tests.hosts.trials.trial import Answers, Trial


def _loosen(host: LabHost) -> None:
    """Loose modes of packaged and other files, and an override of somebody else's."""
    host.run("chmod", "0666", "/etc/shells")
    host.run("chmod", "o+r", "/etc/gshadow")
    host.run("dpkg-statoverride", "--update", "--add", "root", "sudo", "0644", "/etc/sudoers")


def _tighten(host: LabHost) -> None:
    host.run("chmod", "0644", "/etc/shells")
    host.run("chmod", "o-r", "/etc/gshadow")
    host.run("dpkg-statoverride", "--remove", "/etc/sudoers")
    host.run("chown", "root:root", "/etc/sudoers")
    host.run("chmod", "0440", "/etc/sudoers")


def _modes(host: LabHost) -> Answers:
    wanted = {
        "/etc/shadow": "640 root:shadow", "/etc/gshadow": "640 root:shadow",
        "/etc/passwd": "644 root:root", "/etc/crontab": "600 root:root",
        "/etc/cron.d": "700 root:root", "/etc/cron.daily": "700 root:root",
        "/etc/ssh/sshd_config": "600 root:root", "/etc/sudoers": "440 root:root",
        "/etc/sudoers.d": "750 root:root", "/etc/shells": "644 root:root",
    }  # fmt: skip
    found = host.out("stat", "-c", "%n %a %U:%G", *wanted).splitlines()
    overrides = host.out("dpkg-statoverride", "--list").splitlines()
    return [
        *((f"{path} is {mode}", f"{path} {mode}" in found) for path, mode in wanted.items()),
        ("dpkg keeps /etc/crontab so", "root root 600 /etc/crontab" in overrides),
        ("dpkg keeps /etc/sudoers so", "root root 440 /etc/sudoers" in overrides),
        ("passwords are checked for users who are not root", _checks_passwords(host)),
    ]


def _checks_passwords(host: LabHost) -> bool:
    """unix_chkpwd, setgid shadow, is what reads the hashes for everybody else."""
    done = host.ssh("printf 'correct horse\\0' | /usr/sbin/unix_chkpwd alice nullok", check=False)
    return done.returncode == 0


def _modules(host: LabHost) -> Answers:
    """These hosts have neither kmod nor modules of their own: what its files say is asked."""
    rows = host.out("cat", "/etc/modprobe.d/00-harden-tui-kernel-modules.conf").splitlines()
    barred = {"dccp", "sctp", "usb-storage", "firewire-core", "squashfs", "cramfs"}
    return [
        *((f"{name} is refused", f"install {name} /bin/false" in rows) for name in barred),
        *((f"{name} is not asked for", f"blacklist {name}" in rows) for name in barred),
        ("udf is kept, as it was chosen", not any(row.endswith(" udf") for row in rows)),
        ("overlay is kept, for / is one", not any("overlay" in row for row in rows)),
    ]


DUMPER = "/etc/systemd/system/dumper.service"


def _dumps(host: LabHost) -> None:
    """What runs under a limit of its own, as Docker does; it is not restarted by the step."""
    host.write(DUMPER, "[Service]\nExecStart=/bin/sleep infinity\nLimitCORE=infinity\n")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "dumper.service")


def _dumps_no_more(host: LabHost) -> None:
    host.run("systemctl", "stop", "dumper.service")
    host.run("rm", DUMPER)
    host.run("systemctl", "daemon-reload")


def _core_dumps(host: LabHost) -> Answers:
    """A login, a service that is started now, and what units will get."""
    service = host.out("systemd-run", "-q", "--wait", "-P", "sh", "-c", "ulimit -Hc")
    unit = host.out("systemctl", "show", "--property=LimitCORE", "apache2.service")
    dumper = host.out("systemctl", "show", "--property=LimitCORE", "dumper.service")
    told = details(host, "kernel.core-dumps")["steps"][0]["note"]
    free = ("systemd-run", "-q", "--wait", "-P", "-p", "LimitCORE=infinity", "sh")
    bare = host.out(*free, "-l", "-c", "ulimit -Hc")
    dumps = host.out("systemd-analyze", "cat-config", "systemd/coredump.conf").splitlines()
    crash = "cd /var/tmp && rm -f core* && ulimit -c unlimited; sleep 9 & kill -SEGV $!; wait; ls"
    return [
        ("a login has 0", host.ssh("ulimit -Hc").stdout.strip() == "0"),
        ("root's shell by sudo has 0", host.ssh("sudo sh -c 'ulimit -Hc'").stdout.strip() == "0"),
        ("a login shell without PAM has 0", bare == "0"),
        ("which it would not have by itself", host.out(*free, "-c", "ulimit -Hc") != "0"),
        ("systemd-coredump would keep none", {"Storage=none", "ProcessSizeMax=0"} <= set(dumps)),
        ("a service has 0", service == "0"),
        ("Apache will have 0", unit == "LimitCORE=0"),
        ("so will what allowed itself more", dumper == "LimitCORE=0"),
        ("that it still runs with more is told", "write core dumps: dumper.service" in told),
        ("a crash leaves no core", "core" not in host.ssh(crash, check=False).stdout),
        ("setuid programs leave none", host.out("sysctl", "-n", "fs.suid_dumpable") == "0"),
    ]


def _tmp_on_disk(host: LabHost) -> None:
    """bookworm has /tmp on its root file system; what runs the container mounts one over it."""
    if host.suite == "bookworm":
        host.run(
            "sh", "-e", "-c",
            "cp -a /tmp /run/aside; umount --lazy /tmp; cp -a /run/aside/. /tmp; rm -r /run/aside;"
            "systemctl restart apache2",
        )  # fmt: skip


def _as_mounted_before(host: LabHost) -> None:
    """After the undo; a fingerprint knows nothing of mounts."""
    inside = ("nsenter", "-t", host.out("pgrep", "-o", "apache2"), "-m")
    for where in ((), inside):
        for point in ("/tmp", "/var/tmp", "/dev/shm"):
            host.run(*where, "cp", "/bin/true", f"{point}/probe")
            host.run(*where, f"{point}/probe")
            host.run(*where, "rm", f"{point}/probe")
    private = host.run(*inside, "findmnt", "-rno", "FSROOT", "/var/tmp").stdout
    assert "systemd-private" in private, f"Apache lost its own /var/tmp: {private!r}"


def _mounts(host: LabHost) -> Answers:
    """The kernel is asked, programs are started there, and a package is installed meanwhile."""
    found = {}
    for point in ("/tmp", "/var/tmp", "/dev/shm"):
        found[point] = host.out("findmnt", "-rno", "VFS-OPTIONS", point).split(",")
        host.run("cp", "/bin/true", f"{point}/probe")
    installed = host.run("apt-get", "install", "-y", "-q", "whois", check=False)
    host.run("apt-get", "purge", "-y", "-q", "whois", check=False)
    pid = host.out("pgrep", "-o", "apache2")
    apache = host.run("nsenter", "-t", pid, "-m", "findmnt", "-rno", "VFS-OPTIONS", "/tmp")
    answers = [
        (f"{point} has {flag}", flag in options)
        for point, options in found.items()
        for flag in ("nodev", "nosuid", "noexec")
    ]
    for point in found:
        done = host.run(f"{point}/probe", check=False)
        answers.append((f"nothing is executed in {point}", "denied" in done.stderr))
        host.run("rm", f"{point}/probe")
    return [
        *answers,
        ("Apache's own /tmp has noexec", "noexec" in apache.stdout),
        ("apt installs a package", installed.returncode == 0),
        ("fstab and units are sound", host.run("findmnt", "--verify", check=False).returncode == 0),
        ("the site answers", host.http("/index.html").status == 200),
    ]


STOPPING = "/run/systemd/system/apache2.service.d/stopping.conf"


def _stop_soon(host: LabHost) -> None:
    """In a container trixie's systemd may not see that Apache ended, and waits 90 s twice."""
    host.run("mkdir", "-p", STOPPING.rpartition("/")[0])
    host.run("sh", "-c", f"printf '[Service]\\nTimeoutStopSec=3\\n' > {STOPPING}")
    host.run("systemctl", "daemon-reload")


def _stop_as_ever(host: LabHost) -> None:
    host.run("rm", "-r", STOPPING.rpartition("/")[0])
    host.run("systemctl", "daemon-reload")


def _confined(host: LabHost) -> Answers:
    """These hosts' kernel has no AppArmor: what is proved is how systemd confines Apache."""
    said = host.run("systemd-analyze", "--no-pager", "security", "apache2.service", check=False)
    level = float(said.stdout.rpartition("level for apache2.service: ")[2].split()[0])
    pid = host.out("pgrep", "-o", "apache2")
    inside = ("nsenter", "-t", pid, "-m")
    written = host.run(*inside, "touch", "/etc/probe", check=False)
    homes = host.run(*inside, "ls", "/home", check=False)
    shown = host.out("systemctl", "show", "-p", "ProtectSystem,RestrictNamespaces", "apache2")
    tools = host.run("dpkg-query", "-W", "apparmor-utils", "libpam-apparmor", check=False)
    return [
        ("systemd-analyze security is below 8", level < 8),
        ("/etc is read-only for Apache", "Read-only" in written.stderr),
        ("homes are out of sight", "alice" not in homes.stdout),
        ("systemd has taken the settings", "ProtectSystem=full" in shown.splitlines()),
        ("namespaces are restricted", "RestrictNamespaces=yes" in shown.splitlines()),
        ("a page and PHP answer", host.http("/settings.php?keys=expose_php").status == 200),
        ("its programs and its PAM module are installed", tools.returncode == 0),
        ("AppArmor is installed", host.run("apparmor_parser", "-V", check=False).returncode == 0),
    ]


def _asked_for_encryption(host: LabHost) -> Answers:
    """These hosts see no disk of their own, so a person is asked, and what is answered counts."""
    step = "data.disk-encryption"
    shown = details(host, step)["steps"][0]["findings"]
    disks = {one["setting"]: one["ok"] for one in shown if one["resource"] == "disk"}
    harden(host, "steps", "attest", step, "--note", "LUKS on the host of this container")
    attested = statuses(host, step)[step]
    host.run("rm", "/var/lib/harden-tui/answers.json")
    return [
        ("MariaDB's data is looked for", disks.get("/var/lib/mysql", True) is None),
        ("the web root is looked for", disks.get("/var/www", True) is None),
        ("the answer of a person counts", attested == "attested"),
        ("and is asked for again without it", statuses(host, step)[step] == "manual"),
    ]


TRIALS = (
    Trial(step="files.critical-modes", holds=_modes, furnish=_loosen, tidy=_tighten),
    Trial(step="files.mounts", holds=_mounts, furnish=_tmp_on_disk, tidy=_as_mounted_before),
    Trial(step="data.disk-encryption", holds=_asked_for_encryption, before="manual", changes=False),
    Trial(step="mac.apparmor", holds=_confined, furnish=_stop_soon, tidy=_stop_as_ever),
    Trial(step="kernel.core-dumps", holds=_core_dumps, furnish=_dumps, tidy=_dumps_no_more),
    Trial(step="kernel.modules", holds=_modules, given=("--set", "kernel.modules.keep=udf")),
)
