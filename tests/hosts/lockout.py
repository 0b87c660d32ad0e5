"""Deliberate lock-outs: a guarded change is made, nobody can come in, and then somebody can again.

Each situation that was tried is counted; the run's summary says how many were survived.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LOCKOUT
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import SSH_ITSELF_FAILED

WINDOW_S = 10
"""The shortest there is."""
TAKEN_BACK_S = 60
"""After the deadline: stopping a worker, taking back, proving it."""
GUARD = "/var/lib/harden-tui/guard"
WATCHERS = "harden-tui-guard-watch-*.scope"


@contextlib.contextmanager
def situation(
    request: pytest.FixtureRequest, host: LabHost, what: str, *, same: bool = True
) -> Iterator[None]:
    """What happens inside locks somebody out; afterwards the host must be as it was before.

    `same` false: something else was broken on purpose, which stays broken.
    """
    host.person.present = False
    before = fingerprint(host)
    request.node.user_properties.append((LOCKOUT, f"{what} on {host.suite}"))
    yield
    assert not (host.root / GUARD[1:]).exists(), "a guard was left"
    _until_watchers_ended(host)
    if same:
        left = differences(before, fingerprint(host))
        assert left == [], "\n".join(left)


def _until_watchers_ended(host: LabHost) -> None:
    """What watched for the deadline is the last to end, a moment after it took the guard away."""
    until_s = time.monotonic() + 45
    while watchers := host.out("systemctl", "list-units", "--no-legend", "--plain", WATCHERS):
        assert time.monotonic() < until_s, f"still there: {watchers}"
        time.sleep(0.2)


def begin(host: LabHost, *arguments: str, values: str | None = None) -> dict[str, Any]:
    """Apply over SSH with the shortest deadline; returns when it waits. `guard.json`.

    `values` are handed over on standard input.
    """
    words = ["sudo", "harden-tui", "apply", *arguments, "--yes", "--no-wait"]
    words += ["--confirm-within", "10s", *(("--values", "-") if values is not None else ())]
    command = shlex.join(words)
    if values is not None:
        command = f"printf %s {shlex.quote(values)} | {command}"
    done = host.ssh(command, check=False)
    if done.returncode == SSH_ITSELF_FAILED:  # a host that has just booted
        time.sleep(2)
        done = host.ssh(command, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return guard(host)


def guard(host: LabHost) -> dict[str, Any]:
    """What is guarded now."""
    found: dict[str, Any] = json.loads((host.root / GUARD[1:] / "guard.json").read_bytes())
    return found


def until_taken_back(host: LabHost, comes_in: Callable[[], bool]) -> float:
    """Seconds until the guard has ended and whoever was locked out comes in again."""
    began_s = time.monotonic()
    until_s = began_s + WINDOW_S + TAKEN_BACK_S
    while time.monotonic() < until_s:
        if not (host.root / GUARD[1:]).exists() and comes_in():
            return time.monotonic() - began_s
        time.sleep(0.5)
    log = host.root / GUARD[1:] / "fired.log"
    raise AssertionError(
        "nobody comes in again: " + (log.read_text() if log.exists() else "the guard never fired")
    )


def last_status(host: LabHost) -> tuple[str, str]:
    """Status and reason of the latest transaction."""
    listed = json.loads(host.out("harden-tui", "history", "list", "--format", "json"))
    record = listed["transactions"][-1]
    return record["status"], record["reason"]


def with_password(host: LabHost, password: str) -> bool:
    """Whether alice comes in with her password alone."""
    options = ("-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1")
    argv = host.ssh_argv("true", options=options)
    batch = argv.index("BatchMode=yes")
    del argv[batch - 1 : batch + 1]
    environment = {
        "SSH_ASKPASS": str(_ask_pass(host, password)), "SSH_ASKPASS_REQUIRE": "force",
        "DISPLAY": "none", "PATH": "/usr/bin:/bin",
    }  # fmt: skip
    done = subprocess.run(
        ["setsid", "-w", *argv], env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    return done.returncode == 0


def _ask_pass(host: LabHost, password: str) -> Path:
    path = host.directory / "askpass"
    path.write_text(f"#!/bin/sh\necho '{password}'\n")
    path.chmod(0o700)
    return path
