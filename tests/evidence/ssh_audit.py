"""ssh-audit with its policy for the release: what sshd offers on the wire, name by name."""

from __future__ import annotations

import importlib.util
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import msgspec

from tests.evidence.finding import Finding
from tests.hosts.lab import LabHost

POLICIES = {
    "bookworm": "Hardened Debian 12 (version 3)",
    "trixie": "Hardened Debian 13 (version 1)",
}
PLACE = "/srv/ssh-audit"
DIFFERENT = 3
"""Exit status where the server is not as the policy has it."""


class SshAudit(msgspec.Struct, frozen=True, kw_only=True):
    """`findings` are the fields that differ; none where the policy passes."""

    program: str
    policy: str
    passed: bool
    findings: tuple[Finding, ...]


def prepare(host: LabHost) -> None:
    """Put ssh-audit into the host, as it is here: bookworm's own knows no policy for Debian."""
    found = importlib.util.find_spec("ssh_audit")
    if found is None or found.origin is None:
        raise AssertionError("ssh-audit is not installed here: run `make evidence`, which has it")
    shutil.copytree(
        Path(found.origin).parent,
        host.root / PLACE.lstrip("/") / "ssh_audit",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def judge(host: LabHost) -> SshAudit:
    """Asked from inside, at the host's own address: neither sshd nor fail2ban shall take the
    administrator for a scanner, and what the host asks of itself is no attack."""
    done = host.run(
        "env", f"PYTHONPATH={PLACE}", "python3", "-B", "-m", "ssh_audit",
        "--policy", POLICIES[host.suite], "--json", "--skip-rate-test", host.address, check=False,
    )  # fmt: skip
    if done.returncode not in (0, DIFFERENT):
        raise AssertionError(f"ssh-audit: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return parsed(done.stdout, f"ssh-audit {version('ssh-audit')}")


def parsed(text: str, program: str) -> SshAudit:
    """The JSON answer of a policy audit. Raises `AssertionError` where it is none."""
    try:
        answer = json.loads(text)
        errors = answer["errors"]
        return SshAudit(
            program=program,
            policy=str(answer["policy"]),
            passed=bool(answer["passed"]),
            findings=tuple(sorted(_finding(error) for error in errors)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise AssertionError(f"ssh-audit answered no policy audit: {text[:400]}") from error


def _finding(error: dict[str, object]) -> Finding:
    return Finding(
        "ssh-audit",
        str(error["mismatched_field"]),
        f"is {_words(error['actual'])}; the policy has {_words(error['expected_required'])}",
    )


def _words(names: object) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list) else str(names)
