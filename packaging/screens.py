"""Take the pictures of the documentation from the real program, run in tmux: `make screens`.

It drives the practice host with keys as a person would and writes docs/screens/*.svg.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/screens"
SERVER = "harden-tui-screens"

SCENES: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("checklist", 120, 34, ("Down", "Down", "Down", "Down", "Down", "Down", "p")),
    ("state", 80, 24, ("1", "s")),
    ("live", 120, 34, ("2",)),
    ("help", 80, 24, ("5",)),
)
"""Name, columns, rows, and the keys that lead there."""


def main() -> int:
    if shutil.which("tmux") is None:
        sys.exit("tmux is missing: the pictures are taken from the real program running in it")
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="harden-tui-screens.") as scratch:
        for name, columns, rows, keys in SCENES:
            picture = _take(scratch, columns, rows, keys)
            (OUT / f"{name}.svg").write_text(_svg(picture, columns, rows), encoding="utf-8")
            print(OUT / f"{name}.svg")
    return 0


def _take(scratch: str, columns: int, rows: int, keys: tuple[str, ...]) -> str:
    program = ROOT / ".venv/bin/harden-tui"
    command = f"XDG_STATE_HOME={scratch} COLORTERM=truecolor {program} --practice"
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
    _tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), command,
          env=environment)  # fmt: skip
    try:
        _wait("q quit")
        time.sleep(2)
        for key in keys:
            _tmux("send-keys", key)
            time.sleep(0.3)
        time.sleep(2)
        return _tmux("capture-pane", "-e", "-p")
    finally:
        _tmux("kill-server")


def _wait(words: str) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if words in _tmux("capture-pane", "-p"):
            return
        time.sleep(0.1)
    sys.exit("the screen did not come up")


def _svg(picture: str, columns: int, rows: int) -> str:
    console = Console(
        record=True, width=columns, height=rows, file=StringIO(), force_terminal=True,
        color_system="truecolor", legacy_windows=False,
    )  # fmt: skip
    for line in picture.splitlines():
        console.print(Text.from_ansi(line.ljust(1)), overflow="crop", no_wrap=True)
    drawn = console.export_svg(title="harden-tui --practice")
    # The picture must not fetch fonts from anywhere.
    return re.sub(r"@font-face \{.*?\}\n", "", drawn, flags=re.DOTALL)


def _tmux(*arguments: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ["tmux", "-L", SERVER, *arguments], capture_output=True, text=True, check=True, env=env
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
