"""How guarded changes of a run are treated."""

from __future__ import annotations

from typing import Final

import msgspec

WINDOW_S: Final = 300
"""How long a person has to log in anew and confirm, where nothing else was asked for."""
SHORTEST_WINDOW_S: Final = 10
LONGEST_WINDOW_S: Final = 3600


class Guarding(msgspec.Struct, frozen=True, kw_only=True):
    """`program` are the words that start harden-tui again for this host and state. With `wait`
    false the run ends where it would wait; the guard stays armed all the same.
    """

    program: tuple[str, ...] = ()
    window_s: int = WINDOW_S
    wait: bool = True
