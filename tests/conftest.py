"""What every test run says at its end."""

from __future__ import annotations

import os

import pytest

from tests.hosts.base import missing


@pytest.fixture(autouse=True)
def umask() -> None:
    """Neither the machine nor what was tried before chooses the modes of a test's files."""
    os.umask(0o022)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line where tests on real hosts were left out, with the way to get them."""
    reason = missing()
    if reason:
        terminalreporter.write_line(f"left out: {reason}")
