"""Somebody else is at work at the same time: waited for or refused by name, never interleaved."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.histories import archive
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import harden, history

pytestmark = pytest.mark.either_release

STEP = "ssh.limits"
SLOW_PACKAGE = """
set -e
mkdir -p /root/slow/DEBIAN
printf '%s\\n' 'Package: slow' 'Version: 1' 'Architecture: all' \
    'Maintainer: nobody <nobody@example.org>' 'Description: takes its time' \
    > /root/slow/DEBIAN/control
printf '#!/bin/sh\\necho slow > /etc/slow.conf\\nsleep %s\\necho done >> /etc/slow.conf\\n' "$1" \
    > /root/slow/DEBIAN/postinst
chmod 755 /root/slow/DEBIAN/postinst
dpkg-deb --build /root/slow /root/slow.deb
"""
"""A package whose script writes to /etc, waits, and writes again: what must not be cut in two."""

STRANGER = """
import fcntl, os, subprocess, time
lock = open("/var/lib/dpkg/lock-frontend", "r+")
while True:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        break
    fcntl.lockf(lock, fcntl.LOCK_UN)
    time.sleep(0.2)
fcntl.lockf(lock, fcntl.LOCK_EX)
env = {**os.environ, "DPKG_FRONTEND_LOCKED": "1"}
subprocess.run(["dpkg", "-i", "/srv/strange/webthing_2_all.deb"], env=env, check=True)
"""
"""Waits for whoever takes dpkg's lock first to let it go, and upgrades a package before apt can."""


@contextlib.contextmanager
def at_work(host: LabHost, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A program inside that runs meanwhile."""
    process = subprocess.Popen(
        ["nsenter", "-t", str(host.leader), "-a", "--", *argv],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def slow(host: LabHost, request: pytest.FixtureRequest) -> LabHost:
    seconds: int = request.param
    host.run("sh", "-c", SLOW_PACKAGE, "sh", str(seconds))
    return host


def installs(host: LabHost) -> None:
    """Until apt has come to the package's script."""
    until = time.monotonic() + 60
    while not (host.root / "etc/slow.conf").exists():
        assert time.monotonic() < until, "apt never came to it"
        time.sleep(0.05)


@pytest.mark.parametrize("slow", [6], indirect=True)
def test_apt_at_work_is_waited_for(slow: LabHost) -> None:
    with at_work(slow, "apt-get", "install", "-y", "-q", "/root/slow.deb") as apt:
        installs(slow)
        done = harden(slow, "apply", "--checklist", "i-doit", STEP, "--yes", "--format", "events")
        assert re.search(r"waiting up to 60 s for apt-get \(process \d+, since .* UTC\)",
                         done.stdout)  # fmt: skip
        assert apt.wait(60) == 0
    assert (slow.root / "etc/slow.conf").read_text() == "slow\ndone\n"
    shown = harden(slow, "history", "show", history(slow)[-1]["id"])
    assert "00-harden-tui-ssh-limits.conf" in shown.stdout
    assert "slow" not in shown.stdout, "what apt did meanwhile is not ours"


@pytest.mark.parametrize("slow", [200], indirect=True)
def test_apt_that_takes_too_long_is_named(slow: LabHost) -> None:
    with at_work(slow, "apt-get", "install", "-y", "-q", "/root/slow.deb"):
        installs(slow)
        done = harden(slow, "apply", "--checklist", "i-doit", STEP, "--yes", check=False)
        assert done.returncode == 3, done.stdout
        assert re.search(r"apt-get \(process \d+, since .* UTC\); it was waited for 60 s, and"
                         r" nothing was changed", done.stdout + done.stderr)  # fmt: skip
        refused = harden(slow, "apply", "--checklist", "i-doit", "defence.fail2ban", "--yes",
                         check=False)  # fmt: skip
        assert refused.returncode == 3
        assert re.search(r"apt-get \(process \d+, since", refused.stdout + refused.stderr)
    assert not (slow.root / "etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf").exists()
    assert [record["status"] for record in history(slow)] == []


def test_unattended_upgrades_is_named(host: LabHost, tmp_path: Path) -> None:
    """The real one, at a security update whose script takes its time; it then ends in peace."""
    slow = "echo slow > /etc/slow.conf; sleep 15; echo done >> /etc/slow.conf"
    folder = host.root / "srv/security"
    folder.mkdir()
    for version, script in (("1", "true"), ("2", slow)):
        deb = archive.Deb(name="slow", version=version, scripts={"postinst": script})
        shutil.copy(archive.build(deb, tmp_path), folder)
    archive.offer(folder, ["slow_2_all.deb"])
    codename = f"{host.suite}-security"
    archive.name_release(
        folder, Origin="Debian", Label="Debian-Security", Suite=codename, Codename=codename
    )
    host.write("/etc/apt/sources.list.d/security.list", "deb [trusted=yes] file:/srv/security ./\n")
    host.run("dpkg", "-i", "/srv/security/slow_1_all.deb")
    host.run("apt-get", "update", "-q")
    host.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "unattended-upgrades")
    with at_work(host, "unattended-upgrade") as upgrade:
        installs(host)
        done = harden(host, "apply", "--checklist", "i-doit", "defence.fail2ban", "--yes",
                      check=False)  # fmt: skip
        assert done.returncode == 3, done.stdout
        assert re.search(r"unattended-upgr\S* \(process \d+, since .* UTC\)",
                         done.stdout + done.stderr)  # fmt: skip
        assert upgrade.wait(120) == 0
    assert (host.root / "etc/slow.conf").read_text() == "slow\ndone\n"
    assert host.out("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "slow") == (
        "2 installed"
    )
    assert history(host) == []


def test_apt_is_kept_out_of_a_change(host: LabHost) -> None:
    host.run("sh", "-c", SLOW_PACKAGE, "sh", "0")
    with at_work(host, "harden-tui", "apply", "--checklist", "i-doit", STEP, "--yes"):
        until = time.monotonic() + 60
        drop_in = host.root / "etc/ssh/sshd_config.d/00-harden-tui-ssh-limits.conf"
        while not drop_in.exists():
            assert time.monotonic() < until, "the change never came"
            time.sleep(0.02)
        apt = host.run("apt-get", "install", "-y", "-q", "/root/slow.deb", check=False)
        assert apt.returncode != 0
        assert "lock-frontend" in apt.stderr
        while not (records := history(host)) or records[-1]["status"] in ("open", "pending"):
            assert time.monotonic() < until, "the change never ended"
            time.sleep(0.2)
    assert records[-1]["status"] == "committed"
    host.run("apt-get", "install", "-y", "-q", "/root/slow.deb")


def test_who_wins_the_lock_from_our_own_apt_keeps_its_upgrade(
    host: LabHost, tmp_path: Path
) -> None:
    """For the moment in which our apt takes the lock, it is let go."""
    for deb in archive.debs():
        if deb.name == "webthing" and deb.version in "12":
            host.write(f"/srv/strange/{deb.file_name}", archive.build(deb, tmp_path).read_bytes())
    host.run("dpkg", "-i", "/srv/strange/webthing_1_all.deb")
    first = fingerprint(host)
    with at_work(host, "python3", "-c", STRANGER) as stranger:
        arguments = ["--checklist", "i-doit", "defence.fail2ban", "--yes"]
        done = harden(host, "apply", *arguments)
        assert stranger.wait(60) == 0
    assert "Another package tool changed webthing in the meantime" in done.stdout
    shown = harden(host, "history", "show", history(host)[-1]["id"], "--format", "json").stdout
    deltas = [delta["key"] for delta in json.loads(shown)["deltas"]]
    assert "fail2ban" in deltas
    assert [key for key in deltas if "webthing" in key] == []
    harden(host, "rollback", "defence.fail2ban", "--yes")
    left = {line.split(": ")[0] for line in differences(first, fingerprint(host))}
    theirs = (archive.WEB, archive.MADE, "/etc/webthing/since-2.conf")
    # Nobody can tell whose lines of the linker's cache are, which package tools make anew.
    left.discard("files /etc/ld.so.cache")
    assert left == {"packages webthing", *(f"files {path}" for path in theirs)}
    assert host.out("dpkg-query", "-W", "-f", "${Version}", "webthing") == "2"
    assert (host.root / archive.MADE.lstrip("/")).read_text().startswith("made by 2")


def test_a_second_harden_tui_is_refused_by_name(host: LabHost) -> None:
    host.run("sh", "-c", SLOW_PACKAGE, "sh", "45")
    with (
        at_work(host, "apt-get", "install", "-y", "-q", "/root/slow.deb"),
        at_work(host, "harden-tui", "apply", "--checklist", "i-doit", STEP, "--yes"),
    ):
        until = time.monotonic() + 60
        while not (host.root / "var/lib/harden-tui/lock").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(1)
        second = harden(host, "apply", "--checklist", "i-doit", "kernel.sysctl", "--yes",
                        check=False)  # fmt: skip
        assert second.returncode == 3, second.stdout
        said = second.stdout + second.stderr
        assert "Another harden-tui is at work on this host: apply (process" in said
        assert "it was waited for 10 s" in said
