"""How other tools fail; each failure, measured on them, is a test of ours."""

from __future__ import annotations

import pytest

from tests.hosts.answers import php_over_http
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, details, furnish, harden, history, roll_back, statuses

pytestmark = pytest.mark.either_release

CLOUD_INIT = "/etc/ssh/sshd_config.d/50-cloud-init.conf"


def _effective(host: LabHost, option: str, *, user: str = "") -> str:
    connection = ["-C", f"user={user},host=h,addr=192.0.2.9"] if user else []
    rows = host.out("sshd", "-T", *connection).splitlines()
    return next(row.split(" ", 1)[1] for row in rows if row.startswith(f"{option} "))


def test_a_drop_in_that_sorts_earlier_does_not_win_over_ours(host: LabHost) -> None:
    """A 99-… file loses against cloud-init's 50-…, and the tool says passed."""
    host.write(CLOUD_INIT, "PasswordAuthentication yes\n")
    host.write("/etc/ssh/sshd_config.d/00-aaa.conf", "MaxAuthTries 9\n")
    host.run("systemctl", "reload", "ssh")
    before = fingerprint(host)
    found = details(host, "ssh.key-only")["steps"][0]
    assert found["status"] == "fail"
    assert any(f"{CLOUD_INIT}:1" in finding["origin"] for finding in found["findings"])

    apply(host, "ssh.key-only")
    apply(host, "ssh.limits")
    assert _effective(host, "passwordauthentication") == "no"
    assert _effective(host, "maxauthtries") == "3"
    roll_back(host, "ssh.key-only")
    roll_back(host, "ssh.limits")
    assert differences(before, fingerprint(host)) == []


def test_a_trailing_match_block_swallows_nothing(host: LabHost) -> None:
    """A line appended to sshd_config lands inside the last Match block: passed, nothing changed."""
    config = host.root / "etc/ssh/sshd_config"
    config.write_text(config.read_text() + "\nMatch User backup\n    X11Forwarding no\n")
    host.run("systemctl", "reload", "ssh")
    before = fingerprint(host)
    apply(host, "ssh.limits")
    assert _effective(host, "maxauthtries", user="carol") == "3"
    assert _effective(host, "maxauthtries", user="backup") == "3"
    assert host.can_log_in()
    roll_back(host, "ssh.limits")
    assert differences(before, fingerprint(host)) == []


def test_no_include_at_all(host: LabHost) -> None:
    """A configuration without an Include never reads a drop-in."""
    config = host.root / "etc/ssh/sshd_config"
    kept = [line for line in config.read_text().splitlines() if not line.startswith("Include")]
    config.write_text("\n".join(kept) + "\n")
    host.run("systemctl", "reload", "ssh")
    before = fingerprint(host)
    apply(host, "ssh.root-login")
    assert _effective(host, "permitrootlogin") == "no"
    roll_back(host, "ssh.root-login")
    assert differences(before, fingerprint(host)) == []


def test_every_restore_point_is_kept(host: LabHost) -> None:
    """The only backup overwritten by the second run, or by two edits within a second."""
    furnish(host)
    for _ in range(3):
        apply(host, "apache.banner")
        roll_back(host, "apache.banner")
    ids = [record["id"] for record in history(host)]
    assert len(ids) == len(set(ids)) == 6
    points = host.out("ls", "/var/lib/harden-tui/snapshots/points").split()
    assert len(points) == len(set(points)) >= 12
    assert harden(host, "history", "verify").returncode == 0


def test_the_way_back_is_not_in_tmp(host: LabHost) -> None:
    """Undo data in /tmp, broken by the tool's own hardening of /tmp."""
    apply(host, "apache.banner")
    # What systemd keeps there for Apache's own /tmp stays, or Apache itself could not reload.
    empty = "find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*'"
    host.run("sh", "-c", f"{empty} -exec rm -rf {{}} +")
    host.run("sh", "-c", "mount --bind /tmp /tmp; mount -o remount,bind,noexec /tmp")
    roll_back(host, "apache.banner")
    host.run("umount", "-l", "/tmp")
    assert statuses(host, "apache.banner") == {"apache.banner": "fail"}
    mode = host.out("stat", "-c", "%a %U", "/var/lib/harden-tui", "/var/log/harden-tui")
    assert mode == "700 root\n700 root"


def test_what_package_scripts_touch_is_undone_too(host: LabHost) -> None:
    """A list of paths typed by hand, and configuration that `apt remove` leaves behind."""
    before = fingerprint(host)
    apply(host, "defence.fail2ban")
    changed = differences(before, fingerprint(host))
    assert sum(line.startswith("files ") for line in changed) > 20
    roll_back(host, "defence.fail2ban")
    assert differences(before, fingerprint(host)) == []


def test_the_ssh_port_stays_open_inside_tmux_and_on_another_port(host: LabHost) -> None:
    """ufw's own warning looks for sshd among its parents, and finds tmux."""
    host.write("/etc/ssh/sshd_config.d/10-port.conf", "Port 2222\nPort 22\n")
    host.run("systemctl", "restart", "ssh")
    command = (
        "sudo harden-tui apply --checklist i-doit firewall.ufw --yes > out 2>&1; echo $? > code"
    )
    host.ssh(f"tmux new-session -d '{command}'")
    host.ssh(
        "for i in $(seq 600); do test -e code && break; sleep 0.1; done;"
        " cat out; test $(cat code) = 0"
    )
    rules = host.out("ufw", "status")
    assert "2222/tcp" in rules and "22/tcp" in rules
    assert host.can_log_in()


def test_the_web_servers_php_is_asked_not_the_command_lines(host: LabHost) -> None:
    """A check that reads the command line's php.ini reports on the web server's."""
    furnish(host)
    version = host.out("php", "-r", "echo PHP_MAJOR_VERSION.'.'.PHP_MINOR_VERSION;")
    cli = host.root / f"etc/php/{version}/cli/php.ini"
    web = host.root / f"etc/php/{version}/apache2/php.ini"
    cli_before = cli.read_bytes()
    web.write_text(web.read_text().replace("expose_php = Off", "expose_php = On"))
    host.run("systemctl", "restart", "apache2")
    found = details(host, "php.settings")["steps"][0]
    expose = [f for f in found["findings"] if "expose_php" in f["setting"]]
    assert expose and not any(finding["ok"] for finding in expose)
    assert any("apache2/php.ini" in finding["origin"] for finding in expose)
    apply(host, "php.settings")
    assert php_over_http(host, "expose_php")["expose_php"] in ("", "0", "Off")
    assert cli.read_bytes() == cli_before


def test_a_setting_that_stops_the_application_goes_back(host: LabHost) -> None:
    """open_basedir without the application's own directory: applied, and every page fails."""
    furnish(host)
    host.run("rm", "/var/www/html/index.html")
    host.write("/var/www/html/index.php", "<?php echo 'application';\n")
    before = fingerprint(host)
    done = harden(
        host, "apply", "php.settings", "--yes", "--set", "php.settings.open-basedir=/srv/app",
        check=False,
    )  # fmt: skip
    said = " ".join(done.stdout.split())
    assert done.returncode == 4, said
    assert "http://localhost/ answered 200 before and answers 500 now" in said
    assert "error.log said last:" in said and "open_basedir restriction in effect" in said
    assert host.http("/").status == 200
    assert differences(before, fingerprint(host)) == []
