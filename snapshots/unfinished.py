"""Which transactions are neither kept nor taken back, so that `recover` has to do with them."""

from __future__ import annotations

from collections.abc import Iterable

from snapshots.model import TransactionRecord


def to_recover(records: Iterable[TransactionRecord]) -> list[TransactionRecord]:
    """Those of all transactions, oldest first, that `recover` takes back or tries to."""
    found: list[TransactionRecord] = []
    for record in records:
        if record.status in ("open", "pending", "needs-person"):
            found.append(record)
        elif record.status == "committed":
            # Going back beyond this one would take its changes away as well.
            found = [earlier for earlier in found if earlier.status in ("open", "pending")]
    return found
