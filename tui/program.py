"""How to start this very program again: from any directory, as any user."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

NAME: Final = "harden-tui"


def again() -> list[str]:
    """The beginning of a command line that runs the program we are part of.

    The installed launcher where we came from it: it knows where the libraries lie, and sudo's log
    and rules name it. Else our own entry, by path, with nothing imported from the working
    directory (`-P`).
    """
    started = Path(os.path.abspath(sys.argv[0]))
    if started.name == NAME and os.access(started, os.X_OK):
        return [str(started)]
    return [sys.executable, "-P", str(Path(__file__).with_name("entry.py"))]
