"""The twelve steps of the beginning, but for app.tree, which is tried on an installation."""

from __future__ import annotations

from functools import partial

from tests.hosts.answers import questions
from tests.hosts.program import TWELVE
from tests.hosts.trials.trial import Trial

TRIALS = tuple(
    Trial(step=step, holds=partial(questions, step=step)) for step in TWELVE if step != "app.tree"
)
