"""Words of sentences that several floors say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

TYPED: Final = "sudo harden-tui"
"""How a person starts the program, where nothing else was said."""


def by_number(things: Sequence[object], one: str, several: str) -> str:
    """The word that goes with so many."""
    return one if len(things) == 1 else several
