"""Where hosts are required, a run without them fails and says what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HOSTS
from tests.hosts.base import missing

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


@pytest.mark.skipif(bool(missing()), reason="they are left out here")
def test_what_failed_is_tried_again_on_the_release_where_it_did(tmp_path: Path) -> None:
    """Of the situations that a test lists every other is left out on each release; those that
    failed are not counted anew."""
    test = "tests/hosts/test_rehearsal_login.py::test_what_is_foreseen_is_what_a_login_meets"
    failed = [f"{test}[trixie-situation{number}-]" for number in (19, 27)]
    cached = tmp_path / "v/cache/lastfailed"
    cached.parent.mkdir(parents=True)
    cached.write_text(json.dumps(dict.fromkeys(failed, True)))
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", f"cache_dir={tmp_path}", "--last-failed",
         "--collect-only", "-q", "-o", "addopts="],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [line for line in again.stdout.splitlines() if "::" in line] == failed
