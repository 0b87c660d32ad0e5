"""What the trials say of the steps, held against the catalogue: also where no host can boot."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest

from steps import resources
from steps.catalog_load import built_in
from tests.bench.hosts import RELEASES
from tests.hosts import test_steps
from tests.hosts.base import SUITES
from tests.hosts.trials import all_trials

STEPS, TRIALS = built_in()[0], all_trials()


def test_every_step_has_a_trial_on_every_release() -> None:
    assert set(STEPS) == set(TRIALS)
    assert set(SUITES) == set(RELEASES)
    marks: list[pytest.Mark] = getattr(test_steps.test_step, "pytestmark", [])
    assert "every_release" in {mark.name for mark in marks}


def test_only_what_can_plan_no_change_on_any_host_only_looks() -> None:
    """The figure of `make fidelity` does not count it."""
    looking = {name for name, step in STEPS.items() if all(map(_only_looks, _kinds(step.ensure)))}
    assert {name for name, trial in TRIALS.items() if not trial.changes} == looking


def test_what_is_not_measured_is_this_and_no_more() -> None:
    assert [name for name, trial in TRIALS.items() if trial.unmeasured] == ["audit.auditd"]


def test_what_stays_is_declared_by_its_step() -> None:
    """Only what the preview says may be left out of the comparison."""
    for name, trial in TRIALS.items():
        undeclared = set(trial.stays.values()) - set(STEPS[name].irreversible)
        assert not undeclared, f"{name} leaves what its step does not say: {undeclared}"
        assert all(pattern.startswith("/") for pattern in trial.stays), name


def _kinds(ensure: list[dict[str, object]]) -> list[str]:
    return [kind for resource in ensure for kind in resource]


def _only_looks(kind: str) -> bool:
    """Whether all that its plan ever returns are words for a person."""
    plan = ast.parse(textwrap.dedent(inspect.getsource(resources.kind(kind).plan)))
    returned = [node.value for node in ast.walk(plan) if isinstance(node, ast.Return)]
    return all(
        isinstance(value, ast.Call)
        and ast.unparse(value.func) == "Planned"
        and not value.args
        and {keyword.arg for keyword in value.keywords} <= {"notes", "refusals"}
        for value in returned
    )
