"""What an undo of packages does to accounts: nobody gets another's id, nobody loses a group."""

from __future__ import annotations

import pytest

from tests.hosts.fingerprint import Fingerprint, differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back

pytestmark = pytest.mark.either_release

STEP = """\
- id: site.{name}
  stage: post-install
  title: Packages of the site
  why: A test of packages that bring accounts.
  breaks: Nothing.
  source: this test
  ensure:
    - package: {{{body}}}
"""
INSTALL = (
    "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q",
    "--no-install-recommends",
)  # fmt: skip


def _site_step(host: LabHost, name: str, body: str) -> None:
    host.write(f"/etc/harden-tui/steps.d/{name}.yaml", STEP.format(name=name, body=body))


def _ids(host: LabHost, database: str) -> dict[str, str]:
    """Name -> id."""
    rows = [line.split(":") for line in host.out("getent", database).splitlines()]
    return {row[0]: row[2] for row in rows}


def _no_id_twice(host: LabHost) -> None:
    for database in ("passwd", "group"):
        ids = list(_ids(host, database).values())
        assert len(ids) == len(set(ids)), host.out("getent", database)


def _left(first: Fingerprint, host: LabHost) -> list[str]:
    """The differences, without the ports that avahi takes at random."""
    left = differences(first, fingerprint(host))
    return [line for line in left if not line.startswith("ports udp-")]


def _runs_as(host: LabHost, unit: str) -> str:
    pid = host.out("systemctl", "show", "-P", "MainPID", unit).strip()
    return host.out("stat", "-c", "%U", f"/proc/{pid}").strip()


def test_an_id_that_was_given_away_meanwhile_is_left_to_its_new_account(host: LabHost) -> None:
    """The package's account comes back with a free one, and its daemon runs as that account."""
    host.run(*INSTALL, "avahi-daemon")
    _site_step(host, "packages", "purged: [avahi-daemon]")
    old = _ids(host, "passwd")["avahi"], _ids(host, "group")["avahi"]
    apply(host, "site.packages")
    host.run("useradd", "-r", "-u", old[0], "-U", "-M", "backupbot")
    host.run("groupmod", "-g", old[1], "backupbot")
    mine = host.out("id", "backupbot")

    shown = harden(host, "rollback", "site.packages", "--dry-run").stdout
    shown = " ".join(shown.split())
    assert f"{old[0]} is backupbot's now" in shown and "avahi comes back with UID" in shown
    roll_back(host, "site.packages")
    _no_id_twice(host)
    assert host.out("id", "backupbot") == mine
    assert f"avahi:x:{_ids(host, 'passwd')['avahi']}:{_ids(host, 'group')['avahi']}:" in shown
    assert _runs_as(host, "avahi-daemon.service") == "avahi"


def test_an_account_comes_back_before_its_package_where_others_came(host: LabHost) -> None:
    """dpkg would give it another id now: its daemon and its files would be of that one."""
    host.run(*INSTALL, "avahi-daemon")
    _site_step(host, "packages", "purged: [avahi-daemon], installed: [vsftpd]")
    first, ids = fingerprint(host), _ids(host, "passwd")
    apply(host, "site.packages")
    assert _ids(host, "passwd")["ftp"] == ids["avahi"]
    roll_back(host, "site.packages")
    assert _left(first, host) == []
    assert _runs_as(host, "avahi-daemon.service") == "avahi"


def test_an_account_that_another_step_brought_again_is_there_once(host: LabHost) -> None:
    """Each undo leaves one line of it, in the order in which the daemon failed once."""
    host.run(*INSTALL, "avahi-daemon", "rpcbind", "tnftp")
    _site_step(host, "a", "purged: [avahi-daemon], installed: [vsftpd]")
    _site_step(host, "b", "purged: [vsftpd], installed: [avahi-daemon]")
    _site_step(host, "c", "removed: [rpcbind, avahi-daemon], installed: [msmtp-mta]")
    _site_step(host, "d", "installed: [avahi-daemon, vsftpd]")
    first = fingerprint(host)
    for step in "abcd":
        apply(host, f"site.{step}")
    for step in "bdac":
        roll_back(host, f"site.{step}")
        names = [line.split(":")[0] for line in host.out("cat", "/etc/passwd").splitlines()]
        assert len(names) == len(set(names))
        _no_id_twice(host)
    assert _runs_as(host, "avahi-daemon.service") == "avahi"
    of_accounts = ("files /etc/passwd", "files /etc/group", "files /etc/shadow", "files /etc/gsha")
    assert [line for line in _left(first, host) if not line.startswith(of_accounts)] == []


def test_a_group_that_dpkg_statoverride_names_stays(host: LabHost) -> None:
    """dpkg refuses to work as long as it names one that is gone."""
    _site_step(host, "packages", "installed: [vsftpd]")
    apply(host, "site.packages")
    host.run("mkdir", "/srv/uploads")
    host.run("dpkg-statoverride", "--add", "--update", "root", "ftp", "0750", "/srv/uploads")
    shown = harden(host, "rollback", "site.packages", "--dry-run").stdout
    assert "ftp stays: dpkg-statoverride names it for /srv/uploads" in " ".join(shown.split())
    roll_back(host, "site.packages")
    assert host.out("stat", "-c", "%G", "/srv/uploads").strip() == "ftp"
    assert "ftp" not in _ids(host, "passwd")
    host.run(*INSTALL, "tnftp")
    apply(host, "site.packages")
    roll_back(host, "site.packages")
    assert host.run("dpkg", "--audit").stdout == ""


def test_a_primary_group_stays_with_the_account_that_has_it(host: LabHost) -> None:
    _site_step(host, "packages", "installed: [vsftpd]")
    apply(host, "site.packages")
    host.run("useradd", "-r", "-g", "ftp", "uploader")
    mine = host.out("id", "uploader")
    shown = harden(host, "rollback", "site.packages", "--dry-run").stdout
    assert "ftp stays: it is the primary group of uploader" in " ".join(shown.split())
    roll_back(host, "site.packages")
    host.run("groupadd", "-r", "other")
    assert host.out("id", "uploader") == mine
    assert "ftp" not in _ids(host, "passwd")
