"""restore.sh on a host from which Python was removed: a shell and coreutils put the host back."""

from __future__ import annotations

import subprocess

import pytest

from tests.hosts.fingerprint import Fingerprint, differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, apply, furnish, history

pytestmark = pytest.mark.either_release

STEPS = ("ssh.key-only", "minimal.apache-modules", "firewall.ufw", "app.tree")
ODD = ("with spaces ", "new\nline", "caf\udce9 \udcff", "-dash", "back\\slash", "*")

WITHOUT_PYTHON = r"""
set -e
dpkg-query -W -f '${Package}\n' 'python3*' 'libpython3*' harden-tui |
    DEBIAN_FRONTEND=noninteractive xargs dpkg --remove --force-all >/dev/null 2>&1 || true
rm -rf /usr/lib/harden-tui /usr/bin/harden-tui /usr/bin/python* /usr/lib/python3* \
    /usr/local/bin/python* /usr/lib/*/libpython*
! command -v python3
! command -v harden-tui
"""


def _files(taken: Fingerprint) -> Fingerprint:
    """What a script can put back: files, with all that makes them what they are."""
    return {"files": taken["files"]}


def _odd_files(host: LabHost) -> None:
    """Names and attributes that a careless script would trip over, in /etc and the application."""
    folder = host.root / "etc/odd names"
    folder.mkdir()
    for number, name in enumerate(ODD):
        (folder / name).write_text(f"{number}\n")
        (folder / name).chmod(0o640 + number)
        (host.root / APP.lstrip("/") / "src" / name).write_text("<?php\n")
        (folder / f"link to {name}").symlink_to(name)
    host.run("chown", "-R", "33:4", "/etc/odd names")
    host.run("setfacl", "-m", "u:alice:rwx", f"/etc/odd names/{ODD[1]}")
    host.run("setfacl", "-d", "-m", "g:adm:r-x", "/etc/odd names")
    host.run("setfattr", "-n", "user.note", "-v", "kept", f"/etc/odd names/{ODD[0]}")
    host.run("chattr", "+i", f"/etc/odd names/{ODD[3]}")
    host.run("mkfifo", "/etc/odd names/pipe")


def test_a_shell_and_coreutils_put_the_host_back(host: LabHost) -> None:
    furnish(host)
    _odd_files(host)
    first = fingerprint(host, APP)
    apply(host, *STEPS)
    (point,) = [record["id"] for record in history(host) if record["steps"] == ["app.tree"]]
    (first_point,) = [record["id"] for record in history(host) if record["steps"] == [STEPS[0]]]
    _damage(host)
    host.run("sh", "-c", WITHOUT_PYTHON)

    _one_flipped_bit_costs_one_directory(host, first_point)
    # The sealed tree is a part of the restore points of its own step only; then all of /etc.
    for tx_id in (point, first_point):
        done = _restore(host, tx_id)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    left = differences(_files(first), _files(fingerprint(host, APP)))
    assert left == []
    again = _restore(host, first_point)
    assert "\n0 changes made" in again.stdout
    assert host.run("/bin/sh", "-c", "sshd -t && apache2ctl configtest").returncode == 0


def _damage(host: LabHost) -> None:
    """What may happen to a host on a bad day."""
    folder = "/etc/odd names"
    host.run("chattr", "-i", f"{folder}/{ODD[3]}")
    host.run("sh", "-c", f"rm -f '{folder}/'*dash; setfacl -b '{folder}/'*")
    host.run("sh", "-c", "echo 'PermitRootLogin yes' > /etc/ssh/sshd_config")
    host.run("rm", "-rf", "/etc/apache2/conf-available", "/etc/hosts", "/etc/alternatives/awk")
    host.run("sh", "-c", "mkdir /etc/hosts; touch '/etc/hosts/new\n line' /etc/-new")
    host.run("sh", "-c", "rm /etc/motd; ln -s /etc/shadow /etc/motd; chmod 0644 /etc/shadow")
    host.run("setfacl", "-m", "u:alice:r", "/etc/gshadow")
    host.run("setfattr", "-n", "user.new", "-v", "1", "/etc/fstab")


def _one_flipped_bit_costs_one_directory(host: LabHost, tx_id: str) -> None:
    """In the list of /etc/ssh: it is named, /etc/ssh stays as it is, and the rest goes back."""
    snapshots = host.root / "var/lib/harden-tui/snapshots"
    lines = (snapshots / f"points/{tx_id}.before/restore.list").read_text().splitlines()
    hashes = [line.split(" ")[1] for line in lines if line.startswith("chunk ")]
    lists = [snapshots / "objects" / sha256[:2] / sha256 for sha256 in hashes]
    (of_ssh,) = [path for path in lists if b" /etc/ssh/sshd_config " in path.read_bytes()]
    whole = of_ssh.read_bytes()
    of_ssh.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    there = sorted(path.name for path in (host.root / "etc/ssh").iterdir())
    done = _restore(host, tx_id)
    assert done.returncode == 1 and of_ssh.name in done.stderr, done.stderr
    assert sorted(path.name for path in (host.root / "etc/ssh").iterdir()) == there
    assert (host.root / "etc/ssh/sshd_config").read_text() == "PermitRootLogin yes\n"
    assert not (host.root / "etc/-new").exists()
    assert (host.root / "etc/hosts").is_file()
    of_ssh.write_bytes(whole)


def _restore(host: LabHost, tx_id: str) -> subprocess.CompletedProcess[str]:
    script = f"/var/lib/harden-tui/snapshots/points/{tx_id}.before/restore.sh"
    return host.run("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", script,
                    check=False, timeout_s=300)  # fmt: skip
