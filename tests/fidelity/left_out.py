"""What no comparison looks at, each thing with its reason, from where it is left out itself."""

from __future__ import annotations

from collections.abc import Mapping

from tests.hosts.fingerprint import NOT_READ, NOT_THE_HOSTS_UNITS, SELF_CHANGING_SYSCTLS
from tests.hosts.leftovers import BY_NAME, NOT_THE_HOSTS
from tests.hosts.trials import all_trials

Reasons = Mapping[str, str]
"""What is left out -> why."""


def left_out() -> dict[str, Reasons]:
    """By heading, everything that the fingerprint or a trial leaves out."""
    return {
        "Directories that are not looked into": {
            f"`/{name}`": reason for name, reason in NOT_THE_HOSTS.items()
        },
        "Files elsewhere: logs, caches and what running daemons write by themselves"
        " (regular expressions of whole paths)": _quoted(BY_NAME),
        "Kernel settings (regular expressions)": _quoted(SELF_CHANGING_SYSCTLS),
        "Units (regular expressions)": _quoted(NOT_THE_HOSTS_UNITS),
        "Of everything that is read": NOT_READ,
        "What a step leaves, as its preview says, for this step alone"
        " (regular expressions of whole paths)": {
            f"`{pattern}` ({trial.step})": phrase
            for trial in all_trials().values()
            for pattern, phrase in trial.stays.items()
        },
    }


def read_besides() -> dict[str, str]:
    """Trees that are read with their content, /etc and the application apart -> for which steps."""
    steps: dict[str, list[str]] = {}
    for trial in all_trials().values():
        for root in trial.roots:
            steps.setdefault(f"`{root}`", []).append(trial.step)
    return {root: ", ".join(named) for root, named in sorted(steps.items())}


def _quoted(reasons: Reasons) -> Reasons:
    return {f"`{name}`": reason for name, reason in reasons.items()}
