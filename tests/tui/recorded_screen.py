"""The screen with recorded hands: a program for tests under a real pseudo-terminal.

Arguments: `--practice` shows the banner. Everything but the hands is the product's own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent))

import tui.open as opening  # noqa: E402
from tui import waiting, windows  # noqa: E402
from tui.client import Hands, Rights  # noqa: E402
from tui.options import Options  # noqa: E402


class RecordedHands(Hands):
    """Hands that answer from `recorded_hands.py`."""

    def argv(self, arguments: Sequence[str], output: str, *, rights: Rights) -> list[str]:
        return [sys.executable, str(HERE / "recorded_hands.py"), *arguments]


class RecordedOptions(Options, frozen=True):
    """Started as usual, although there is no state where it says."""

    @property
    def program(self) -> str:
        return "harden-tui --practice" if self.practice else "sudo harden-tui"


def options(*, practice: bool = False) -> Options:
    return RecordedOptions(
        practice=practice,
        state_dir=Path("/nonexistent/state"),
        log_dir=Path("/nonexistent/log"),
        checklist="lamp",
        user="alice",
    )


if __name__ == "__main__":
    if "RECORDED_CLOCK" not in os.environ:
        waiting.now_s = lambda: 1000.0
        windows.now = lambda: datetime(2026, 11, 20, 10, 16, 51, tzinfo=UTC)
    opening.this_host = lambda: "web1"
    opening.Hands = RecordedHands  # type: ignore[attr-defined]
    sys.exit(opening.run_screen(options(practice="--practice" in sys.argv)))
