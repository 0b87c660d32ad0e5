"""How work on the host ended: its exit status, and the words where it failed."""

from __future__ import annotations

from snapshots.model import TransactionRecord

GOOD, REFUSED, ROLLED_BACK, NEEDS_PERSON = 0, 3, 4, 5


def failure(what: str, record: TransactionRecord, reason: str, problem: str) -> tuple[int, str]:
    """Exit status and sentence for `what`, whose transaction went back, as far as it could.

    `reason` is without secrets; `problem` is why the session log has nothing of it, or empty.
    """
    if record.status == "rolled-back":
        return ROLLED_BACK, f"{what} failed and was rolled back: {reason} {problem}".rstrip()
    words = f"{what} failed and could not be rolled back completely: {reason} {problem}"
    return NEEDS_PERSON, words.rstrip()
