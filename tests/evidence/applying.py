"""The stage, applied as an administrator would: step by step, over SSH."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

import msgspec

from tests.hosts.lab import LabHost
from tests.hosts.program import harden

LIMIT_S = 1800.0
GOOD = ("pass", "attested", "not-applicable")


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what a check said before, after its apply, and after the restart at the end.

    `exit_status` and `summary` are the apply's own; `note` is the first finding that a check
    complains about at the end.
    """

    step: str
    before: str
    exit_status: int
    summary: str
    after: str
    note: str = ""

    @property
    def is_good(self) -> bool:
        return self.after in GOOD


class Checked(msgspec.Struct, frozen=True):
    """A step's status, and the first thing that is not as it should be."""

    status: str
    note: str


def check(host: LabHost, checklist: str, steps: Sequence[str]) -> dict[str, Checked]:
    """Step id -> what a check says."""
    done = harden(
        host, "check", "--checklist", checklist, *steps, "--format", "json", check=False
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise AssertionError(f"check on {host.suite}: {done.returncode}\n{done.stderr}")
    return checked(done.stdout)


def checked(text: str) -> dict[str, Checked]:
    """The JSON answer of a check, step by step."""
    found = {}
    for step in json.loads(text)["steps"]:
        wrong = [f for f in step["findings"] if f["applicable"] and f["ok"] is not True]
        note = step["note"]
        if wrong and step["status"] not in GOOD:
            first = wrong[0]
            now = first["running"] or first["persistent"] or "unset"
            note = first["note"] or f"{first['setting']} is {now}, not {first['expected']}"
        found[step["id"]] = Checked(step["status"], note)
    return found


def apply(host: LabHost, checklist: str, step: str) -> tuple[int, str]:
    """Exit status and sentence of `harden-tui apply STEP --yes`."""
    try:
        done = harden(
            host, "apply", "--checklist", checklist, step, "--yes", "--format", "json",
            check=False, timeout_s=LIMIT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, f"did not end within {LIMIT_S / 60:.0f} minutes"
    return done.returncode, said(done.stdout) or done.stderr.strip()


def said(text: str) -> str:
    """The sentence in the JSON answer of an apply; empty where there is none."""
    try:
        return str(json.loads(text)["summary"])
    except (ValueError, KeyError, TypeError):
        return ""
