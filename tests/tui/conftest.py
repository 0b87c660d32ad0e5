"""What the tests of the screen share: the option that writes the golden files anew."""

from __future__ import annotations

from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-update", action="store_true", help="write the golden screens as they are now"
    )


class Golden:
    """Compares a screen with the one that was looked at and kept."""

    def __init__(self, update: bool) -> None:
        self._update = update

    def compare(self, name: str, text: str) -> None:
        file = GOLDEN / f"{name}.txt"
        text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
        if self._update:
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"no golden screen {name}; look at it and run with --golden-update"
        assert text == file.read_text(encoding="utf-8"), f"not as golden/{name}.txt"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(bool(request.config.getoption("--golden-update", False)))
