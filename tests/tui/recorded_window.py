"""What recorded hands say of an update window.

`RECORDED_WINDOW`: "open" (2 h 14 min are left by the clock that stands still), or so many seconds
that are left by the real clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_CLOSED = Path(os.environ.get("XDG_STATE_HOME", "/nonexistent"), "window-closed")
GIVEN = "" if _CLOSED.exists() else os.environ.get("RECORDED_WINDOW", "")


def _deadline() -> str:
    if GIVEN in ("", "open"):
        return "2026-11-20T12:31:00+00:00"
    return (datetime.now(UTC) + timedelta(seconds=float(GIVEN))).isoformat()


def window() -> dict[str, Any]:
    return {
        "id": "20261120T081500.000001Z-cd34", "state": "open", "who": "alice",
        "opened": "2026-11-20T08:15:00+00:00", "deadline": _deadline(), "note": "i-doit 34",
        "seals": [{"step": "app.tree", "values": {}, "roots": ["/var/www/html/i-doit"]}],
        "dumps": [{"database": "idoit_data", "path": "/x", "bytes": 5242880, "sha256": "0"}],
    }  # fmt: skip


REPORT = {
    "transaction": "20261120T081500.000001Z-cd34", "how": "closed", "who": "alice",
    "opened": "2026-11-20T08:15:00+00:00", "closed": "2026-11-20T10:17:00+00:00",
    "note": "i-doit 34", "sealed": ["app.tree"],
    "packages": [{"name": "apache2", "before": "2.4.62-1", "after": "2.4.65-1"}],
    "files": [{"top": "/var/www/html/i-doit", "new": 12, "edited": 340,
               "examples": ["/var/www/html/i-doit/index.php"]}],
    "ports": [{"name": "tcp 0.0.0.0 8080", "before": "", "after": "listens"}],
    "versions": [{"name": "i-doit", "before": "33", "after": "34"}],
    "checked": {"pass": 40, "fail": 2},
    "worse": [{"step": "minimal.ports", "status": "fail", "note": "tcp 8080 listens."}],
}  # fmt: skip


def of_check() -> list[dict[str, Any]]:
    return [{"event": "window", "window": window()}] if GIVEN else []


def answer(argv: Sequence[str], say: Callable[..., None]) -> int:
    what = argv[1]
    if what == "status":
        say({"schema": "harden-tui/window/1", "window": window() if GIVEN else None,
             "left_s": 8049.0 if GIVEN else 0.0, "interrupted": False, "last": None})  # fmt: skip
        return 0 if GIVEN else 1
    if what == "close" and "--dry-run" in argv:
        say(
            {
                "schema": "harden-tui/window/1",
                "window": window(),
                "writers": ["/var/www/html/i-doit/temp/x (php, process 812)"],
                "refusals": [],
            }
        )
        return 0
    if what == "close":
        _CLOSED.touch()
        say(
            {"event": "started", "run": "w1", "command": "window close", "steps": []},
            {"event": "progress", "what": "sealing"},
            {"event": "window", "window": None, "report": REPORT},
            {"event": "done", "exit": 0, "summary": "The update window is closed."},
        )
    return 0
