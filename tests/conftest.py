"""What every test run says at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.hosts.base import missing

LOCKOUT = "lock-out"
"""What a test that locked somebody out on purpose notes of itself."""

HOSTS = "HARDEN_TUI_HOSTS"
"""With `required` a run without real hosts fails: .ci/run sets it, so that no build is good that
left most of its proofs out."""

UNDONE = "undone"
"""What a test notes that applies a step, undoes it and compares the host."""


# What a test run says depends on the commit alone, and not on how busy the machine is. Other
# examples than those of each day are looked for by `make fuzz`.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=1000, deadline=None)
hypothesis.settings.load_profile("steady")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Neither the machine nor what was tried before chooses the modes of a test's files, nor those
    of a host that a test shares with others: that is made before the fixtures of its own."""
    os.umask(0o022)


def pytest_configure() -> None:
    """Raises `pytest.UsageError` where hosts are required and cannot run."""
    reason = missing()
    if reason and os.environ.get(HOSTS) == "required":
        raise pytest.UsageError(f"{reason} ({HOSTS}=required)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line where tests on real hosts were left out, with the way to get them."""
    reason = missing()
    if reason:
        terminalreporter.write_line(f"left out: {reason}")
    for noted, what, well in (
        (LOCKOUT, "lock-out situations on real hosts", "survived"),
        (UNDONE, "steps applied and undone on real hosts", "left the host identical"),
    ):
        tried = [
            report
            for kind in ("passed", "failed")
            for report in _noted(terminalreporter, kind, noted)
        ]
        if tried:
            good = sum(report.passed for report in tried)
            terminalreporter.write_line(f"{what}: {len(tried)} tried, {good} {well}")


def _noted(reporter: pytest.TerminalReporter, kind: str, noted: str) -> Iterator[pytest.TestReport]:
    for report in reporter.stats.get(kind, ()):
        if isinstance(report, pytest.TestReport) and report.when == "call":
            for name, _ in report.user_properties:
                if name == noted:
                    yield report
