"""The whole check: how long, and how much memory at most."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median

import msgspec

from tests.bench.memory import LAUNCH
from tests.hosts.lab import LabHost

ROUNDS = 5


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """A check of `steps` steps: the median of some rounds, and the largest resident set."""

    steps: int
    check_s: float
    peak_mb: float


def measure(host: LabHost, checklist: str, steps: Sequence[str]) -> Speed:
    """Raises `AssertionError` where the check itself fails."""
    argv = ("harden-tui", "check", "--checklist", checklist, *steps, "--format", "json")
    _seconds(host, argv)
    took = [_seconds(host, argv) for _ in range(ROUNDS)]
    kibibytes = int(host.out("python3", "-I", "-S", "-c", LAUNCH, *argv))
    return Speed(steps=len(steps), check_s=median(took), peak_mb=kibibytes / 1024)


def _seconds(host: LabHost, argv: Sequence[str]) -> float:
    began = time.perf_counter()
    done = host.run(*argv, check=False)
    took = time.perf_counter() - began
    if done.returncode not in (0, 1):
        raise AssertionError(f"the check ended with {done.returncode}: {done.stderr}")
    return took
