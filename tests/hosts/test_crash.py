"""A sample of `make faults`: the worker killed and out of room on one release, the power cut on the
other; all of it on both with `make test-everywhere`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.hosts.conftest import EVERYWHERE

ROOT = Path(__file__).resolve().parents[2]
SHARES = {"bookworm": ("killed", 5), "trixie": ("power cut", 2)}
"""What is tried where, and how many points that are at least."""


def test_a_crash_leaves_the_host_before_or_after(suite: str, installed: Path) -> None:
    only, least = ("", 7) if EVERYWHERE in os.environ else SHARES[suite]
    # A process of its own: it mounts where no other test's container shall see it.
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--sample", "--points", "1", "--suite", suite,
         "--layer", str(installed), "--only", only],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=560,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(rf"^{suite}: (\d+) points tried", done.stdout, re.MULTILINE)
    assert counted is not None and int(counted[1]) >= least, done.stdout
    print(done.stdout.splitlines()[-1])
