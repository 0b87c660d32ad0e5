"""What restore points cost on a real host, and damage to them met on one."""

from __future__ import annotations

import json

import pytest

from tests.hosts.base import SUITES
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back

SNAPSHOTS = "/var/lib/harden-tui/snapshots"
LARGEST_KIB = 50 * 1024

A_HUNDRED = """
import sys

sys.path.insert(0, "/usr/lib/harden-tui")
from pathlib import Path

from host.local import LocalHost
from snapshots import opening
from snapshots.model import WriteFile
from snapshots.progress import Silent
from snapshots.state import StateDir

host, state = LocalHost(), StateDir(Path("/var/lib/harden-tui"), Path("/var/log/harden-tui"))
for number in range(100):
    tx = opening.begin(
        host, state, steps=(f"site.n{number}",), title="a hundred", user="root", progress=Silent()
    )
    path = f"/etc/apache2/conf-available/n{number % 7}.conf"
    tx.perform(WriteFile(path=path, content=b"# %d\\n" % number * 50))
    assert tx.commit().status == "committed"
"""

STEP = """\
- id: site.packages
  stage: post-install
  title: A package goes
  why: A test.
  breaks: Nothing.
  source: this test
  ensure:
    - package: {purged: [cups-daemon]}
"""


@pytest.mark.parametrize("suite", SUITES[-1:], indirect=True)
def test_a_hundred_transactions_cost_little(host: LabHost) -> None:
    host.run("python3", "-I", "-", stdin=A_HUNDRED, timeout_s=570)
    kib = int(host.out("du", "-sk", "/var/lib/harden-tui").split()[0])
    assert kib < LARGEST_KIB, f"{kib} KiB"
    assert len(host.out("ls", f"{SNAPSHOTS}/points").split()) == 200


@pytest.mark.either_release
def test_damage_is_named_and_not_believed(host: LabHost) -> None:
    """A flipped bit in a kept package, and in a saved file: refused before anything is touched."""
    host.write("/etc/harden-tui/steps.d/packages.yaml", STEP)
    apply(host, "ssh.limits")
    apply(host, "site.packages")
    assert harden(host, "history", "verify").stdout == "All restore points are whole.\n"
    (package,) = (host.root / SNAPSHOTS[1:] / "debs").glob("cups-daemon_*.deb")
    content = bytearray(package.read_bytes())
    content[len(content) // 2] ^= 4
    package.write_bytes(content)

    said = harden(host, "history", "verify", check=False)
    assert said.returncode == 1
    assert package.name in "".join(said.stdout.split())
    verdicts = json.loads(
        harden(host, "history", "verify", "--format", "json", check=False).stdout
    )["transactions"]
    assert [(one["steps"], one["can_be_undone"]) for one in verdicts] == [
        (["ssh.limits"], True),
        (["site.packages"], False),
    ]
    before = fingerprint(host)
    refused = harden(host, "rollback", "site.packages", "--yes", check=False)
    assert refused.returncode != 0
    words = " ".join((refused.stdout + refused.stderr).split())
    assert "nothing of it was touched" in words and "cups-daemon" in words
    assert differences(before, fingerprint(host)) == []
    roll_back(host, "ssh.limits")

    content[len(content) // 2] ^= 4
    package.write_bytes(content)
    assert harden(host, "history", "verify").returncode == 0
    roll_back(host, "site.packages")
