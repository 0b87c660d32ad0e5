"""The host's own files as they should not be: links, other encodings, odd names, huge ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.hosts.bad_input import (
    DROP_INS,
    STATE,
    applied_and_undone,
    apply,
    arranged,
    changed,
    program,
    refused,
    roll_back,
    unharmed,
)
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import APP

pytestmark = pytest.mark.either_release

LATIN = b"caf\xe9"


def test_what_is_no_plain_file_is_not_written_through(worn: LabHost) -> None:
    """Nor is what a link leads to shown: not in a preview, a complaint, an event or a log."""
    hashed = worn.out("sh", "-c", "getent shadow root | cut -d: -f2 | cut -c10-40")
    with unharmed(worn):
        for step, path in DROP_INS.items():
            with arranged(worn, f"ln -s /etc/shadow {path}", f"rm -rf {path}"):
                said = apply(worn, step)
                # sshd itself reads what stands in its folder, and complains first
                what = "" if step == "ssh.limits" else "is a symbolic link to /etc/shadow"
                refused(said, 3, path, what)
                for command in ("check", "plan"):
                    shown = program(worn, command, "--checklist", "i-doit", step)
                    assert shown.exit == 1
                    assert hashed not in shown.out + shown.err + said.out
                assert worn.out("readlink", path) == "/etc/shadow"
        path = DROP_INS["kernel.sysctl"]
        for begin, what in (
            (f"ln -s /nowhere {path}", "is a symbolic link to /nowhere"),
            (f"mkdir {path}", "is a directory, and a plain file belongs there"),
            (f"mkfifo {path}", "is a named pipe"),
        ):
            with arranged(worn, begin, f"rm -rf {path}"):
                refused(apply(worn, "kernel.sysctl"), 3, path, what)
                assert worn.run("test", "-f", path, check=False).returncode != 0
    told = worn.run("grep", "-rF", hashed, STATE, "/var/log/harden-tui", check=False)
    kept = [line for line in told.stdout.splitlines() if "/snapshots/objects/" not in line]
    assert kept == [], "a password hash outside the restore points"


def test_folders_that_cannot_be_written(worn: LabHost) -> None:
    read_only = "mount --bind /etc/apache2 /etc/apache2; mount -o remount,bind,ro /etc/apache2"
    with arranged(worn, read_only, "umount /etc/apache2"), unharmed(worn):
        refused(
            apply(worn, "apache.banner"), 4,
            "apache.banner failed and was rolled back", DROP_INS["apache.banner"],
            "the file system is mounted read-only",
        )  # fmt: skip
        assert roll_back(worn).exit == 0
    # Immutable is no obstacle for root, and stays so.
    folders = "/etc/ssh/sshd_config.d /etc/ssh/sshd_config"
    with arranged(worn, f"chattr +i {folders}", f"chattr -i {folders}"):
        applied_and_undone(worn, "ssh.limits")


def test_configuration_in_another_encoding(worn: LabHost) -> None:
    version = worn.out("php", "-r", "echo PHP_MAJOR_VERSION.'.'.PHP_MINOR_VERSION;")
    comment = b"\n# " + LATIN + b" \xff\xfe\n"
    with (
        changed(worn, "/etc/ssh/sshd_config", comment, add=True),
        changed(worn, "/etc/ssh/sshd_config.d/10-a.conf", b"Banner /etc/" + LATIN + b"\n"),
        changed(worn, "/etc/apache2/apache2.conf", comment + b"ServerAdmin " + LATIN + b"@x\n",
                add=True),
        changed(worn, f"/etc/php/{version}/apache2/php.ini",
                b'\n; ' + LATIN + b'\nuser_agent = "' + LATIN + b'"\n', add=True),
        changed(worn, "/etc/sysctl.d/10-a.conf",
                comment + b"net.ipv4.tcp_syncookies = 1" + b"\xe9\n"),
        changed(worn, os.fsdecode(b"/etc/sysctl.d/20-" + LATIN + b".conf"),
                b"net.ipv4.conf.all.log_martians = 0\n"),
    ):  # fmt: skip
        steps = ("ssh.limits", "apache.banner", "php.settings", "kernel.sysctl")
        for command in ("check", "plan"):
            for form in ("text", "json", "events"):
                said = program(
                    worn, command, "--checklist", "i-doit", *steps, "--format", form
                )  # fmt: skip
                assert (said.exit, said.err) == (1, ""), (command, form, said)
        applied_and_undone(worn, *steps)


def test_names_that_no_encoding_fits_and_a_large_file(worn: LabHost) -> None:
    """In a tree that is sealed, and in /etc; with 50 MB that have to be kept."""
    names = (LATIN, b"escape\x1b[31m", b"new\nline", b"-rf", b"x" * 255)
    places = [
        os.fsencode(worn.root) + os.fsencode(folder) + b"/" + name
        for folder in (APP, f"{APP}/log", "/etc")
        for name in names
    ]
    for place in places:
        Path(os.fsdecode(place)).write_bytes(b"<?php\n")
    (worn.root / "etc/large.img").write_bytes(os.urandom(50 << 20))
    before = fingerprint(worn, APP)
    for command in ("check", "plan"):
        for form in ("text", "json", "events"):
            said = program(worn, command, "--checklist", "i-doit", "app.tree", "--format", form)
            assert (said.exit, said.err) == (1, ""), (command, form, said)
    sealed = apply(worn, "app.tree")
    assert sealed.exit == 0, sealed.sentence
    assert worn.run("sh", "-c", f"echo > {APP}/caf*", check=False).returncode != 0
    for arguments in (
        ("history", "show"), ("history", "show", "--format", "json"),
        ("rollback", "app.tree", "--dry-run"),
        ("rollback", "app.tree", "--dry-run", "--format", "json"),
    ):  # fmt: skip
        shown = program(worn, *arguments)
        assert (shown.exit, shown.err) == (0, ""), (arguments, shown)
        assert "caf" in shown.out
    undone = roll_back(worn, "app.tree")
    assert undone.exit == 0, undone.sentence
    assert differences(before, fingerprint(worn, APP)) == []
    assert program(worn, "history", "verify").exit == 0
    for place in places:
        os.unlink(place)
    (worn.root / "etc/large.img").unlink()


def test_a_file_too_large_to_keep(worn: LabHost) -> None:
    """It is in nobody's way, and none of its content is kept."""
    with arranged(worn, "truncate -s 600M /etc/huge.img", "rm /etc/huge.img"):
        applied_and_undone(worn, "kernel.sysctl")
        assert worn.out("find", f"{STATE}/snapshots", "-size", "+200M") == ""
