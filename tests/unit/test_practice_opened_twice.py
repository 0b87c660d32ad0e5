"""The screen and its first check open a new practice host at the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_OPEN = (
    "import sys, pathlib; from host.practice import PracticeHost;"
    " print(len(PracticeHost(pathlib.Path(sys.argv[1])).machine.memory.packages))"
)


def test_both_find_it_furnished(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    opened = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(tmp_path / "host")],
            cwd=root,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    counts = {process.communicate(timeout=60)[0] for process in opened}
    assert len(counts) == 1 and int(counts.pop()) > 5
