"""How work on the host ended: its exit status, and the words where it failed."""

from __future__ import annotations

from collections.abc import Sequence

from snapshots.model import TransactionRecord

GOOD, REFUSED, ROLLED_BACK, NEEDS_PERSON = 0, 3, 4, 5

NAMED = 8
"""So many names a sentence holds; of more it says how many."""


def named(names: Sequence[str]) -> str:
    """ "a, b" or, of many, "a, b, c and 21 more"."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def not_begun(names: Sequence[str], *, of: str = "") -> str:
    """What a run that ended early has left; `of` is "The undo of " where it undoes."""
    verb = "was" if of or len(names) == 1 else "were"
    return f"{of}{named(names)} {verb} not begun."


def failure(what: str, record: TransactionRecord, reason: str, problem: str) -> tuple[int, str]:
    """Exit status and sentence for `what`, whose transaction went back, as far as it could.

    `reason` is without secrets; `problem` is why the session log has nothing of it, or empty.
    """
    if record.status == "rolled-back":
        return ROLLED_BACK, f"{what} failed and was rolled back: {reason} {problem}".rstrip()
    words = f"{what} failed and could not be rolled back completely: {reason} {problem}"
    return NEEDS_PERSON, words.rstrip()
