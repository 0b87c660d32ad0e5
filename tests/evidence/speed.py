"""The whole check: how long, and how much memory at most."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from statistics import median

import msgspec

from tests.bench.memory import LAUNCH
from tests.hosts.lab import LabHost

ROUNDS = 5


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """A check of `steps` steps: the median of some rounds, and the largest resident set.

    `slowest`: the steps that took longest in one of them, in seconds; the first that asks for a
    fact pays for it.
    """

    steps: int
    check_s: float
    peak_mb: float
    slowest: tuple[tuple[str, float], ...] = ()


def measure(host: LabHost, checklist: str, steps: Sequence[str]) -> Speed:
    """Raises `AssertionError` where the check itself fails."""
    argv = ("harden-tui", "check", "--checklist", checklist, *steps, "--format", "json")
    _, first = _asked(host, argv)
    took = [_asked(host, argv)[0] for _ in range(ROUNDS)]
    kibibytes = int(host.out("python3", "-I", "-S", "-c", LAUNCH, *argv))
    return Speed(
        steps=len(steps), check_s=median(took), peak_mb=kibibytes / 1024, slowest=slowest(first)
    )


def slowest(text: str, count: int = 5) -> tuple[tuple[str, float], ...]:
    """Of the JSON answer of a check."""
    took = [(str(step["id"]), float(step["seconds"])) for step in json.loads(text)["steps"]]
    return tuple(sorted(took, key=lambda one: -one[1])[:count])


def _asked(host: LabHost, argv: Sequence[str]) -> tuple[float, str]:
    began = time.perf_counter()
    done = host.run(*argv, check=False)
    took = time.perf_counter() - began
    if done.returncode not in (0, 1):
        raise AssertionError(f"the check ended with {done.returncode}: {done.stderr}")
    return took, done.stdout
