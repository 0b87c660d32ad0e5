"""The worker on a real host: out of reach of the login that started it; and life without root."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.program import harden

pytestmark = pytest.mark.either_release

STEP = "defence.fail2ban"
"""Long enough to be caught in the middle: it installs packages."""


def _running(host: LabHost) -> dict[str, object]:
    """The description of the run that is going on."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        text = host.run(
            "sh", "-c", "cat $(ls -d /var/lib/harden-tui/runs/*/ | tail -1)run.json", check=False
        ).stdout
        if '"running"' in text:
            run: dict[str, object] = json.loads(text)
            return run
        time.sleep(0.05)
    raise AssertionError("nothing ran")


def test_logind_that_kills_what_a_login_leaves_behind(host: LabHost) -> None:
    host.run("mkdir", "-p", "/etc/systemd/logind.conf.d")
    host.write("/etc/systemd/logind.conf.d/kill.conf", "[Login]\nKillUserProcesses=yes\n")
    host.run("systemctl", "restart", "systemd-logind")
    login = subprocess.Popen(
        host.ssh_argv(f"sudo harden-tui apply {STEP} --yes", options=("-tt",)),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    run = _running(host)
    scope = f"harden-tui-run-{run['run']}.scope"
    assert scope in host.out("cat", f"/proc/{run['pid']}/cgroup")
    login.kill()
    host.run("loginctl", "terminate-user", "alice", check=False)

    until = time.monotonic() + 90
    while host.run("test", "-d", f"/proc/{run['pid']}", check=False).returncode == 0:
        assert time.monotonic() < until
        time.sleep(0.2)
    followed = harden(host, "follow", "--format", "events")
    assert json.loads(followed.stdout.splitlines()[-1])["exit"] == 0
    log = host.out("cat", f"/var/lib/harden-tui/runs/{run['run']}/worker.log")
    assert "SIGTERM" not in log, "logind reached it"
    units = host.out("systemctl", "list-units", "--all", "--no-legend", "harden-tui-*")
    assert units == "", "the scope goes with the work"


def test_without_root_one_can_look_but_change_nothing(host: LabHost) -> None:
    checked = host.ssh("harden-tui check --format json", check=False)
    assert checked.returncode == 1
    assert "use sudo" in checked.stderr
    statuses = {step["id"]: step["status"] for step in json.loads(checked.stdout)["steps"]}
    assert statuses["ssh.limits"] == "unknown", "sshd tells root only"
    refused = host.ssh("harden-tui apply ssh.limits --yes", check=False)
    assert refused.returncode == 3
    assert "sudo harden-tui apply ssh.limits" in refused.stderr
    assert refused.stderr.count("\n") == 1
    other = host.ssh("harden-tui check --state-dir /var/lib/harden-tui", check=False)
    assert other.returncode == 3
    assert other.stderr.count("\n") == 1 and "/var/lib/harden-tui" in other.stderr
    assert host.run("test", "-e", "/var/lib/harden-tui", check=False).returncode == 1


def test_settings_that_root_does_not_own_are_not_used(host: LabHost) -> None:
    host.run("mkdir", "-p", "/etc/harden-tui")
    host.write("/etc/harden-tui/config.yaml", "checklist: server\n")
    document = json.loads(harden(host, "check", "--format", "json", check=False).stdout)
    assert document["checklist"] == "server"
    host.run("chown", "alice", "/etc/harden-tui/config.yaml")
    refused = harden(host, "check", check=False)
    assert refused.returncode == 2
    assert "must belong to root" in refused.stderr
