"""A clock that jumps or stands still neither takes a change back early nor keeps it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.lockout import GUARD, begin, last_status, situation

STEP = "ssh.limits"
SOURCE = Path(__file__).with_name("clock.c")
DAY_S = 86400


@pytest.fixture
def clocked(host: LabHost) -> LabHost:
    """A host, its process 1 included, whose wall clock can be set."""
    if shutil.which("cc") is None:
        pytest.skip("a clock that can be set is made with a C compiler: apt-get install gcc")
    library = host.root / "usr/local/lib/clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE)], check=True)
    host.write("/etc/ld.so.preload", "/usr/local/lib/clock.so\n")
    host.reboot()
    return host


def set_clock(host: LabHost, how: str) -> None:
    host.run("sh", "-c", f"printf %s '{how}' >/run/clock.new && mv /run/clock.new /run/clock")


@pytest.mark.parametrize("how", ["ahead", "behind", "still"])
def test_the_deadline_is_not_the_clocks(
    clocked: LabHost, request: pytest.FixtureRequest, how: str
) -> None:
    now = int(clocked.out("date", "+%s"))
    said = {"ahead": f"+{DAY_S}", "behind": f"-{DAY_S}", "still": f"={now}"}[how]
    # A day ahead the daily timers of the host fire at once, and leave their traces.
    with situation(request, clocked, f"clock {how}", same=how != "ahead"):
        begin(clocked, STEP)
        began_s = time.monotonic()
        set_clock(clocked, said)
        told = int(clocked.out("date", "+%s"))
        assert abs(told - now) > DAY_S / 2 or how == "still"
        while (clocked.root / GUARD[1:]).exists():
            assert time.monotonic() - began_s < 60, "nothing took it back"
            time.sleep(0.2)
        took_s = time.monotonic() - began_s
        assert took_s > 7, "it was taken back before its time"  # ten, but for the way to here
        clocked.run("rm", "/run/clock")  # MariaDB does not answer in yesterday
    assert last_status(clocked) == ("rolled-back", "Nobody confirmed it before its deadline.")


def test_a_login_is_later_than_the_change_whatever_the_clock_says(clocked: LabHost) -> None:
    clocked.person.present = False
    clocked.ssh(f"sudo harden-tui apply {STEP} --yes --no-wait")
    set_clock(clocked, f"-{DAY_S}")
    assert clocked.run("harden-tui", "confirm", check=False).returncode == 3
    clocked.ssh("true")
    answer = json.loads(clocked.out("harden-tui", "confirm", "--status", "--format", "json"))
    assert answer["guard"]["login"].startswith("alice from ")
    assert clocked.run("harden-tui", "confirm").returncode == 0
