"""What the history says of a transaction, on the command line and on the screen alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from snapshots.typed import by_number

LET_GO: Final = "Its own undo leaves this alone now, although it changed it:"


def left_to_it(undone: Sequence[str]) -> str:
    """The heading of what a transaction answers for otherwise since these were undone."""
    names = ", ".join(undone) or "an earlier change"
    return (
        f"Left to it since {names} {by_number(undone or [names], 'was', 'were')} undone: this is "
        "what its own undo takes back now."
    )
