"""The installed program on a test host, used as an administrator would: over SSH, with sudo."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from typing import Any

from tests.hosts.lab import LabHost

TWELVE = (
    "ssh.root-login",
    "ssh.key-only",
    "ssh.limits",
    "minimal.services",
    "minimal.apache-modules",
    "php.settings",
    "apache.banner",
    "apache.headers",
    "firewall.ufw",
    "defence.fail2ban",
    "kernel.sysctl",
    "app.tree",
)

APP = "/var/www/html/i-doit"
SSH_ITSELF_FAILED = 255
"""Exit status of ssh(1) where there was no connection."""


def furnish(host: LabHost) -> None:
    """An application tree as an installer leaves it, and a page that tells PHP's settings."""
    for directory in ("", "src", "log", "imports", "temp", "upload/files"):
        host.run("mkdir", "-p", f"{APP}/{directory}")
    host.write(f"{APP}/index.php", "<?php echo 'application';\n")
    host.write(f"{APP}/controller", "#!/bin/sh\n", 0o755)
    host.write(f"{APP}/src/config.inc.php", "<?php $g_db_system = [];\n")
    host.write(f"{APP}/log/old.log", "first\n")
    host.run("chown", "-R", "www-data:www-data", APP)
    host.write(
        "/var/www/html/settings.php",
        "<?php header('Content-Type: application/json');"
        " echo json_encode(array_map(fn($s) => ini_get($s),"
        " array_combine($k = explode(',', $_GET['keys']), $k)));\n",
    )


def harden(
    host: LabHost,
    *arguments: str,
    check: bool = True,
    stdin: str | None = None,
    timeout_s: float = 300,
) -> subprocess.CompletedProcess[str]:
    """`sudo harden-tui …` over SSH on checklist i-doit."""
    command = shlex.join(["sudo", "harden-tui", *arguments])
    if stdin is not None:
        command = f"printf %s {shlex.quote(stdin)} | {command}"
    done = host.ssh(command, check=False, timeout_s=timeout_s)
    for _ in range(5):
        if done.returncode != SSH_ITSELF_FAILED or done.stdout or done.stderr:
            break
        time.sleep(1)  # an sshd that is just being reloaded refuses for a moment
        done = host.ssh(command, check=False, timeout_s=timeout_s)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{command} on {host.suite}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done


def statuses(
    host: LabHost, *steps: str, more: tuple[str, ...] = ("--checklist", "i-doit")
) -> dict[str, str]:
    """Step id -> status, as a check answers now."""
    done = harden(host, "check", *steps, *more, "--format", "json", check=False)
    assert done.returncode in (0, 1), done.stderr
    return {step["id"]: step["status"] for step in json.loads(done.stdout)["steps"]}


def details(host: LabHost, *steps: str) -> dict[str, Any]:
    """The whole answer of a check."""
    done = harden(host, "check", "--checklist", "i-doit", *steps, "--format", "json", check=False)
    assert done.returncode in (0, 1), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def apply(host: LabHost, *steps: str, more: tuple[str, ...] = ()) -> None:
    """Apply steps; each must succeed."""
    harden(host, "apply", "--checklist", "i-doit", *steps, "--yes", *more)


def roll_back(host: LabHost, *steps: str) -> None:
    """Undo steps; each must succeed."""
    harden(host, "rollback", "--checklist", "i-doit", *steps, "--yes")


def history(host: LabHost) -> list[dict[str, Any]]:
    """Every transaction, oldest first."""
    done = harden(host, "history", "list", "--format", "json")
    transactions: list[dict[str, Any]] = json.loads(done.stdout)["transactions"]
    return transactions
