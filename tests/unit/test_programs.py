"""What programs that a change runs may change, as known."""

from __future__ import annotations

import pytest

from snapshots.model import InstallPackages, RunCommand, RunSql, WriteFile
from snapshots.programs import may_write, of_units, reach_of

ALL = {"units", "kernel", "firewall"}


def run(*argv: str) -> RunCommand:
    return RunCommand(argv=argv, why="a test")


@pytest.mark.parametrize(
    ("change", "reach"),
    [
        (WriteFile(path="/etc/a", content=b""), set()),
        (RunSql(sql=("FLUSH PRIVILEGES",), why="a test"), set()),
        (run("a2enmod", "ssl"), set()),
        (run("/usr/sbin/usermod", "--lock", "root"), set()),
        (run("sysctl", "--system"), {"kernel"}),
        (run("systemctl", "stop", "cups.service"), set()),
        (run("systemctl", "stop", "cups"), {"units"}),
        (run("systemctl", "daemon-reload"), set()),
        (run("systemctl", "restart", "fail2ban.service"), {"firewall", "kernel"}),
        (run("systemctl", "enable", "--now", "tmp.mount"), {"kernel"}),
        (run("ufw", "--force", "enable"), {"firewall", "kernel"}),
        (run("dpkg-statoverride", "--update", "--add", "root", "root", "0700", "/etc/x"), set()),
        (run("setpriv", "--reuid=5", "--clear-groups", "chmod", "0700", "/home/a"), set()),
        (run("nsenter", "--target", "7", "--mount", "mount", "-o", "remount", "/tmp"), {"kernel"}),
        (run("/bin/sh", "/etc/harden-tui/vulnerabilities.sh"), set()),
        (run("sh", "-c", "true"), ALL),
        (run("something-else"), ALL),
        (InstallPackages(packages=("ufw",)), ALL),
    ],
)
def test_what_besides_files_a_change_may_change(change: RunCommand, reach: set[str]) -> None:
    assert reach_of(change) == reach


def test_what_units_change_beside_themselves() -> None:
    assert of_units(["ssh.service", "apache2.service"]) == set()
    assert of_units(["nftables.service"]) == {"firewall", "kernel"}
    assert of_units(["load-iptables.service"]) == {"firewall", "kernel"}
    assert of_units(["systemd-sysctl.service"]) == {"kernel"}


@pytest.mark.parametrize(
    ("argv", "may", "may_not"),
    [
        (
            ("a2enconf", "x"),
            "/etc/apache2/conf-enabled/x.conf",
            "/etc/apache2/sites-enabled/s.conf",
        ),
        (("usermod", "--lock", "root"), "/etc/shadow", "/etc/motd"),
        (("useradd", "-D", "-f", "45"), "/etc/default/useradd", "/etc/default/grub"),
        (("chpasswd",), "/etc/security/opasswd", "/etc/motd"),
        (("aideinit", "-y"), "/var/lib/aide/aide.db", "/etc/motd"),
        (
            ("ssh-keygen", "-q", "-t", "rsa", "-f", "/etc/ssh/ssh_host_rsa_key"),
            "/etc/ssh/ssh_host_rsa_key.pub",
            "/etc/motd",
        ),
        (("chmod", "0600", "/etc/cron.d"), "/etc/cron.d", "/etc/cron.daily/x"),
        (("rm", "-r", "/etc/cron.d/"), "/etc/cron.d/a", "/etc/motd"),
        (("ufw", "allow", "22"), "/etc/ufw/user.rules", "/etc/default/grub"),
        (("sysctl", "--system"), "", "/etc/sysctl.d/a.conf"),
        (("systemctl", "enable", "a"), "/etc/systemd/system/x.wants/a.service", "/etc/rc.local"),
        (("something-else",), "/etc/motd", ""),
        (("apt-get", "update"), "/var/lib/apt/lists/x", "/etc"),
        (("/bin/sh", "/etc/harden-tui/vulnerabilities.sh"), "/var/lib/x", "/etc/motd"),
        (("crontab",), "/var/spool/cron/crontabs/bob", ""),
    ],
)
def test_where_a_program_may_write(argv: tuple[str, ...], may: str, may_not: str) -> None:
    asked = may_write(run(*argv))
    assert not may or asked(may)
    assert not may_not or not asked(may_not)
