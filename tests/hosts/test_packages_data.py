"""Packages' own scripts remove directories: what did not come with them is there again, and where
an undo goes back, what their programs made."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.histories.archive import Deb
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back
from tests.hosts.test_upgrades import STEP, offer, site_step

pytestmark = pytest.mark.either_release

_MAKES = """
test ! -e /root/fail-to-start
mkdir -p /var/lib/thing/db /var/lib/thing-data /var/log/thing
getent passwd thingd >/dev/null || useradd -r -d /var/lib/thing -s /usr/sbin/nologin thingd
echo new > /var/lib/thing/db/made
chown -R thingd: /var/lib/thing/db /var/lib/thing-data
"""
THING = Deb(
    name="thing", version="1", files={"/usr/share/thing/a": "a\n", "/var/lib/thing/own": "s\n"},
    scripts={
        "postinst": _MAKES,
        "postrm": 'if test "$1" = purge; then rm -rf /var/lib/thing* /var/log/thing*; fi',
    },
)  # fmt: skip
FAILS = Deb(
    name="zfail", version="1", depends="thing", files={"/usr/share/zfail/a": "a\n"},
    scripts={"postrm": 'if test "$1" = purge && test -e /root/fail; then exit 1; fi'},
)  # fmt: skip
PLUG = Deb(
    name="plug", version="1", files={"/var/lib/thing/plug.d/one": "p\n"},
    scripts={"postinst": "useradd -r plugd; chown plugd: /var/lib/thing/plug.d"},
)  # fmt: skip
ODD = Deb(
    name="odd", version="1", files={"/usr/share/odd/a": "o\n"},
    scripts={"postinst": "mkdir -p /srv/share/pub"},
)  # fmt: skip
DATA = "/var/lib/thing-data/data"


def _installed(host: LabHost, place: Path) -> None:
    offer(host, place, (THING, FAILS), "1")
    site_step(host, "package: {installed: [thing, zfail]}")
    apply(host, "site.packages")


def _a_step(host: LabHost, name: str, resource: str) -> None:
    step = STEP.format(resource=resource).replace("site.packages", f"site.{name}")
    host.write(f"/etc/harden-tui/steps.d/{name}.yaml", step)


def test_what_lay_there_before_is_there_after_the_undo(host: LabHost, tmp_path: Path) -> None:
    host.run("mkdir", "-m", "700", "/var/log/thing", "/var/lib/thing")
    host.run("sh", "-c", "echo old > /var/log/thing/evidence; echo old > /var/log/thing.log.1")
    host.run("install", "-m", "640", "-o", "www-data", "/etc/motd", "/var/lib/thing/of-another")
    host.run("truncate", "-s", "80M", "/var/lib/thing/huge")
    offer(host, tmp_path, (THING, FAILS), "1")
    site_step(host, "package: {installed: [thing, zfail]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    host.run("sh", "-c", f"echo a-year >> {DATA}; echo more >> /var/log/thing/evidence")
    host.run("chown", "thingd:", DATA)

    preview = " ".join(harden(host, "rollback", "site.packages", "--dry-run").stdout.split())
    assert "Scripts of the packages may remove /var/lib/thing/huge, which did not" in preview
    host.run("mv", "/var/lib/thing/huge", "/root/huge")
    roll_back(host, "site.packages")
    host.run("mv", "/root/huge", "/var/lib/thing/huge")
    assert differences(first, fingerprint(host)) == []
    assert host.out("cat", "/var/log/thing/evidence") == "old\nmore"
    assert host.out("stat", "-c", "%a %U", "/var/lib/thing/of-another") == "640 www-data"


def test_an_undo_that_fails_after_the_purge_brings_the_data_back(
    host: LabHost, tmp_path: Path
) -> None:
    _installed(host, tmp_path)
    host.run("sh", "-c", f"echo a-year > {DATA}; echo older > /var/lib/thing/db/made")
    host.run("sh", "-c", "echo part > /var/lib/thing/db/part")
    host.run("chown", "thingd:", DATA, "/var/lib/thing/db/part")
    host.run("install", "-m", "600", "-o", "thingd", "/etc/motd", "/var/log/thing/x.log")
    host.run("touch", "/root/fail")
    before = fingerprint(host)
    failed = harden(host, "rollback", "site.packages", "--yes", check=False)
    assert failed.returncode != 0
    said = " ".join((failed.stdout + failed.stderr).split())
    assert "failed and was rolled back" in said
    part = "/var/lib/thing/db/part"
    assert [line.partition(": ")[0] for line in differences(before, fingerprint(host))] == [
        f"names {part}"
    ]
    assert f"Not put back, as a package made new data beside it: {part} (what it held: " in said
    assert host.out("cat", DATA) == "a-year"
    # A script wrote this one anew, and a program may have it open.
    anew = "Made anew when the packages came back, and not as before: /var/lib/thing/db/made"
    assert anew in said
    kept = said.partition(f"{anew} (what it held: ")[2].partition(")")[0]
    assert host.out("cat", kept) == "older"

    host.run("rm", "/root/fail")
    roll_back(host, "site.packages")
    assert host.run("test", "-e", "/var/lib/thing", check=False).returncode != 0


OLD, NEW = "/var/lib/thing/old.db", "/var/lib/thing/new.db"


def _of_thingd(host: LabHost, *paths: str) -> None:
    for path in paths:
        host.run("install", "-m", "640", "-o", "thingd", "/etc/motd", path)


def test_an_undo_that_failed_makes_nothing_new_for_the_next(host: LabHost, tmp_path: Path) -> None:
    """What it put back has another birth than before."""
    host.run("useradd", "-r", "-d", "/var/lib/thing", "-s", "/usr/sbin/nologin", "thingd")
    host.run("mkdir", "/var/lib/thing", "/var/log/thing")
    host.run("mkdir", "-m", "1733", "/var/lib/thing/incoming")
    host.run("mkfifo", "-m", "600", "/var/lib/thing/queue")
    host.run("sh", "-c", "echo evidence > /var/log/thing/old.log")
    _of_thingd(host, OLD)
    offer(host, tmp_path, (THING, FAILS), "1")
    site_step(host, "package: {installed: [thing, zfail]}")
    first = fingerprint(host)
    apply(host, "site.packages")
    _of_thingd(host, NEW)
    host.run("sh", "-c", "echo month > /var/log/thing/new.log; touch /root/fail")
    before = fingerprint(host)
    assert harden(host, "rollback", "site.packages", "--yes", check=False).returncode != 0
    assert differences(before, fingerprint(host)) == []
    assert host.out("cat", "/var/log/thing/new.log") == "month"

    host.run("rm", "/root/fail")
    roll_back(host, "site.packages")
    host.run("rm", NEW)  # its account was there before, so it may be somebody else's
    assert differences(first, fingerprint(host)) == []
    assert host.out("cat", "/var/log/thing/old.log") == "evidence"


def test_what_is_mounted_in_a_packages_directory_is_never_emptied(
    host: LabHost, tmp_path: Path
) -> None:
    """auditd removes /var/log/audit, which many hosts have on a file system of its own."""
    host.run("mkdir", "/var/log/thing")
    host.run("mount", "-t", "tmpfs", "none", "/var/log/thing")
    host.run("sh", "-c", "echo evidence > /var/log/thing/old.log")
    _installed(host, tmp_path)
    preview = harden(host, "rollback", "site.packages", "--dry-run", check=False)
    refused = harden(host, "rollback", "site.packages", "--yes", check=False)
    for said in (preview.stdout + preview.stderr, refused.stdout):
        assert "mounted on /var/log/thing, and scripts of thing may" in " ".join(said.split())
    assert refused.returncode == 3
    assert host.out("cat", "/var/log/thing/old.log") == "evidence"
    host.run("umount", "/var/log/thing")
    roll_back(host, "site.packages")

    host.run("mount", "-t", "tmpfs", "none", "/var/log/thing")
    host.run("sh", "-c", "echo evidence > /var/log/thing/old.log")
    host.run("touch", "/root/fail-to-start")
    failed = harden(host, "apply", "site.packages", "--yes", check=False)
    assert failed.returncode == 5
    assert "mounted on /var/log/thing, and scripts of thing may" in " ".join(failed.stdout.split())
    assert host.out("cat", "/var/log/thing/old.log") == "evidence"
    host.run("umount", "/var/log/thing")
    host.run("rm", "/root/fail-to-start")
    assert "Brought back" in harden(host, "recover", "--yes").stdout


def test_data_of_a_package_that_stays_stays(host: LabHost, tmp_path: Path) -> None:
    _installed(host, tmp_path)
    offer(host, tmp_path, (PLUG,), "1")
    host.run("apt-get", "install", "-q", "-y", "plug")
    host.run("install", "-o", "plugd", "/etc/motd", "/var/lib/thing/plug.d/data")
    roll_back(host, "site.packages")
    assert host.out("stat", "-c", "%U", "/var/lib/thing/plug.d/data") == "plugd"
    assert host.out("ls", "/var/lib/thing") == "plug.d"
    assert host.out("dpkg", "-V", "plug") == ""


@pytest.mark.parametrize("brought", ["thing, odd", "zfail, odd", "plug"])
def test_a_package_that_an_undo_makes_the_hosts_own_again_keeps_its_data(
    host: LabHost, tmp_path: Path, brought: str
) -> None:
    """A step takes it away, and another brings it, or something that needs it, or that puts its
    own into its directory: undone in the order they were applied."""
    offer(host, tmp_path, (THING, FAILS, PLUG, ODD), "1")
    host.run("apt-get", "install", "-y", "-q", "thing")
    _a_step(host, "purge", "package: {purged: [thing]}")
    _a_step(host, "bring", f"package: {{installed: [{brought}]}}")
    first = fingerprint(host)
    apply(host, "site.purge")
    apply(host, "site.bring")
    roll_back(host, "site.purge")
    data = (DATA, "/var/log/thing/x.log", "/var/lib/thing/db/data")
    _of_thingd(host, *data)
    roll_back(host, "site.bring")
    for path in data:
        assert host.run("test", "-e", path, check=False).returncode == 0, path
    host.run("rm", *data)
    assert differences(first, fingerprint(host)) == []


def test_an_undo_that_fails_gives_modes_back(host: LabHost, tmp_path: Path) -> None:
    """Of a directory from before the package, and of its own as somebody set them since."""
    host.run("mkdir", "-m", "700", "/var/lib/thing")
    host.run("chown", "www-data:", "/var/lib/thing")
    _installed(host, tmp_path)
    host.run("chmod", "750", "/var/log/thing", "/var/lib/thing/db")
    host.run("chgrp", "adm", "/var/log/thing")
    host.run("chmod", "600", "/var/lib/thing/db/made")
    host.run("touch", "/root/fail")
    before = fingerprint(host)
    failed = harden(host, "rollback", "site.packages", "--yes", check=False)
    assert failed.returncode != 0
    assert differences(before, fingerprint(host)) == []


@pytest.mark.parametrize("ends", ["undone", "failed"])
def test_a_file_of_nobodys_that_a_package_writes_over_is_there_again(
    host: LabHost, tmp_path: Path, ends: str
) -> None:
    host.run("mkdir", "-m", "711", "/usr/share/thing", "/var/lib/thing")
    for path in ("/usr/share/thing/a", "/var/lib/thing/own"):
        host.write(path, "mine\n")
        host.run("chmod", "600", path)
    offer(host, tmp_path, (THING, FAILS), "1")
    site_step(host, "package: {installed: [thing, zfail]}")
    first = fingerprint(host)
    if ends == "failed":
        host.run("touch", "/root/fail-to-start")
        assert harden(host, "apply", "site.packages", "--yes", check=False).returncode == 4
    else:
        said = harden(host, "apply", "site.packages", "--yes").stdout
        assert "Kept, as packages write over it: /usr/share/thing/a" in " ".join(said.split())
        assert host.out("cat", "/usr/share/thing/a") == "a"
        roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []
    for path in ("/usr/share/thing/a", "/var/lib/thing/own"):
        assert host.out("stat", "-c", "%a", path, path.rpartition("/")[0]) == "600\n711"
        assert host.out("cat", path) == "mine"


def test_a_file_of_nobodys_that_is_too_large_is_not_written_over(
    host: LabHost, tmp_path: Path
) -> None:
    host.run("mkdir", "/usr/share/thing")
    host.run("truncate", "-s", "600M", "/usr/share/thing/a")
    offer(host, tmp_path, (THING, FAILS), "1")
    site_step(host, "package: {installed: [thing, zfail]}")
    refused = harden(host, "apply", "site.packages", "--yes", check=False)
    assert refused.returncode == 3
    assert "/usr/share/thing/a is larger than" in " ".join(refused.stdout.split())
    assert host.out("stat", "-c", "%s", "/usr/share/thing/a") == str(600 * 1024 * 1024)


def test_a_package_comes_back_over_no_file_of_somebodys(host: LabHost, tmp_path: Path) -> None:
    offer(host, tmp_path, (THING, FAILS), "1")
    host.run("apt-get", "install", "-q", "-y", "thing")
    site_step(host, "package: {purged: [thing]}")
    host.run("mount", "-t", "tmpfs", "none", "/var/log/thing")
    refused = harden(host, "apply", "site.packages", "--yes", check=False)
    assert refused.returncode == 3
    assert "mounted on /var/log/thing, and scripts of thing" in " ".join(refused.stdout.split())
    host.run("umount", "/var/log/thing")

    apply(host, "site.packages")
    host.write("/usr/share/thing/a", "mine\n")
    refused = harden(host, "rollback", "site.packages", "--yes", check=False)
    assert refused.returncode == 3
    said = " ".join(refused.stdout.split())
    assert "/usr/share/thing/a lies where a package that comes back" in said
    assert host.out("cat", "/usr/share/thing/a") == "mine"
    host.run("rm", "/usr/share/thing/a")
    roll_back(host, "site.packages")
    assert host.out("cat", "/usr/share/thing/a") == "a"


def test_a_file_of_a_step_in_its_packages_own_directory(host: LabHost, tmp_path: Path) -> None:
    offer(host, tmp_path, (THING, FAILS), "1")
    ensure = "package: {installed: [thing, zfail]}"
    own = 'file: {path: /var/lib/thing/etc/b.conf, content: "b\\n"}'
    site_step(host, f"{ensure}\n    - {own}")
    first = fingerprint(host)
    apply(host, "site.packages")
    assert host.out("cat", "/var/lib/thing/etc/b.conf") == "b"
    _of_thingd(host, "/var/lib/thing/db/made", "/var/lib/thing/etc/of-the-daemon")
    roll_back(host, "site.packages")
    assert differences(first, fingerprint(host)) == []
    assert host.run("test", "-e", "/var/lib/thing", check=False).returncode != 0


def test_a_directory_that_three_steps_need_goes_with_the_last(
    host: LabHost, tmp_path: Path
) -> None:
    """Of a package, of a file in its directory, of a package that puts its own there."""
    offer(host, tmp_path, (THING, PLUG), "1")
    _a_step(host, "thing", "package: {installed: [thing]}")
    _a_step(host, "file", 'file: {path: /var/lib/thing/b.conf, content: "b\n"}')
    _a_step(host, "plug", "package: {installed: [plug]}")
    first = fingerprint(host)
    for order in (("thing", "plug", "file"), ("thing", "file", "plug")):
        for name in ("thing", "file", "plug"):
            apply(host, f"site.{name}")
        for name in order:
            roll_back(host, f"site.{name}")
        assert differences(first, fingerprint(host)) == [], order


def test_what_somebody_put_into_a_directory_of_two_stays_through_both_undos(
    host: LabHost, tmp_path: Path
) -> None:
    offer(host, tmp_path, (THING, PLUG), "1")
    _a_step(host, "thing", "package: {installed: [thing]}")
    _a_step(host, "plug", "package: {installed: [plug]}")
    apply(host, "site.thing")
    apply(host, "site.plug")
    mine = "/var/lib/thing/mine.conf"
    host.write(mine, "mine\n")
    for name in ("thing", "plug"):
        said = " ".join(harden(host, "rollback", f"site.{name}", "--yes").stdout.split())
        assert f"it may be yours and stays: {mine}" in said, said
        assert host.out("cat", mine) == "mine"


def test_a_step_that_purges_and_writes_in_its_place_is_undone(
    host: LabHost, tmp_path: Path
) -> None:
    offer(host, tmp_path, (THING, FAILS), "1")
    host.run("apt-get", "install", "-q", "-y", "thing")
    own = 'file: {path: /usr/share/thing/a, content: "b"}'
    site_step(host, f"package: {{purged: [thing]}}\n    - {own}")
    apply(host, "site.packages")
    assert host.out("cat", "/usr/share/thing/a") == "b"
    roll_back(host, "site.packages")
    assert host.out("cat", "/usr/share/thing/a") == "a"
    assert host.out("dpkg", "-V", "thing") == ""
