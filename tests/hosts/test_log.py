"""The session log: verified, tampered with in three ways, exported, and free of secrets."""

from __future__ import annotations

import json

import pytest

from tests.hosts.lab import LabHost
from tests.hosts.program import apply, harden, roll_back

pytestmark = pytest.mark.either_release

LOG = "/var/log/harden-tui"
SECRET = "pr3tty-Secret'word"

SITE_STEP = """\
- id: site.relay-password
  stage: post-install
  title: The relay's password is kept where only root reads it
  why: A test of a step of the site that takes a password.
  breaks: Nothing.
  source: this test
  parameters:
    password: {kind: secret, help: the relay's password}
  ensure:
    - file:
        path: /etc/relay.password
        content: "password={password}\\n"
        mode: "0600"
        secret: true
"""


def _sessions(host: LabHost) -> list[str]:
    return host.out("sh", "-c", f"ls {LOG}/*.jsonl").split()


def test_verify_accepts_the_log_and_names_what_was_tampered_with(host: LabHost) -> None:
    apply(host, "apache.banner")
    apply(host, "kernel.sysctl")
    roll_back(host, "apache.banner")
    assert harden(host, "log", "verify").returncode == 0

    file = _sessions(host)[0]
    path = host.root / file.lstrip("/")
    good = path.read_text()
    lines = good.splitlines(keepends=True)
    assert len(lines) >= 3

    def verdict(changed: list[str]) -> str:
        path.write_text("".join(changed))
        done = harden(host, "log", "verify", check=False)
        path.write_text(good)
        assert done.returncode == 1, done.stdout
        return done.stdout + done.stderr

    entry = json.loads(lines[1])
    altered = lines[1].replace(entry["kind"], "harmless", 1)
    assert f"entry {entry['seq']}" in verdict([lines[0], altered, *lines[2:]])
    assert f"entry {entry['seq']}" in verdict([lines[0], *lines[2:]])
    assert f"entry {entry['seq']}" in verdict([lines[0], lines[2], lines[1], *lines[3:]])
    assert "missing" in verdict(lines[:-1])
    assert harden(host, "log", "verify").returncode == 0


def test_a_password_is_nowhere(host: LabHost) -> None:
    host.run("mkdir", "-p", "/etc/harden-tui/steps.d")
    host.write("/etc/harden-tui/steps.d/relay.yaml", SITE_STEP)
    watch = "until test -e /root/enough; do ps -eo args; sleep 0.02; done"
    host.run("sh", "-c", f"nohup sh -c '{watch}' >/root/ps 2>&1 &")
    values = json.dumps({"site.relay-password": {"password": SECRET}})
    for command in ("check", "plan"):
        done = harden(
            host, command, "site.relay-password", "--values", "-", stdin=values, check=False
        )
        assert done.returncode == 1, done.stderr
        assert SECRET not in done.stdout + done.stderr
    done = harden(
        host, "apply", "site.relay-password", "--values", "-", "--yes", "--format", "events",
        stdin=values,
    )  # fmt: skip
    assert SECRET not in done.stdout + done.stderr
    assert host.out("cat", "/etc/relay.password") == f"password={SECRET}"
    apply(host, "apache.banner")  # captures /etc again, the password's file included
    for form in ("markdown", "json", "html"):
        harden(host, "log", "export", "--output", f"/root/report.{form}", "--as", form)
    harden(host, "history", "list")
    host.run("touch", "/root/enough")

    places = ["/var/lib/harden-tui", LOG, "/root/report.markdown", "/root/report.json",
              "/root/report.html", "/var/log"]  # fmt: skip
    found = host.run("grep", "-rlaF", "-e", SECRET, *places, check=False).stdout
    assert found == ""
    # Only the test's own shell, and its own search, name it.
    in_processes = [
        line
        for line in host.out("cat", "/root/ps").splitlines()
        if SECRET in line and "printf %s" not in line and not line.startswith("grep -rlaF")
    ]
    assert in_processes == []

    roll_back(host, "site.relay-password")
    assert host.run("test", "-e", "/etc/relay.password", check=False).returncode == 1
