"""Modes, kernel modules, core dumps, mounts, confinement and encryption."""

from __future__ import annotations

from tests.hosts.lab import LabHost
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


def _core_dumps(host: LabHost) -> Answers:
    """A login, a service that is started now, and what units will get."""
    service = host.out("systemd-run", "-q", "--wait", "-P", "sh", "-c", "ulimit -Hc")
    unit = host.out("systemctl", "show", "--property=LimitCORE", "apache2.service")
    crash = "cd /var/tmp && rm -f core* && ulimit -c unlimited; sleep 9 & kill -SEGV $!; wait; ls"
    return [
        ("a login has 0", host.ssh("ulimit -Hc").stdout.strip() == "0"),
        ("root's shell by sudo has 0", host.ssh("sudo sh -c 'ulimit -Hc'").stdout.strip() == "0"),
        ("a service has 0", service == "0"),
        ("Apache will have 0", unit == "LimitCORE=0"),
        ("a crash leaves no core", "core" not in host.ssh(crash, check=False).stdout),
        ("setuid programs leave none", host.out("sysctl", "-n", "fs.suid_dumpable") == "0"),
    ]


TRIALS = (
    Trial(step="files.critical-modes", holds=_modes, furnish=_loosen, tidy=_tighten),
    Trial(step="kernel.core-dumps", holds=_core_dumps),
    Trial(step="kernel.modules", holds=_modules, given=("--set", "kernel.modules.keep=udf")),
)
