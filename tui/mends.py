"""Everything that mends Textual, in this one file.

Textual is pinned exactly, because what is mended here is private to it; each mend is driven under a
real pseudo-terminal in `tests/tui/test_terminal.py`. What to remove when upstream does it:

- `Writer`: Textual's writer thread dies on the first `OSError` and blocks the event loop when a
  terminal does not read (its queue holds thirty pieces).
- `Driver.run_input_thread`: Textual reads the end of a dropped line again and again at full speed.
- `Driver._sigcont_application`: a line that drops sends SIGCONT too; Textual then starts a second
  writer and a second reader beside those that run.
- `Driver._on_signal`: SIGHUP and SIGTERM end Textual without putting the terminal back.
- `rendered_changes`: Textual paints a line from the left edge of its widget up to what changed, and
  blanks as spaces; over a slow line that is most of what a key costs.
- `QuietCrash`: Textual prints the local variables of every frame, passwords included.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import signal
import sys
import threading
import time
import traceback
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable
from typing import IO, Any, Final

from rich.console import Console
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from textual._xterm_parser import XTermParser  # isort: skip
from tui.terminal import EXIT_HANGUP, EXIT_TERMINATED

BACKLOG_BYTES: Final = 256 * 1024
"""What is kept for a terminal that does not read: five full repaints at 200×60.

Beyond it the oldest is dropped, and everything is painted anew once the terminal reads again.
"""

SHORTEST_ERASE: Final = 5
"""So many blanks are as long as the sequence that erases them."""

PATIENCE_S: Final = 2.0
"""How long the end of the program waits for a terminal that does not read."""


class Writer(threading.Thread):
    """Writes to the terminal; never blocks whoever has something to write.

    After an `OSError` it goes on taking what it is given and drops it, so that the app can end.
    """

    on_lost: Callable[[], None] | None = None
    """Called from this thread when the terminal reads again after something was dropped."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(daemon=True, name="textual-output")
        self._file = file
        self._encoding: str = getattr(file, "encoding", None) or "utf-8"
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lost = False
        self._dead = False
        self._ending = False
        self._changed = threading.Condition()

    def write(self, text: str) -> None:
        """Take a piece of output; a piece is written whole or not at all."""
        data = text.encode(self._encoding, "replace")
        with self._changed:
            if self._dead:
                return
            if self._waiting_bytes + len(data) > BACKLOG_BYTES and self._pieces:
                self._pieces.clear()
                self._waiting_bytes = 0
                self._lost = True
            self._pieces.append(data)
            self._waiting_bytes += len(data)
            self._changed.notify()

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def flush(self) -> None:
        return None

    def run(self) -> None:
        while True:
            with self._changed:
                while not self._pieces and not self._ending:
                    self._changed.wait()
                if not self._pieces:
                    return
                data = b"".join(self._pieces)
                self._pieces.clear()
                self._waiting_bytes = 0
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self.fileno(), view) :]
            except OSError:
                with self._changed:
                    self._dead = True
                    self._pieces.clear()
                return
            if self._lost and not self._pieces:
                self._lost = False
                if self.on_lost is not None and not self._ending:
                    self.on_lost()

    def stop(self) -> None:
        """Write what is left and end; a terminal that does not read is given up on."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self.join(PATIENCE_S)


class Driver(LinuxDriver):
    """Textual's driver for Linux, with signals and dropped lines taken care of."""

    def start_application_mode(self) -> None:
        super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's own
        if isinstance(self._writer_thread, Writer):
            self._writer_thread.on_lost = self._repaint
        loop = asyncio.get_running_loop()
        for number, code in ((signal.SIGHUP, EXIT_HANGUP), (signal.SIGTERM, EXIT_TERMINATED)):
            with contextlib.suppress(ValueError, RuntimeError):  # not the main thread: a test
                loop.add_signal_handler(number, self._leave, code)

    def suspend_application_mode(self) -> None:
        super().suspend_application_mode()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM):
            with contextlib.suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)

    def _repaint(self) -> None:
        self._app.call_later(lambda: self._app.screen.refresh())

    def _sigcont_application(self, *_: Any) -> None:
        if self._must_signal_resume:
            super()._sigcont_application()

    def _leave(self, code: int) -> None:
        """End the app, and the process too should the app not manage to."""
        _end_process_after(2 * PATIENCE_S, code)
        self._app.exit(return_code=code)

    def _hung_up(self) -> None:
        if not self.exit_event.is_set():
            self._loop.call_soon_threadsafe(self._leave, EXIT_HANGUP)

    def run_input_thread(self) -> None:
        """Read keys and mouse until told to stop or until the line drops."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(0.1):
                    try:
                        data = os.read(self.fileno, 4096)
                    except OSError:
                        data = b""
                    if not data:
                        self._hung_up()
                        return
                    for event in parser.feed(decode(data)):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)


def rendered_changes(update: ChopsUpdate, console: Console) -> str:
    """The changed cells and no others; blanks at the end of a piece are erased, not written.

    What a segment with a style wrote ends in a reset, so blanks at the very end are plain, and ECH
    (which the console, xterm, tmux, screen and PuTTY all know) leaves the same cells.
    """
    pieces = []
    for y, first, last in update.spans:
        for end, (start, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=True):
            if strip is None or start >= last or end <= first:
                continue
            left, right = max(start, first), min(end, last)
            text = strip.crop(left - start, right - start).render(console)
            kept = text.rstrip(" ")
            blanks = len(text) - len(kept)
            if blanks > SHORTEST_ERASE:
                text = f"{kept}\x1b[{blanks}X"
            pieces.append(f"\x1b[{y + 1};{left + 1}H{text}")
    return "".join(pieces)


class QuietCrash(App[None]):
    """An app whose crash says what happened and shows no value of any variable."""

    crash = ""

    def _fatal_error(self) -> None:
        self.crash = crash_sentence(sys.exc_info()[1])
        self._close_messages_no_wait()

    def _print_error_renderables(self) -> None:
        if self.crash:
            print(self.crash, file=sys.__stderr__)
        super()._print_error_renderables()


def crash_sentence(error: BaseException | None) -> str:
    """What a person is told when the screen itself fails: no values, only names and lines."""
    where = ""
    if error is not None and error.__traceback__ is not None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if f"{os.sep}tui{os.sep}" in f.filename] or frames
        last = ours[-1]
        where = f" at {os.path.basename(last.filename)}:{last.lineno} in {last.name}"
    return (
        f"harden-tui: the screen ended on an error of its own ({type(error).__name__}{where}). "
        "Nothing on the host was changed by this; work that was started goes on. "
        "See it with: harden-tui follow"
    )


def _end_process_after(seconds: float, code: int) -> None:
    def end() -> None:
        time.sleep(seconds)
        os._exit(code)

    threading.Thread(target=end, daemon=True, name="last-resort").start()


def apply() -> None:
    """Put the mends in place; called once, before the app is created."""
    module: Any = linux_driver
    module.WriterThread = Writer
    changes: Any = ChopsUpdate
    changes.render_segments = rendered_changes
