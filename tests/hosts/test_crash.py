"""A sample of `make faults`: the worker killed, out of room, and the power cut, on each release."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_crash_leaves_the_host_before_or_after(suite: str, installed: Path) -> None:
    # A process of its own: it mounts where no other test's container shall see it.
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--sample", "--points", "1", "--suite", suite,
         "--layer", str(installed)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=560,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(rf"^{suite}: (\d+) points tried", done.stdout, re.MULTILINE)
    assert counted is not None and int(counted[1]) >= 6, done.stdout
    print(done.stdout.splitlines()[-1])
