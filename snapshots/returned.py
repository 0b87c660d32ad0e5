"""What packages' scripts took although it was there before, and was put back: it has a new birth.

The journal of whatever put it back names it, for no later undo may take it for new.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

from snapshots.journal import RETURNED
from snapshots.records import Records


def note(records: Records, tx_id: str, paths: Iterable[str]) -> None:
    """Have the journal say so; where there is no room for that, it is not known later."""
    names = sorted(paths)
    if names:
        with contextlib.suppress(OSError):
            records.journal(tx_id, RETURNED, f"{len(names)} names were put back", names=names)


def known(records: Records) -> dict[str, float]:
    """Path -> when it had last been put back, in s since 1970."""
    lines = (line for tx_id in records.ids() for line in records.journal_of(tx_id))
    return {
        name: datetime.fromisoformat(line.time).timestamp()
        for line in lines
        if line.what == RETURNED
        for name in line.names or ()
    }
