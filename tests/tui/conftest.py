"""What the tests of the screen share: the option that writes the golden files anew."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.tui.terminal_double import PATIENCE_S, Terminal

GOLDEN = Path(__file__).with_name("golden")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-update", action="store_true", help="write the golden screens as they are now"
    )


class Golden:
    """Compares a screen with the one that was looked at and kept."""

    def __init__(self, update: bool) -> None:
        self._update = update

    def compare(self, name: str, terminal: Terminal) -> None:
        """Wait until the screen is the one that was kept; a screen may be painted in parts."""
        file = GOLDEN / f"{name}.txt"
        if self._update:
            terminal.settle()
            file.parent.mkdir(exist_ok=True)
            file.write_text(_lines(terminal), encoding="utf-8")
        assert file.exists(), f"no golden screen {name}; look at it and run with --golden-update"
        kept = file.read_text(encoding="utf-8")
        until = time.monotonic() + PATIENCE_S
        while _lines(terminal) != kept and time.monotonic() < until:
            time.sleep(0.05)
        assert _lines(terminal) == kept, f"not as golden/{name}.txt"


def _lines(terminal: Terminal) -> str:
    return "\n".join(terminal.text.splitlines()) + "\n"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(bool(request.config.getoption("--golden-update", False)))
