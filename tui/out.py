"""Standard output and standard error as the command line uses them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

from host.names import shown_json
from tui.failures import NEEDS_PERSON, Stop
from tui.text import clean, safe_json

SGR: Final = {
    "bold": "1", "dim": "2", "ok": "32", "bad": "1;31", "warn": "33", "info": "36",
    "add": "32", "del": "31", "hunk": "36",
}  # fmt: skip
"""Roles -> the sixteen colours every terminal has; no colour is the only sign of anything."""

QUIET_FOR_S: Final = 1.0
"""What takes less than a second needs no word about its progress."""

REDRAW_S: Final = 0.25


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads (or types) there."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


class Out:
    """Writes to standard output; one that was closed swallows everything and stops no work.

    Raises `Stop` (exit 5) where the output goes to a full disk: an answer that is cut short must
    not look complete.
    """

    def __init__(self) -> None:
        self.closed = sys.stdout is None
        self.terminal = is_terminal(sys.stdout)
        no_colour = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        self.colour = self.terminal and not no_colour
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")

    @property
    def width(self) -> int:
        """Columns to fill; 100 where nobody says."""
        return shutil.get_terminal_size((100, 24)).columns if self.terminal else 100

    def paint(self, text: str, role: str) -> str:
        """`text` in the colour of its role, where there is colour."""
        if not self.colour or not text or role not in SGR:
            return text
        return f"\x1b[{SGR[role]}m{text}\x1b[0m"

    def line(self, text: str = "", role: str = "") -> None:
        """One line; control characters of the host's files and programs are made visible."""
        self.raw(self.paint(clean(text), role) + "\n")

    def parts(self, *parts: tuple[str, str]) -> None:
        """One line of differently painted parts."""
        painted = "".join(self.paint(clean(text), role) for text, role in parts)
        self.raw(painted.rstrip() + "\n")

    def json(self, document: Any) -> None:
        """One JSON document, on one line."""
        self.json_line(shown_json(document))

    def json_line(self, line: bytes) -> None:
        """A line of JSON, already encoded."""
        self.document(safe_json(line.decode("utf-8", "replace")) + "\n")

    def document(self, text: str) -> None:
        """What says of itself that it is UTF-8, as JSON (RFC 8259) and HTML do: it stays so,
        whatever the terminal speaks."""
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            self.raw(text)
        else:
            self._flushed(lambda: buffer.write(text.encode()))

    def raw(self, text: str) -> None:
        """`text` as it is, flushed."""
        self._flushed(lambda: sys.stdout.write(text))

    def _flushed(self, write: Callable[[], object]) -> None:
        if self.closed:
            return
        try:
            write()
            sys.stdout.flush()
        except BrokenPipeError:
            self.closed = True
            with contextlib.suppress(OSError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, sys.stdout.fileno())
                os.close(nothing)
        except ValueError:
            self.closed = True
        except OSError as error:
            self.closed = True
            raise Stop(
                NEEDS_PERSON, f"The answer could not be written out: {error.strerror}."
            ) from None


class StatusLine:
    """One line on standard error that says what goes on, only on a terminal, only if it lasts.

    A thread of its own keeps it: whoever works may be waiting for one slow answer.
    """

    def __init__(self, *, wanted: bool = True) -> None:
        self.is_shown = wanted and is_terminal(sys.stderr)
        self._began = time.monotonic()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._text = ""
        self._shown = 0

    def show(self, text: str) -> None:
        """Replace the line; it appears once the work has lasted a second."""
        if not self.is_shown:
            return
        with self._guard:
            self._text = text
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep, daemon=True)
                self._thread.start()

    def clear(self) -> None:
        """Take the line away, before anything else is written."""
        with self._guard:
            self._text = ""
            if self._shown:
                self._write("\r" + " " * self._shown + "\r")
                self._shown = 0

    def _keep(self) -> None:
        time.sleep(QUIET_FOR_S)
        while self.is_shown:
            with self._guard:
                if self._text:
                    self._draw()
            time.sleep(REDRAW_S)

    def _draw(self) -> None:
        width = shutil.get_terminal_size((80, 24)).columns - 1
        seconds = f" ({time.monotonic() - self._began:.0f} s)"
        shown = clean(self._text)[: width - len(seconds)] + seconds
        self._write("\r" + shown.ljust(self._shown))
        self._shown = len(shown)

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            self.is_shown = False


def note_whose(*, practice: bool, root: bool) -> None:
    """Without root, history, log and runs are one's own: say that root's are elsewhere."""
    if not practice and not root:
        note("this is your own record; what root did on this host is shown with sudo.")


def note(text: str) -> None:
    """A remark on standard error."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(f"harden-tui: {clean(text)}", file=sys.stderr, flush=True)
