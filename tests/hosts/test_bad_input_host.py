"""A host in a bad way: a full disk, dead daemons, locks, broken sources, a damaged state."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.bad_input import (
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
from tests.hosts.lab import LabHost

pytestmark = pytest.mark.either_release

SMALL = "/srv/small"
RESERVE_KIB = 1024
"""Set aside while a change is under way (`snapshots.state.RESERVE_BYTES`)."""


@contextlib.contextmanager
def small_disk(host: LabHost, kib: int) -> Iterator[tuple[str, ...]]:
    """Options for a state directory with room for so much."""
    begin = f"mkdir -p {SMALL}; mount -t tmpfs -o size={kib}k,mode=700 small {SMALL}"
    with arranged(host, begin, f"umount {SMALL}; rmdir {SMALL}"):
        yield ("--state-dir", SMALL)


@contextlib.contextmanager
def holding(host: LabHost, python: str) -> Iterator[None]:
    """A program of somebody else that takes a lock and keeps it."""
    held = subprocess.Popen(
        ["nsenter", "-t", str(host.leader), "-a", "--", "python3", "-c",
         f"import fcntl, os, time; {python}; print(os.getpid(), flush=True); time.sleep(300)"],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert held.stdout is not None
    pid = held.stdout.readline().decode().strip()  # as the host counts
    try:
        assert pid
        yield
    finally:
        host.run("kill", "-KILL", pid)
        held.wait()
        held.stdout.close()


def test_full_disk(worn: LabHost) -> None:
    """Nothing is begun without room for the way back; what has no room at the end is undone."""
    with small_disk(worn, 64 * 1024) as options, unharmed(worn):
        done = apply(worn, "kernel.sysctl", more=options)
        assert done.exit == 0, done.sentence
        used = int(worn.out("sh", "-c", f"df -k --output=used {SMALL} | tail -1"))
        assert program(worn, "rollback", "--all", "--yes", *options).exit == 0

    with small_disk(worn, 100) as options, unharmed(worn):
        worn.run("sh", "-c", f"head -c 1M /dev/zero > {SMALL}/full", check=False)
        refused(apply(worn, "kernel.sysctl", more=options), 3, "nothing was changed", SMALL)

    for kib, exit_status, sentence in (
        (used // 2, 3, "kernel.sysctl was not begun"),
        (used + RESERVE_KIB // 2, 3, "kernel.sysctl was not begun"),
        (used + RESERVE_KIB - 40, 4, "kernel.sysctl failed and was rolled back: What was changed"),
    ):
        with small_disk(worn, kib) as options:
            with unharmed(worn):
                said = apply(worn, "kernel.sysctl", more=options)
                refused(said, exit_status, sentence, SMALL, "No space left on device")
                for command in (("recover", "--yes"), ("history", "verify"), ("log", "verify")):
                    assert program(worn, *command, *options).exit == 0, (kib, command)
            left = int(worn.out("sh", "-c", f"df -k --output=avail {SMALL} | tail -1"))
            assert left > RESERVE_KIB // 2, "a disk that was filled is left full"


def test_daemons_that_do_not_run(worn: LabHost) -> None:
    # `systemctl stop` alone asks for a graceful stop, which takes up to 90 s on trixie
    stop = "kill $(cat /run/apache2/apache2.pid); systemctl stop apache2"
    with arranged(worn, stop, "systemctl start apache2"):
        applied_and_undone(worn, "apache.banner", "php.settings")
        refused(apply(worn, "apache.headers"), 3, "Apache does not run", "systemctl start apache2")
    with arranged(
        worn, f"{stop}; systemctl mask apache2", "systemctl unmask apache2; systemctl start apache2"
    ):
        applied_and_undone(worn, "apache.banner")
    with (
        arranged(worn, "systemctl stop ssh", "systemctl start ssh"), unharmed(worn),
    ):  # fmt: skip
        refused(apply(worn, "ssh.limits"), 3, "sshd is not running", "systemctl start ssh")


def test_configuration_that_is_broken_already(worn: LabHost) -> None:
    sshd, apache = "/etc/ssh/sshd_config.d/10-a.conf", "/etc/apache2/conf-enabled/a.conf"
    with changed(worn, sshd, b"Colour red\n"), unharmed(worn):
        refused(apply(worn, "ssh.limits"), 3, f"{sshd}: line 1: Bad configuration option: Colour")
        applied_and_undone(worn, "kernel.sysctl")
    with changed(worn, apache, b"Colour red\n"), unharmed(worn):
        for step in ("apache.banner", "php.settings"):
            refused(apply(worn, step), 3, f"line 1 of {apache}", "Invalid command 'Colour'")


def test_an_administrator_who_would_be_locked_out(worn: LabHost) -> None:
    config, match = "/etc/ssh/sshd_config", "\nMatch User alice\n    PasswordAuthentication yes\n"
    for lines, step, reason in (
        (f"{match}    AuthenticationMethods password\n".encode(), "ssh.key-only",
         "AuthenticationMethods password asks more than a key of alice"),
        (b"\nAllowUsers nobody-at-all\n", "ssh.limits", "AllowUsers does not name alice"),
        (b"\nDenyGroups sudo\n", "ssh.limits", "DenyGroups"),
    ):  # fmt: skip
        with changed(worn, config, lines, add=True), unharmed(worn):
            refused(apply(worn, step), 3, "No administrator with sudo could still log in", reason)
    with changed(worn, config, match.encode(), add=True), unharmed(worn):
        done = apply(worn, "ssh.key-only")
        assert done.exit == 0, done.sentence
        of_alice = worn.out("sshd", "-T", "-C", "user=alice,host=h,addr=192.0.2.9").splitlines()
        assert "passwordauthentication no" in of_alice
        assert worn.can_log_in()
        assert roll_back(worn, "ssh.key-only").exit == 0


def test_no_systemctl(worn: LabHost) -> None:
    program_file = "/usr/bin/systemctl"
    hidden = arranged(
        worn, f"mv {program_file} {program_file}.away", f"mv {program_file}.away {program_file}"
    )
    with unharmed(worn), hidden:
        for command in ("check", "plan", "live"):
            more = ("--once",) if command == "live" else ("--checklist", "i-doit")
            said = program(worn, command, *more)
            assert said.exit in (0, 1) or "systemctl" in said.sentence, said
        for step in ("ssh.limits", "kernel.sysctl"):
            said = apply(worn, step)
            assert said.exit in (3, 4), (step, said)
            assert "systemctl" in said.sentence
        unknown = apply(worn, "minimal.services").sentence
        assert "Nothing was changed" in unknown and "minimal.services (unknown)" in unknown


def test_packages_that_cannot_be_had(worn: LabHost) -> None:
    lock = "f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX)"
    with unharmed(worn):
        with holding(worn, lock):
            refused(apply(worn, "firewall.ufw"), 3, "python3 (process ", "holds dpkg's lock")
        with arranged(worn, "mv /srv/repo /srv/away", "mv /srv/away /srv/repo"):
            refused(apply(worn, "firewall.ufw"), 3, "do not offer ufw; nothing was changed")
        with changed(worn, "/etc/apt/sources.list", b"nonsense\n"):
            refused(apply(worn, "firewall.ufw"), 3, "/etc/apt/sources.list")
        with changed(worn, "/srv/repo/Packages", b"\nFilename: ./gone.deb\n", add=True):
            said = program(worn, "check", "--checklist", "i-doit", "firewall.ufw")
            assert said.exit == 1
    ufw = "/srv/repo/ufw_*.deb"
    with unharmed(worn), arranged(
        worn, f"for f in {ufw}; do mv $f $f.away; done",
        f"for f in {ufw}.away; do mv $f ${{f%.away}}; done",
    ):  # fmt: skip
        said = apply(worn, "firewall.ufw")
        assert said.exit in (3, 4), said
        assert "ufw" in said.sentence


def test_a_second_session(worn: LabHost) -> None:
    lock = f"f = open('{STATE}/lock', 'r+'); fcntl.flock(f, fcntl.LOCK_EX)"
    entry = '{"pid":4711,"what":"apply","since":"2026-01-01T00:00:00+00:00"}'
    with unharmed(worn):
        apply(worn, "kernel.sysctl")
        roll_back(worn, "kernel.sysctl")
        with holding(worn, lock):
            worn.write(f"{STATE}/lock", entry, 0o600)
            refused(apply(worn, "kernel.sysctl"), 3, "apply (process 4711, since 2026-01-01")
            refused(program(worn, "recover", "--yes"), 3, "apply (process 4711, since 2026-01-01")
            assert program(worn, "check", "--checklist", "i-doit", "kernel.sysctl").exit == 1
            worn.write(f"{STATE}/lock", b"\xff garbage", 0o600)
            refused(program(worn, "recover", "--yes"), 3, "cannot be read from the lock")
        first = subprocess.Popen(
            worn.ssh_argv("sudo harden-tui apply --checklist i-doit apache.banner --yes"),
            stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(0.5)
        second = apply(worn, "kernel.sysctl")
        assert first.wait(60) == 0
        assert second.exit == 0, second.sentence
        assert roll_back(worn).exit == 0


def test_a_damaged_state(worn: LabHost) -> None:
    answers = f"{STATE}/answers.json"
    head = b'{"schema":"harden-tui/answers/1","values":'
    with unharmed(worn):
        for content in (b"{", b"\xff\xff", b'{"schema":"harden-tui/answers/9"}'):
            with changed(worn, answers, content):
                for said in (apply(worn, "kernel.sysctl"), program(worn, "check")):
                    refused(said, 3, f"{answers} is damaged")
        with changed(worn, answers, head + b'{"ssh.limits.max-auth-tries":"many"}}'):
            refused(program(worn, "check"), 2, answers, "expected a whole number, not 'many'")
            refused(apply(worn, "ssh.limits"), 2, answers, "harden-tui steps set")
            assert (
                apply(worn, "ssh.limits", more=("--set", "ssh.limits.max-auth-tries=4")).exit == 0
            )
            assert roll_back(worn, "ssh.limits").exit == 0
        with changed(worn, answers, head + b'{"ssh.limits.gone":3,"gone.step.x":1}}'):
            assert program(worn, "check", "--checklist", "i-doit", "ssh.limits").exit == 1
        record = f"{STATE}/transactions/20200101T000000.000000Z-aaaaaa/record.json"
        with changed(worn, record, b"{"):
            for said in (program(worn, "history"), program(worn, "recover", "--yes")):
                refused(said, 3, record, "nothing was changed")
            assert program(worn, "check", "--checklist", "i-doit", "ssh.limits").exit == 1
            refused(apply(worn, "ssh.limits"), 3, record, "nothing was changed")
        worn.run("rmdir", str(Path(record).parent))
        with arranged(
            worn, f"mkdir {STATE}/transactions/lost+found", f"rmdir {STATE}/transactions/lost+found"
        ):
            applied_and_undone(worn, "kernel.sysctl")
        with changed(worn, f"{STATE}/runs/20990101-000000000-aaaa/run.json", b"{"):
            refused(program(worn, "follow"), 3, f"{STATE}/runs/20990101-000000000-aaaa")
            applied_and_undone(worn, "kernel.sysctl")
        objects = f"{STATE}/snapshots/objects"
        with arranged(
            worn, f"mv {objects} {objects}.away; touch {objects}",
            f"rm {objects}; mv {objects}.away {objects}",
        ):  # fmt: skip
            refused(program(worn, "check"), 3, objects)


def test_a_unit_that_would_paint_the_terminal(worn: LabHost) -> None:
    """`program` itself looks for escape sequences in whatever is answered."""
    title = "Description=a\x1b]0;owned\x07\x1b[31m\u202e b"
    unit = f"[Unit]\n{title}\n[Service]\nExecStart=/bin/sleep 300\n"
    end = "systemctl stop paint; rm /etc/systemd/system/paint.service; systemctl daemon-reload"
    worn.write("/etc/systemd/system/paint.service", unit)
    with arranged(worn, "systemctl daemon-reload; systemctl start paint", end):
        for form in ("text", "json"):
            said = program(worn, "live", "--once", "--format", form)
            assert said.exit == 0 and "paint.service" in said.out
        for command in ("check", "plan"):
            program(worn, command, "--checklist", "i-doit", "minimal.services")


def test_apache_is_taken_away(worn: LabHost) -> None:
    """Last, because it does not come back."""
    worn.run("dpkg", "--purge", "--force-all", "apache2", "apache2-bin", "apache2-data")
    said = program(worn, "check", "--checklist", "i-doit")
    assert said.exit == 1 and "apache2 is not installed" in said.out
    done = apply(worn, "apache.banner")
    assert done.exit == 0, done.sentence
    applied_and_undone(worn, "kernel.sysctl")
