"""What the result of an undo says besides what was undone."""

from __future__ import annotations

from typing import Final

from snapshots.model import Resolution
from snapshots.typed import by_number

_BECAME: Final[dict[Resolution, tuple[str, str]]] = {
    "keep-current": ("was left as it stood", "were left as they stood"),
    "restore": (
        "was put back over what was changed since",
        "were put back over what was changed since",
    ),
    "merge": (
        "was merged with what was changed since",
        "were merged with what was changed since",
    ),
}


class Told:
    """Collected from one undo after the other."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.chosen: dict[str, Resolution] = {}
        """By what was in conflict what a person chose for it."""

    def all(self) -> list[str]:
        """What was chosen first: it is why something of a step that is undone is still there."""
        return [*chosen_sentences(self.chosen), *self.sentences]


def chosen_sentences(chosen: dict[str, Resolution]) -> list[str]:
    """One for each way out that was taken."""
    sentences = []
    for resolution, (one, several) in _BECAME.items():
        keys = [key for key, choice in chosen.items() if choice == resolution]
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            sentences.append(f"As you chose, {keys[0]}{more} {by_number(keys, one, several)}.")
    return sentences
