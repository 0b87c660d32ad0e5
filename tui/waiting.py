"""What waits for a confirmation, as the screen knows it, and how long it still does."""

from __future__ import annotations

import time
from typing import Literal

import msgspec

from steps.events import GuardEvent
from steps.guard_settings import LONGEST_WINDOW_S

MORE_S = 300
"""What a key gives: enough to go and look for the key of the server room."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """`names` are what it covers; `until_s` (seconds since boot) is when it is taken back.

    `phase`: "waiting", or how it ended, then with the reason.
    """

    names: str
    until_s: float = 0.0
    attempt: str = ""
    login: str = ""
    phase: Literal["waiting", "kept", "taken-back"] = "waiting"
    reason: str = ""

    @property
    def sentence(self) -> str:
        """ "ssh.limits waits for your confirmation"."""
        return f"{self.names} {self.by_number('waits', 'wait')} for your confirmation"

    def by_number(self, one: str, several: str) -> str:
        """The word that goes with so many of them."""
        return several if ", " in self.names else one


def waits(event: GuardEvent) -> Waiting:
    """What a guard says while it waits."""
    return Waiting(
        names=event.step, until_s=event.until_s, attempt=event.attempt, login=event.login
    )


def ended(event: GuardEvent) -> Waiting:
    """How it was decided."""
    return Waiting(
        names=event.step,
        phase="kept" if event.phase == "kept" else "taken-back",
        reason=" ".join(event.reasons),
    )


def now_s() -> float:
    """Seconds since boot: the clock of the deadline, which nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def left_s(waiting: Waiting) -> int:
    """Whole seconds until it is taken back, rather less than more; 0 once they are over."""
    return max(0, int(waiting.until_s - now_s()))


def more_s(waiting: Waiting) -> int:
    """Seconds from now, five minutes more than there are left, as far as that is allowed."""
    return min(LONGEST_WINDOW_S, left_s(waiting) + MORE_S)


def clock(seconds: int) -> str:
    """ "4:09"."""
    return f"{seconds // 60}:{seconds % 60:02d}"


def spoken_window(seconds: int) -> str:
    """ "5 minutes", "90 seconds"."""
    number, unit = (seconds // 60, "minute") if seconds % 60 == 0 else (seconds, "second")
    return f"{number} {unit}" + ("" if number == 1 else "s")
