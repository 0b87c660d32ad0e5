"""When Python looks for cycles of objects that nothing leads to: seldom, because we leave few."""

from __future__ import annotations

import gc

SELDOM = 20_000
"""New objects between two looks. With Python's own 700 it looks so often, for nothing, that it
costs 0.14 s of the 2.8 s of processor time that sealing 50,000 files takes."""


def wait() -> None:
    """Do not look while modules are imported: what they make stays."""
    gc.disable()


def begin() -> None:
    """Look from now on, and never again at what is there already."""
    gc.freeze()
    gc.set_threshold(SELDOM)
    gc.enable()
