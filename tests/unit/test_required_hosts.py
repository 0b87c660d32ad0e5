"""Where hosts are required, a run without them fails and says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import HOSTS

ROOT = Path(__file__).resolve().parents[2]


def run_without_programs(tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """pytest on one file of hosts, where neither systemd-nspawn nor anything else is found."""
    environment = {name: value for name, value in os.environ.items() if name != HOSTS}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/hosts/test_steps.py"],
        cwd=ROOT, env={**environment, "PATH": str(tmp_path), **more},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_they_are_left_out_or_fail_the_run(tmp_path: Path) -> None:
    left_out = run_without_programs(tmp_path)
    assert "left out: tests on real hosts need " in left_out.stdout
    required = run_without_programs(tmp_path, **{HOSTS: "required"})
    assert required.returncode == 4
    assert "ERROR: tests on real hosts need " in required.stdout + required.stderr


def test_the_build_requires_them() -> None:
    assert f"\nexport {HOSTS}=required\n" in (ROOT / ".ci/run").read_text()
