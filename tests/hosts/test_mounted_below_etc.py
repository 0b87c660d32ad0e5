"""What is mounted below /etc is not part of it: no way back moves, empties or writes over it."""

from __future__ import annotations

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.program import history

pytestmark = pytest.mark.either_release

STEP = """\
- id: site.one
  stage: post-install
  title: One file
  why: A test.
  breaks: Nothing.
  source: this test
  ensure:
    - file: {path: /etc/one.conf, content: "hardened\\n"}
"""

BEFORE = """
set -e
mkdir -p /etc/letsencrypt /etc/d
mount -t tmpfs none /etc/letsencrypt
echo KEY > /etc/letsencrypt/privkey.pem
echo first > /etc/one.conf
echo first > /etc/d/f
"""

SINCE = """
set -e
mkdir -p /srv/data /etc/newbind
echo DATA > /srv/data/customers.db
echo other > /srv/other.conf
mount --bind /srv/data /etc/newbind
mount --bind /srv/other.conf /etc/one.conf
mount -t tmpfs none /etc/d
echo mine > /etc/d/mine
"""

MOUNTED = {
    "/etc/letsencrypt/privkey.pem": "KEY\n",
    "/srv/data/customers.db": "DATA\n",
    "/srv/other.conf": "other\n",
    "/etc/d/mine": "mine\n",
}


def _holds(host: LabHost) -> None:
    found = {path: host.run("cat", path).stdout for path in MOUNTED}
    assert found == MOUNTED
    assert host.run("ls", "-A", "/etc/letsencrypt", "/etc/d").stdout.split() == [
        "/etc/d:", "mine", "/etc/letsencrypt:", "privkey.pem",
    ]  # fmt: skip


def _refuses_what_lies_there(host: LabHost) -> None:
    """No restore point goes in there, so nothing that is written there could be taken back."""
    step = STEP.replace("site.one", "site.two").replace("/etc/one.conf", "/etc/d/mine")
    host.write("/etc/harden-tui/steps.d/two.yaml", step)
    why = "/etc/d/mine lies on what is mounted on /etc/d, and a restore point does not go in there"
    for words in (("plan", "site.two"), ("apply", "--yes", "site.two")):
        done = host.run("harden-tui", *words, check=False)
        assert done.returncode != 0 and why in " ".join((done.stdout + done.stderr).split())
    host.run("rm", "/etc/harden-tui/steps.d/two.yaml")
    _holds(host)


def test_every_way_back_leaves_what_is_mounted_alone(host: LabHost) -> None:
    host.run("sh", "-c", BEFORE)
    host.write("/etc/harden-tui/steps.d/one.yaml", STEP)
    host.run("harden-tui", "apply", "--yes", "site.one")
    (tx_id,) = [record["id"] for record in history(host)]
    host.run("sh", "-c", SINCE)

    script = f"/var/lib/harden-tui/snapshots/points/{tx_id}.before/restore.sh"
    done = host.run("sh", script, check=False)
    assert done.returncode == 1
    for place in ("/etc/one.conf", "/etc/d"):
        said = f"restore.sh: {place} is covered by what is mounted on it; unmount it and run this"
        assert done.stderr.count(said) == 1
    assert "2 things could not be put back" in done.stderr
    for place in ("/etc/letsencrypt", "/etc/newbind"):
        assert f"Something is mounted on {place}; it was left alone.\n" in done.stdout
    _holds(host)

    done = host.run("harden-tui", "drift", "restore", "--all", "--yes", check=False)
    assert done.returncode != 0, done.stdout
    _holds(host)

    done = host.run("harden-tui", "rollback", "site.one", "--restore", "--yes", check=False)
    assert done.returncode != 0, done.stdout
    _holds(host)

    host.run("umount", "/etc/one.conf")
    _refuses_what_lies_there(host)
    host.run("umount", "/etc/d")
    host.run("harden-tui", "rollback", "site.one", "--yes")
    assert host.run("cat", "/etc/one.conf", "/etc/d/f").stdout == "first\nfirst\n"
