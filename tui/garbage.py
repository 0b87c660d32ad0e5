"""When Python looks for cycles of objects that nothing leads to: seldom, because we leave few."""

from __future__ import annotations

import gc

SELDOM = 20_000
"""New objects between two looks. Python's own 700 makes it look a hundred times while a tree of
50,000 files is walked: 0.1 s of each half second, for nothing."""


def wait() -> None:
    """Do not look while modules are imported: what they make stays."""
    gc.disable()


def begin() -> None:
    """Look from now on, and never again at what is there already."""
    gc.freeze()
    gc.set_threshold(SELDOM)
    gc.enable()
