"""Failures as one sentence and an exit status; the details go to a file for whoever must look."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path
from typing import Final

USAGE: Final = 2
REFUSED: Final = 3
NEEDS_PERSON: Final = 5

LONGEST_LINE: Final = 2000
"""Characters of a sentence: twenty lines of a terminal. A whole file given as a value is longer."""

LARGEST_LOG_BYTES: Final = 1024 * 1024
"""A debug log longer than this is begun anew; the one before is kept as debug.log.1."""


class Stop(Exception):
    """The command ends here, with this exit status and one sentence on standard error."""

    def __init__(self, exit_status: int, message: str = "") -> None:
        super().__init__(message)
        self.exit = exit_status
        self.message = message


class Scene:
    """What is known when something fails: where details may be written, and what must not be."""

    def __init__(self) -> None:
        self.log_dir: Path | None = None
        self.secrets: list[str] = []


def usage(message: str) -> Stop:
    """A wrong command line or an invalid file (exit 2)."""
    return Stop(USAGE, message)


def refused(message: str) -> Stop:
    """Nothing was changed, and the sentence says why (exit 3)."""
    return Stop(REFUSED, message)


def explain(error: BaseException, scene: Scene) -> tuple[int, str]:
    """The exit status and the sentence for an error that reached the outermost edge."""
    from host.base import HostError
    from steps.redact import Redactor
    from steps.resource import Refused, StepError

    redact = Redactor(scene.secrets)
    if isinstance(error, StepError):
        return USAGE, one_line(redact(str(error)))
    if isinstance(error, Refused | HostError):
        return REFUSED, one_line(redact(str(error)))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return REFUSED, one_line(redact(f"{where}{error.strerror}."))
    path = keep_details(error, scene)
    where = f" The details are in {path}." if path else ""
    return NEEDS_PERSON, (
        f"This is a mistake in harden-tui itself ({type(error).__name__}).{where}"
        " If a change was running, `harden-tui recover` brings the host back."
    )


def keep_details(error: BaseException, scene: Scene) -> Path | None:
    """Append the traceback (no values of variables, no secrets) to debug.log; where it lies."""
    from snapshots.ownership import is_ours
    from steps.redact import Redactor
    from tui.paths import default_log_dir

    text = "".join(traceback.format_exception(error))
    text = Redactor(scene.secrets)(text)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    path = (scene.log_dir or default_log_dir()) / "debug.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_ours(path.parent):
            return None  # a link or a stranger's directory: root writes nothing there
        if path.exists() and path.stat().st_size > LARGEST_LOG_BYTES:
            path.replace(path.with_name("debug.log.1"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
            file.write(f"{stamp} pid {os.getpid()}\n{text}\n")
    except OSError:
        return None
    return path


def one_line(text: str) -> str:
    """`text` as one printable line; of a very long one the beginning and the end."""
    from tui.text import clean

    line = clean(" ".join(text.split()))
    if len(line) <= LONGEST_LINE:
        return line
    half = LONGEST_LINE // 2
    return f"{line[:half]} … {line[-half:]}"
