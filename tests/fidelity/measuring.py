"""One step on one fresh host: applied, rolled back, compared."""

from __future__ import annotations

from pathlib import Path

from tests.fidelity.outcome import Outcome
from tests.hosts.fingerprint import Fingerprint, differences
from tests.hosts.lab import LabHost
from tests.hosts.program import furnish, harden, statuses
from tests.hosts.trials import all_trials
from tests.hosts.trials.trial import Trial, arguments, measured

ATTEMPTS = 2
"""A host that did not boot or answer on a busy machine is asked once more; a difference never."""

DONE_OR_REFUSED = (0, 1, 3)
"""What an apply ends with that came to its end, also where there was nothing it could do."""


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
    trial = all_trials()[step]
    furnish(host)
    if trial.furnish:
        trial.furnish(host)
    host.ssh("sudo -n true")  # leaves a mark in the administrator's home, the first time
    before = measured(host, trial)
    if not trial.acts:
        return _idle(host, trial, before)
    harden(host, "apply", step, *arguments(trial), stdin=trial.values)
    changed = differences(before, measured(host, trial))
    if not changed and statuses(host, step, more=trial.given)[step] != trial.after:
        return Outcome(suite=host.suite, step=step, problem="applying it did nothing on this host")
    harden(host, "rollback", step, "--yes")
    left = differences(before, measured(host, trial), trial.stays)
    return Outcome(suite=host.suite, step=step, changed=len(changed), left=tuple(left))


def _idle(host: LabHost, trial: Trial, before: Fingerprint) -> Outcome:
    """What is said to change nothing here is applied all the same: it is seen, not believed."""
    step = trial.step
    done = harden(host, "apply", step, *arguments(trial), stdin=trial.values, check=False)
    assert done.returncode in DONE_OR_REFUSED, f"exit {done.returncode}: {done.stderr}"
    changed = differences(before, measured(host, trial))
    if changed:
        problem = f"said to change nothing here, but an apply did: {changed[0]}"
        return Outcome(suite=host.suite, step=step, problem=problem)
    if trial.unmeasured:
        return Outcome(suite=host.suite, step=step, unmeasured=trial.unmeasured)
    return Outcome(suite=host.suite, step=step, only_looks=True)
