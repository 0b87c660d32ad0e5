"""What a file was beside its content, a file too large to keep, and a state directory that is full:
what is shown is what happens, and the way back is there."""

from __future__ import annotations

import json
import time

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back

pytestmark = pytest.mark.either_release

STEP = """\
- id: site.{name}
  stage: post-install
  title: File {name}
  why: A test.
  breaks: Nothing.
  source: this test
  ensure:
    - file: {body}
"""
OPEN, CLOSED = "/etc/site/open", "/etc/site/closed"
LARGE = "/etc/backup.img"
STATE = "/var/lib/harden-tui"
AT_ONCE_S = 30.0
"""To hash what is in it takes minutes."""


def give(host: LabHost) -> None:
    """Two steps of the site, and files of these names that are more than their content."""
    for name, mode in (("open", "0644"), ("closed", "0640")):
        body = json.dumps({"path": f"/etc/site/{name}", "content": "new\n", "mode": mode})
        host.write(f"/etc/harden-tui/steps.d/{name}.yaml", STEP.format(name=name, body=body))
        host.write(f"/etc/site/{name}", "old\n", int(mode, 8))
        host.run("setfacl", "-m", "u:33:r", f"/etc/site/{name}")
        host.run("setfattr", "-n", "user.note", "-v", name, f"/etc/site/{name}")
    host.run("chattr", "+i", OPEN)


def beside(host: LabHost, path: str) -> tuple[str, str, str]:
    """Flags, ACL and attributes."""
    return (
        host.out("lsattr", path),
        host.out("getfacl", "-cp", path),
        host.out("getfattr", "-d", "--absolute-names", path),
    )


def without_inodes(host: LabHost) -> None:
    """The state directory on a disk where a run finds room and not a file more."""
    script = (
        f"n=$(find {STATE} | wc -l); mount --make-rprivate / && "
        "mount -t tmpfs -o nr_inodes=$((n + 5)),mode=700 none /mnt && "
        f"cp -a {STATE}/. /mnt/ && mount --move /mnt {STATE}"
    )
    host.run("bash", "-c", script)


def test_what_is_shown_is_what_happens_and_all_comes_back(host: LabHost) -> None:
    give(host)
    first = {path: beside(host, path) for path in (OPEN, CLOSED)}
    shown = harden(host, "plan", "site.open", "site.closed", check=False).stdout
    assert f"change {OPEN} (mode 0644)" in shown
    assert f"change {CLOSED} (mode 0640, ACL u:33:r-- removed)" in shown
    apply(host, "site.open", "site.closed")
    assert host.out("cat", OPEN) == host.out("cat", CLOSED) == "new"
    assert beside(host, OPEN) == first[OPEN]
    _, acl, attributes = beside(host, CLOSED)
    assert "user:33" not in acl and "www-data" not in acl and "user.note" in attributes
    assert harden(host, "plan", "site.open", "site.closed", check=False).returncode == 0

    host.run("truncate", "-s", "200G", LARGE)
    refused = harden(host, "drift", "restore", LARGE, "--yes", check=False)
    assert refused.returncode == 3
    assert "Move it away by hand" in " ".join(refused.stdout.split())
    began_s = time.monotonic()
    roll_back(host, "site.closed")
    assert time.monotonic() - began_s < AT_ONCE_S
    assert beside(host, CLOSED) == first[CLOSED]
    host.run("rm", LARGE)

    without_inodes(host)
    full = harden(host, "rollback", "site.open", "--yes", check=False)
    assert full.returncode == 3
    said = " ".join(f"{full.stdout} {full.stderr}".split())
    assert f"could not be written to {STATE}: No space left on device; nothing was changed" in said
    assert "Nothing was interrupted" in harden(host, "recover", "--yes").stdout
    host.run("mount", "-o", "remount,nr_inodes=100000", STATE)
    roll_back(host, "site.open")
    assert beside(host, OPEN) == first[OPEN]
    assert host.out("cat", OPEN) == host.out("cat", CLOSED) == "old"
