"""What the history says of a transaction, on the command line and on the screen alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from snapshots.model import Resolution, Told
from snapshots.typed import by_number

NOTHING_TOLD: Final[dict[Told, str]] = {
    "all": "It touched nothing.",
    "pruned": "What it touched is kept no longer: nothing of it can be undone, so it was pruned.",
    "taken-back": "It was taken back before it was done; nothing of it is left.",
    "not-yet": "It is not at its end, so what it touched is not known yet.",
}
"""What is said in place of differences where there are none."""

LET_GO: Final = "Its own undo leaves this alone now, although it changed it:"


def left_to_it(undone: Sequence[str]) -> str:
    """The heading of what a transaction answers for otherwise since these were undone."""
    names = ", ".join(undone) or "an earlier change"
    return (
        f"Left to it since {names} {by_number(undone or [names], 'was', 'were')} undone: this is "
        "what its own undo takes back now."
    )


CHOSEN: Final[dict[Resolution, str]] = {
    "keep-current": "left as it stood",
    "restore": "put back over what was changed since",
    "merge": "merged with what was changed since",
}


def chosen_for(resolved: Mapping[str, Resolution]) -> list[str]:
    """What a person chose for what was in conflict at an undo, way by way."""
    return [
        f"{words}: {', '.join(keys)}"
        for resolution, words in CHOSEN.items()
        if (keys := [key for key, choice in resolved.items() if choice == resolution])
    ]
