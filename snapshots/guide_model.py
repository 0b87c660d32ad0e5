"""A guided run as it is kept, for whoever only reads it."""

from __future__ import annotations

import msgspec


class Later(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who put a step off, and when (ISO 8601 UTC)."""

    by: str
    when: str


class Guide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run through a stage. `at` is the step it stands at, "" before the first one.

    `by` moved it last, at `when`; `ended` is when it came to its end, "" while it goes on. `later`
    are the steps that were put off. Times are ISO 8601 UTC.
    """

    checklist: str
    stage: str
    at: str = ""
    by: str = ""
    when: str = ""
    began: str = ""
    ended: str = ""
    later: dict[str, Later] = {}

    @property
    def goes_on(self) -> bool:
        return bool(self.at) and not self.ended
