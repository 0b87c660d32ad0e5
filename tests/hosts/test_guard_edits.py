"""What others edited while a guarded change waited is kept where restore.sh takes it back."""

from __future__ import annotations

import time

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.lockout import GUARD, begin, last_status, situation
from tests.hosts.program import harden

pytestmark = pytest.mark.either_release

MINE = "# mine, made meanwhile\n"


def test_an_edit_made_meanwhile_is_kept_and_found(
    host: LabHost, request: pytest.FixtureRequest
) -> None:
    with situation(request, host, "program gone, files edited meanwhile"):
        hosts = host.root / "etc/hosts"
        before = hosts.read_text()
        begin(host, "ssh.limits")
        hosts.write_text(before + MINE)
        host.write("/etc/mine.conf", MINE)
        host.run("mv", "/usr/lib/harden-tui", "/root/away")
        until_s = time.monotonic() + 60
        while not (host.root / GUARD[1:] / "by-script").exists():
            assert time.monotonic() < until_s, "nothing took it back"
            time.sleep(0.5)
        host.run("mv", "/root/away", "/usr/lib/harden-tui")
        assert hosts.read_text() == before and not (host.root / "etc/mine.conf").exists()
        (aside,) = (host.root / "var/lib/harden-tui/snapshots/points").glob("*/set-aside.1")
        assert (aside / "etc/hosts").read_text() == before + MINE
        assert (aside / "etc/mine.conf").read_text() == MINE
        lie = f"lie in /{aside.relative_to(host.root)}."
        assert lie in host.run("harden-tui", "confirm", "--status").stdout
        assert lie in harden(host, "recover", "--yes").stdout
    assert lie in last_status(host)[1]
    listed = "".join(host.out("harden-tui", "history", "list").split())  # lines are broken
    assert "".join(lie.split()) in listed
