"""What counts as a proof that the way in works, and what does not."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.lockout import last_status

pytestmark = pytest.mark.either_release

STEP = "ssh.limits"


@pytest.fixture
def waiting(host: LabHost) -> LabHost:
    """A guarded change waits, and nobody has logged in since."""
    host.person.present = False
    host.ssh(f"sudo harden-tui apply {STEP} --yes --no-wait")
    time.sleep(0.5)
    return host


def confirm(host: LabHost, *arguments: str) -> subprocess.CompletedProcess[str]:
    """On the console: no login of its own."""
    return host.run("harden-tui", "confirm", *arguments, check=False)


def status(host: LabHost) -> dict[str, object]:
    answer = json.loads(host.out("harden-tui", "confirm", "--status", "--format", "json"))
    found: dict[str, object] = answer["guard"]
    return found


def test_a_new_login_of_an_administrator_counts(waiting: LabHost) -> None:
    refused = confirm(waiting)
    assert refused.returncode == 3 and "No administrator has logged in anew" in refused.stderr
    assert f"ssh root@{waiting.name}" in refused.stderr
    assert status(waiting)["login"] == ""
    waiting.ssh("true")
    assert str(status(waiting)["login"]).startswith("alice from 10.77.")
    done = confirm(waiting)
    assert done.returncode == 0, done.stderr
    assert "is kept, after a new login of alice from 10.77." in done.stdout
    assert last_status(waiting)[0] == "committed"
    assert confirm(waiting).returncode == 3
    verified = waiting.run("harden-tui", "log", "verify")
    assert verified.returncode == 0
    log = json.loads(waiting.out("harden-tui", "log", "show", "--format", "json"))
    assert "confirm" in json.dumps(log)
    syslog = waiting.out("journalctl", "-t", "harden-tui", "-o", "cat", "--no-pager")
    assert "confirm" in syslog


def test_from_the_second_terminal_itself(waiting: LabHost) -> None:
    done = waiting.ssh("sudo harden-tui confirm")
    assert "is kept, after a new login of alice" in done.stdout


def test_what_does_not_count(waiting: LabHost) -> None:
    waiting.run("useradd", "-m", "-s", "/bin/bash", "bob")
    waiting.run("cp", "-r", "/home/alice/.ssh", "/home/bob/.ssh")
    waiting.run("chown", "-R", "bob:bob", "/home/bob/.ssh")
    assert waiting.can_log_in("bob")
    assert status(waiting)["login"] == "", "bob is no administrator"
    line = "Accepted publickey for alice from 10.77.1.1 port 4242 ssh2: ED25519 SHA256:x"
    waiting.run("runuser", "-u", "bob", "--", "logger", "-t", "sshd", "-p", "auth.info", line)
    waiting.run("runuser", "-u", "bob", "--", "bash", "-c",
                f"exec -a sshd logger -t sshd -p auth.info '{line}'")  # fmt: skip
    assert not waiting.can_log_in("nobody")
    with_wrong_key = waiting.ssh_argv("true", user="alice", options=("-i", "/dev/null"))
    own = with_wrong_key.index("-i")
    del with_wrong_key[own : own + 2]
    subprocess.run(with_wrong_key, capture_output=True, check=False)
    time.sleep(0.5)
    assert status(waiting)["login"] == "", "what somebody writes into the journal is no login"
    assert confirm(waiting).returncode == 3


def test_another_session_on_the_old_connection_does_not_count(host: LabHost) -> None:
    host.person.present = False
    control = host.directory / "control"
    shared = ("-o", f"ControlPath={control}", "-o", "ControlMaster=auto", "-o", "ControlPersist=30")
    first = host.ssh_argv(f"sudo harden-tui apply {STEP} --yes --no-wait", options=shared)
    subprocess.run(first, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    again = host.ssh_argv("sudo harden-tui confirm", options=shared)
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "No administrator has logged in anew" in done.stderr
    assert host.ssh("sudo harden-tui confirm").returncode == 0


def test_without_a_login_it_needs_the_name_of_the_host(waiting: LabHost) -> None:
    refused = confirm(waiting, "--without-login")
    assert refused.returncode == 2 and "add --word NAME" in refused.stderr
    wrong = confirm(waiting, "--without-login", "--word", "somewhere-else")
    assert wrong.returncode == 3 and "not the name of this host" in wrong.stderr
    assert status(waiting)["phase"] == "waiting"
    done = confirm(waiting, "--without-login", "--word", waiting.name)
    assert done.returncode == 0 and "kept, without a new login" in done.stdout


def test_the_deadline_can_be_moved(waiting: LabHost) -> None:
    assert 200 < float(str(status(waiting)["seconds_left"])) <= 300
    assert confirm(waiting, "--extend", "20m").returncode == 0
    assert 1100 < float(str(status(waiting)["seconds_left"])) <= 1200
    wrong = confirm(waiting, "--extend", "3d")
    assert wrong.returncode == 2 and "expected a time between" in wrong.stderr
    assert confirm(waiting, "--extend", "10s").returncode == 0
    until = time.monotonic() + 60
    while last_status(waiting)[0] == "pending":
        assert time.monotonic() < until, "it was never taken back"
        time.sleep(0.5)
    assert last_status(waiting)[0] == "rolled-back"


def test_one_at_a_time_and_nothing_else_meanwhile(waiting: LabHost) -> None:
    for command in (
        ("apply", "ssh.root-login"), ("apply", "apache.banner"), ("rollback", "--all"),
        ("rollback", STEP),
    ):  # fmt: skip
        refused = waiting.run("harden-tui", *command, "--yes", check=False)
        said = refused.stdout + refused.stderr
        assert refused.returncode == 3 or "Nothing to undo" in said, said
    assert (
        "waits for your confirmation"
        in waiting.run("harden-tui", "apply", "apache.banner", "--yes", check=False).stdout
    )
    done = waiting.run("harden-tui", "recover", "--yes")
    assert STEP in done.stdout
    status_now, reason = last_status(waiting)
    assert status_now == "rolled-back" and reason.startswith("It was taken back before anybody")
    assert not (waiting.root / "var/lib/harden-tui/guard").exists()


def test_a_login_is_seen_where_sshd_logs_nothing(host: LabHost) -> None:
    """With LogLevel QUIET sshd does not say whom it let in; PAM does."""
    host.write("/etc/ssh/sshd_config.d/10-quiet.conf", "LogLevel QUIET\n")
    host.run("systemctl", "reload", "ssh")
    time.sleep(1)
    host.person.present = False
    host.ssh(f"sudo harden-tui apply {STEP} --yes --no-wait")
    assert confirm(host).returncode == 3
    done = host.ssh("sudo harden-tui confirm", check=False)
    assert done.returncode == 0, done.stderr
    assert "after a new login of alice" in done.stdout


def test_the_rest_goes_on_after_each_confirmation(host: LabHost) -> None:
    """Guarded steps that follow each other share one confirmation; the run waits before others."""
    done = host.ssh(
        "sudo harden-tui apply --checklist i-doit ssh.root-login ssh.limits apache.banner"
        " firewall.ufw --yes --format events"
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    waits = [e["step"] for e in events if e["event"] == "guard" and e["phase"] == "waiting"]
    kept = [e["step"] for e in events if e["event"] == "guard" and e["phase"] == "kept"]
    assert waits == kept == ["ssh.root-login, ssh.limits", "firewall.ufw"]
    assert events[-1]["exit"] == 0 and len(events[-1]["transactions"]) == 4
    logins = [e for e in events if e["event"] == "guard" and e["phase"] == "login"]
    assert all(e["login"].startswith("alice from ") for e in logins)
