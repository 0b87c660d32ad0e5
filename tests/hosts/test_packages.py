"""Undoing what packages did: nothing of them is left, and what was taken away is there again."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, history, roll_back

pytestmark = pytest.mark.either_release

STEP = """\
- id: site.packages
  stage: post-install
  title: Packages of the site
  why: A test of packages that bring users, services, configuration and data.
  breaks: Nothing.
  source: this test
  ensure:
    - package: {{{body}}}
"""


def _site_step(host: LabHost, body: str) -> None:
    host.write("/etc/harden-tui/steps.d/packages.yaml", STEP.format(body=body))


def _php(host: LabHost) -> str:
    return host.out("php", "-r", "echo 'php'.PHP_MAJOR_VERSION.'.'.PHP_MINOR_VERSION;")


def _without_sources(host: LabHost) -> None:
    """No repository any more, and nothing in apt's cache; the host has no way out anyway."""
    host.run("mount", "-t", "tmpfs", "none", "/srv/repo")
    host.run("apt-get", "clean")


def _conffile_hashes(host: LabHost) -> str:
    return host.out("dpkg-query", "-W", "-f", "${Package}${Conffiles}\\n")


def test_an_installation_leaves_nothing_behind(host: LabHost) -> None:
    """Users, groups, units, conffiles, alternatives, logs and data, those of today included."""
    fpm = f"{_php(host)}-fpm"
    _site_step(host, f"installed: [vsftpd, rpcbind, {fpm}, fail2ban]")
    first = fingerprint(host)
    apply(host, "site.packages")
    changed = differences(first, fingerprint(host))
    for part in ("names /srv/ftp", f"names /var/log/{fpm}.log", "names /var/lib/fail2ban",
                 "names /var/lib/dpkg/alternatives/php-fpm.sock", "units enabled rpcbind.socket",
                 "files /etc/passwd", "files /etc/vsftpd.conf"):  # fmt: skip
        assert any(line.startswith(part) for line in changed), part
    host.run("sh", "-c", f"echo later >> /var/log/{fpm}.log; echo more >> /etc/vsftpd.conf")
    host.run("sh", "-c", "echo x > /var/lib/fail2ban/put-there; mkdir /srv/ftp/incoming")
    host.run("install", "-o", "www-data", "/etc/motd", "/var/lib/fail2ban/of-a-daemon")
    host.run("touch", "/var/log/of-somebody-else.log")

    shown = harden(host, "history", "show", "site.packages").stdout
    for part in ("+ftp:x:", "packages: vsftpd", "units: rpcbind.socket", "/etc/vsftpd.conf",
                 f"/var/log/{fpm}.log", "/srv/ftp"):  # fmt: skip
        assert part in shown, part
    detail = json.loads(harden(host, "history", "show", "site.packages", "--format", "json").stdout)
    assert {delta["domain"] for delta in detail["deltas"]} >= {"files", "packages", "units"}

    in_conflict = harden(host, "rollback", "site.packages", "--dry-run", check=False)
    preview = in_conflict.stdout
    assert in_conflict.returncode == 3 and "--keep-current" in in_conflict.stderr
    assert f"/var/log/{fpm}.log" in preview and "of-somebody-else" not in preview
    stays = "1 file came later and no package has it, so it may be yours and stays:"
    assert f"{stays} /var/lib/fail2ban/put-there" in " ".join(preview.split())
    _without_sources(host)
    # What the administrator added to a package's file goes with the package, once that is said.
    host.run("sed", "-i", "$d", "/etc/vsftpd.conf")
    roll_back(host, "site.packages")
    assert host.out("ls", "/var/lib/fail2ban") == "put-there"
    host.run("rm", "-r", "/var/lib/fail2ban")
    left = differences(first, fingerprint(host))
    assert left == ["names /var/log/of-somebody-else.log: None -> -rw-r--r-- 0:0"]


def test_what_was_removed_is_there_again_without_a_source(host: LabHost) -> None:
    """The same versions, changed configuration, marks, what ran, and dpkg's own memory of it."""
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
        "--no-install-recommends", "vsftpd", "rpcbind", "avahi-daemon",
    )  # fmt: skip
    host.run("apt-mark", "auto", "avahi-daemon", "libavahi-core7")
    host.run("apt-mark", "hold", "rpcbind")
    for path in ("/etc/vsftpd.conf", "/etc/avahi/avahi-daemon.conf", "/etc/default/rpcbind"):
        host.run("sh", "-c", f"echo '# changed by hand' >> {path}")
    host.run("chmod", "0640", "/etc/vsftpd.conf")
    host.run("systemctl", "disable", "--now", "avahi-daemon.socket", "avahi-daemon.service")
    _site_step(host, "removed: [avahi-daemon], purged: [vsftpd]")
    first, hashes = fingerprint(host), _conffile_hashes(host)

    plan = harden(host, "plan", "--checklist", "i-doit", "site.packages", check=False).stdout
    assert "apt-get purge" in plan and "Cannot come back" in plan
    apply(host, "site.packages")
    changed = differences(first, fingerprint(host))
    assert any(line.startswith("files /etc/vsftpd.conf") for line in changed)
    assert not any(line.startswith("files /etc/avahi/avahi-daemon.conf") for line in changed)
    _without_sources(host)
    roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []
    assert _conffile_hashes(host) == hashes


def test_a_removal_without_any_source_keeps_the_package_itself(host: LabHost) -> None:
    """Nothing to download: the package is packed again from what is installed."""
    _site_step(host, "purged: [cups-daemon]")
    first = fingerprint(host)
    _without_sources(host)
    apply(host, "site.packages")
    assert host.run("systemctl", "is-active", "cups.service", check=False).returncode != 0
    roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []


def test_an_interrupted_dpkg_is_met_with_a_sentence(host: LabHost) -> None:
    """Neither an apply nor an undo begins where dpkg has unfinished work."""
    _site_step(host, "installed: [rpcbind]")
    apply(host, "site.packages")
    package = next((host.root / "srv/repo").glob("whois_*.deb")).name
    host.run("sh", "-c", f"dpkg --unpack /srv/repo/{package} /srv/repo/libidn2-0_*.deb")
    before = fingerprint(host)
    for words in (
        ("apply", "--checklist", "i-doit", "firewall.ufw"),
        ("rollback", "site.packages"),
    ):
        done = harden(host, *words, "--yes", check=False)
        said = done.stdout + done.stderr
        assert done.returncode != 0 and "dpkg --configure -a" in said, said
        assert "whois" in said and "Traceback" not in said
    assert differences(before, fingerprint(host)) == []
    host.run("dpkg", "--configure", "-a")
    host.run("dpkg", "--purge", "whois")
    roll_back(host, "site.packages")


def test_a_package_that_took_the_place_of_another_gives_it_back(host: LabHost) -> None:
    """The one that comes back conflicts with the one that leaves: apt swaps them, as it did."""
    host.run(
        "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
        "--no-install-recommends", "systemd-timesyncd",
    )  # fmt: skip
    _site_step(host, "purged: [systemd-timesyncd], installed: [chrony]")
    first = fingerprint(host)
    apply(host, "site.packages")
    assert host.out("dpkg-query", "-W", "-f", "${db:Status-Status}", "chrony") == "installed"
    _without_sources(host)
    roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []


def test_what_was_mounted_where_a_package_was_survives_its_undo(host: LabHost) -> None:
    """A disk of its own on the package's directory; a directory of the same disk bound below it."""
    _site_step(host, "installed: [vsftpd]")
    first = fingerprint(host)
    for where in ("/srv/ftp", "/srv/ftp/my pictures"):
        apply(host, "site.packages")
        host.run("mkdir", "-p", "/home/data", where)
        host.run("sh", "-c", "echo precious > /home/data/1.jpg")
        host.run("mount", "--bind", "/home/data", where)
        host.run("mkdir", f"{where}/disk")
        host.run("mount", "-t", "tmpfs", "none", f"{where}/disk")
        host.run("sh", "-c", f"echo precious > '{where}/disk/2.jpg'")
        shown = harden(host, "rollback", "site.packages", "--dry-run").stdout
        assert f"files: {where}: is so already" in shown, shown
        assert "stays: something is mounted there" in shown and ".jpg" not in shown, shown
        done = harden(host, "rollback", "--checklist", "i-doit", "site.packages", "--yes")
        said = " ".join(done.stdout.split())
        assert f"{where} stays: something is mounted there." in said, said
        assert "by hand" not in said and "could not be removed" not in said, said
        assert (
            host.out("cat", "/home/data/1.jpg", f"{where}/disk/2.jpg").split() == ["precious"] * 2
        )
        host.run("umount", f"{where}/disk")
        host.run("umount", where)
        host.run("rm", "-r", "/home/data", "/srv/ftp")
        assert differences(first, fingerprint(host)) == []


@pytest.mark.parametrize("autoremove", ["autoremove", "autoremove --purge"])
def test_what_was_removed_needs_what_is_gone_since(host: LabHost, autoremove: str) -> None:
    """Its dependencies, with configuration and services of their own, come from the sources."""
    install = "apt-get install -y -q --no-install-recommends exim4-daemon-light avahi-daemon"
    host.run("sh", "-c", f"export DEBIAN_FRONTEND=noninteractive; {install}")
    _site_step(host, "purged: [exim4-daemon-light, exim4-base, avahi-daemon]")
    first = fingerprint(host)
    apply(host, "site.packages")
    host.run("sh", "-c", f"DEBIAN_FRONTEND=noninteractive apt-get {autoremove} -y -q")
    second = fingerprint(host)
    assert any("packages exim4-config" in line for line in differences(first, second))

    preview = harden(host, "rollback", "site.packages", "--dry-run").stdout
    for part in ("packages: exim4-config", "packages: libdaemon0:amd64", "with them, from the"):
        assert part in preview, part
    roll_back(host, "site.packages")
    third = fingerprint(host)
    left = [line for line in differences(first, third) if "packages " in line]
    assert [line for line in left if "automatic " not in line] == []
    assert host.out("systemctl", "is-active", "exim4", "avahi-daemon") == "active\nactive"
    assert host.out("stat", "-c", "%n", "/etc/exim4/exim4.conf.template")
    shown = harden(host, "history", "show", history(host)[-1]["id"]).stdout
    assert "packages: exim4-config" in shown
    came_anew = "--purge" in autoremove  # else its configuration was there all the time
    assert ("/etc/exim4/exim4.conf.template" in shown) is came_anew


def _with_avahi_purged(host: LabHost) -> None:
    install = "apt-get install -y -q --no-install-recommends avahi-daemon"
    host.run("sh", "-c", f"export DEBIAN_FRONTEND=noninteractive; {install}")
    host.run("ln", "-sf", "/srv/x", "/etc/avahi/hosts")
    _site_step(host, "purged: [avahi-daemon]")
    apply(host, "site.packages")


def test_what_our_own_dpkg_writes_is_no_strangers(host: LabHost) -> None:
    """Accounts and configuration that a package makes anew before ours is put over them."""
    _with_avahi_purged(host)
    said = harden(host, "rollback", "site.packages", "--yes").stdout
    assert "something else" not in said
    assert ".found" not in host.out("ls", "/var/lib/harden-tui/snapshots/points")


def test_what_a_stranger_writes_while_our_dpkg_runs_is_kept_and_told(host: LabHost) -> None:
    _with_avahi_purged(host)
    host.write("/etc/motd", "old\n")
    work = "test ! -e /run/now || { echo mine > /etc/motd; useradd -M mallory; groupadd -r box; }"
    host.write("/etc/apt/apt.conf.d/99work", f'DPkg::Post-Invoke {{"{work}";}};\n')
    host.run("touch", "/run/now")
    said = harden(host, "rollback", "site.packages", "--yes").stdout
    assert " changed by something else meanwhile" in said
    over, _, stays = " ".join(said.split()).partition("found0. ")
    assert "/etc/group" in over and "that is no part of this, and stays as it is" in stays
    assert "/etc/group" not in stays, "it was written over, without `box`"
    mine = hashlib.sha256(b"mine\n").hexdigest()
    host.run("test", "-e", f"/var/lib/harden-tui/snapshots/objects/{mine[:2]}/{mine}")
    assert host.out("cat", "/etc/motd") == "old"
    assert "mallory" in host.out("cat", "/etc/passwd"), "a person's account is no package's"
    assert "mallory" in host.out("cat", "/etc/shadow") and "mallory" in host.out(
        "cat", "/etc/group"
    )
