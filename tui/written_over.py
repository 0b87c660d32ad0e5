"""What is said before something is taken back in which others edited since."""

from __future__ import annotations

from host.names import visible
from tui.wire import RecoverAnswer

SHOWN = 8


def sentences(answer: RecoverAnswer) -> list[str]:
    """For the person who decides; none where nothing is written over."""
    if answer.unknown:
        return [f"Whether others edited these files since could not be looked up: {answer.unknown}"]
    paths = [visible(path) for path in answer.written_over]
    if not paths:
        return []
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return [
        f"Edited by others since, and written over: {', '.join(paths[:SHOWN])}{more}."
        " As found they are kept; where is said at the end."
    ]
