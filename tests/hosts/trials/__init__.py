"""One trial for each step of the catalogue; a module for each area, found by its name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from tests.hosts.trials.trial import Trial


def all_trials() -> dict[str, Trial]:
    """Step id -> its trial, in the order of the modules and of their lists."""
    found: dict[str, Trial] = {}
    for module in sorted(iter_modules(__path__), key=lambda one: one.name):
        for trial in getattr(import_module(f"{__name__}.{module.name}"), "TRIALS", ()):
            assert trial.step not in found, f"two trials for {trial.step}"
            found[trial.step] = trial
    return found
