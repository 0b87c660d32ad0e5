"""How guarded changes of a run are treated."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from snapshots.typed import TYPED

WINDOW_S: Final = 300
"""How long a person has to log in anew and confirm, where nothing else was asked for."""
SHORTEST_WINDOW_S: Final = 10
LONGEST_WINDOW_S: Final = 3600


class Guarding(msgspec.Struct, frozen=True, kw_only=True):
    """`program` are the words that start harden-tui again for this host and state, `typed` is what
    a person types for it. With `wait` false the run ends where it would wait; the guard stays
    armed all the same.
    """

    program: tuple[str, ...] = ()
    typed: str = TYPED
    window_s: int = WINDOW_S
    wait: bool = True


def seconds_of(text: str) -> int:
    """Seconds in "90", "90s", "5m" or "1h"; 0 for what is none, too short or too long."""
    found = re.fullmatch(r"(\d{1,6})([smh]?)", text.strip())
    seconds = int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    return seconds if SHORTEST_WINDOW_S <= seconds <= LONGEST_WINDOW_S else 0


WINDOW_EXPECTED: Final = (
    f"expected a time between {SHORTEST_WINDOW_S} seconds and {LONGEST_WINDOW_S // 60} minutes,"
    " such as 90s or 5m"
)
