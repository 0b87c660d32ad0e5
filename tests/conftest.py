"""What every test run says at its end."""

from __future__ import annotations

import os

import pytest

from tests.hosts.base import missing

os.umask(0o022)  # the modes that tests begin with are theirs to choose, not the machine's


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line where tests on real hosts were left out, with the way to get them."""
    reason = missing()
    if reason:
        terminalreporter.write_line(f"left out: {reason}")
