"""What is left when the working process is killed, or the administrator's line drops."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.hosts.answers import wrong
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import furnish, harden, history, statuses

pytestmark = pytest.mark.either_release

STEP = "firewall.ufw"
"""Long enough to be caught in the middle: it installs packages."""


def _begin_over_ssh(host: LabHost) -> subprocess.Popen[bytes]:
    command = f"sudo harden-tui apply --checklist i-doit {STEP} --yes --format events"
    return subprocess.Popen(
        host.ssh_argv(command, options=("-tt",)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait_until_in_the_middle(host: LabHost) -> dict[str, object]:
    """Until dpkg has begun to unpack ufw's packages; returns the run's description."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        unpacked = host.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "ufw", check=False)
        if unpacked.stdout in ("unpacked", "half-installed", "half-configured", "installed"):
            latest = host.out(
                "sh", "-c", "cat $(ls -td /var/lib/harden-tui/runs/*/ | head -1)run.json"
            )
            run: dict[str, object] = json.loads(latest)
            return run
        time.sleep(0.02)
    raise AssertionError("the apply never began")


def test_killed_in_the_middle_then_recovered(host: LabHost) -> None:
    furnish(host)
    first = fingerprint(host)
    login = _begin_over_ssh(host)
    run = _wait_until_in_the_middle(host)
    host.run("kill", "-KILL", str(run["pid"]))
    login.wait(30)
    host.run("sh", "-c", "while pgrep -x apt-get || pgrep -x dpkg; do sleep 0.1; done")
    assert differences(first, fingerprint(host)) != [], "it was not caught in the middle"

    refused = harden(host, "apply", "--checklist", "i-doit", "apache.banner", "--yes", check=False)
    assert refused.returncode == 3
    assert "recover" in refused.stdout + refused.stderr

    # Somebody came to help: what `mv` and `cp -a` bring has its old times.
    host.write("/root/tool/data", "precious\n")
    host.run("touch", "-d", "2026-01-01", "/root/tool/data", "/root/tool")
    host.run("cp", "-a", "/root/tool", "/srv/tool")
    host.run("mv", "/root/tool", "/opt/tool")

    recovered = harden(host, "recover", "--yes")
    assert STEP in recovered.stdout
    assert "/opt/tool, /srv/tool came or was changed after" in " ".join(recovered.stdout.split())
    for place in ("/opt/tool", "/srv/tool"):
        assert host.out("cat", f"{place}/data").strip() == "precious"
        host.run("rm", "-r", place)
    assert differences(first, fingerprint(host)) == []
    assert history(host)[-1]["status"] == "rolled-back"
    assert harden(host, "log", "verify").returncode == 0


def test_line_drops_while_a_change_runs(host: LabHost) -> None:
    furnish(host)
    login = _begin_over_ssh(host)
    run = _wait_until_in_the_middle(host)
    login.kill()
    # The connection is gone for the server too: end what served it.
    host.run("pkill", "-KILL", "-u", "alice", "-f", "sshd", check=False)

    until = time.monotonic() + 90
    while time.monotonic() < until and history(host)[-1]["status"] in ("open", "pending"):
        time.sleep(0.5)
    assert history(host)[-1]["status"] == "committed"
    assert wrong(host, STEP) == []
    assert statuses(host, STEP) == {STEP: "pass"}

    followed = harden(host, "follow", "--format", "events", check=False)
    events = [json.loads(line) for line in followed.stdout.splitlines()]
    assert events[0]["event"] == "started" and events[0]["run"] == run["run"]
    assert events[-1]["event"] == "done" and events[-1]["exit"] == 0
