"""The package's own scripts, as dpkg calls them."""

from __future__ import annotations

import runpy
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[2] / "packaging" / "build_deb.py"


@pytest.mark.parametrize(
    ("called", "is_open", "ended"),
    [("remove", True, 1), ("remove", False, 0), ("upgrade", True, 0)],
)
def test_it_is_not_removed_while_a_window_is_open(
    tmp_path: Path, called: str, is_open: bool, ended: int
) -> None:
    window, library = tmp_path / "window.json", tmp_path / "library"
    (library / "tui" / "__pycache__").mkdir(parents=True)
    if is_open:
        window.write_text("{}")
    script = str(runpy.run_path(str(BUILD))["PRERM"])
    for real, here in (
        ("/var/lib/harden-tui/window.json", window),
        ("/usr/lib/harden-tui", library),
    ):
        assert real in script
        script = script.replace(real, str(here))
    done = subprocess.run(["sh", "-c", script, "prerm", called], capture_output=True, text=True)
    assert done.returncode == ended, done.stderr
    assert ("window close" in done.stderr) == bool(ended)
    assert (library / "tui" / "__pycache__").exists() == bool(ended)
