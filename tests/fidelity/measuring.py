"""One step on one fresh host: applied, rolled back, compared."""

from __future__ import annotations

from pathlib import Path

from tests.fidelity.outcome import Outcome
from tests.hosts.fingerprint import differences, fingerprint
from tests.hosts.lab import LabHost
from tests.hosts.program import APP, furnish, harden

ATTEMPTS = 2
"""A host that did not boot or answer on a busy machine is asked once more; a difference never."""


def measure(suite: str, layer: Path, step: str) -> Outcome:
    """What `step` leaves behind; `layer` has the program installed."""
    problem = ""
    for _ in range(ATTEMPTS):
        try:
            with LabHost(suite, layer) as host:
                return _measure(host, step)
        except AssertionError as error:
            problem = " ".join(str(error).split())[:400]
    return Outcome(suite=suite, step=step, problem=problem)


def _measure(host: LabHost, step: str) -> Outcome:
    furnish(host)
    before = fingerprint(host, APP)
    harden(host, "apply", "--checklist", "i-doit", step, "--yes")
    changed = differences(before, fingerprint(host, APP))
    if not changed:
        return Outcome(
            suite=host.suite, step=step, problem="applying it changed nothing on this host"
        )
    harden(host, "rollback", "--checklist", "i-doit", step, "--yes")
    left = differences(before, fingerprint(host, APP))
    return Outcome(suite=host.suite, step=step, changed=len(changed), left=tuple(left))
