"""Moments as drift tells them."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(seconds: float) -> str:
    """ISO 8601 UTC of seconds since 1970, "2026-11-25T14:02:11Z"; "" for 0, which is not known."""
    if not seconds:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def spoken(stamp: str) -> str:
    """ "2026-11-25 14:02:11 UTC" from ISO 8601 UTC."""
    return f"{stamp[:19].replace('T', ' ')} UTC" if stamp else ""
