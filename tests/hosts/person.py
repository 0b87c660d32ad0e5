"""The administrator's second terminal: whoever confirms what is guarded, by a real new login."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

GUARD = "var/lib/harden-tui/guard/guard.json"
POLL_S = 0.3


class Person(threading.Thread):
    """Logs in and confirms as soon as something waits, for as long as `present`."""

    def __init__(self, root: Path, log_in: Callable[[str], subprocess.CompletedProcess[str]]):
        super().__init__(daemon=True, name="person")
        self._guard = root / GUARD
        self._log_in = log_in
        self._gone = threading.Event()
        self.present = True

    def run(self) -> None:
        while not self._gone.wait(POLL_S):
            if self.present and self._waits():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._log_in("sudo harden-tui confirm")

    def leave(self) -> None:
        self._gone.set()
        self.join()

    def _waits(self) -> bool:
        try:
            return bool(json.loads(self._guard.read_bytes())["phase"] == "waiting")
        except (OSError, ValueError, KeyError):
            return False
