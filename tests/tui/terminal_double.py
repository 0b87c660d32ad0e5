"""A real pseudo-terminal with a terminal emulator behind it, to run the screen in."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import pyte

PATIENCE_S = 15.0
"""Two cores, shared with others: what takes 0.5 s alone may take ten times as long."""


class Terminal:
    """A program in a terminal of its own. Use as a context manager."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

        self._states = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)

        def own_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        environ = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "XDG_STATE_HOME": self._states.name,
            **(env or {}),
        }
        self.process = subprocess.Popen(
            list(argv),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environ,
            cwd="/",
            start_new_session=True,
            preexec_fn=own_terminal,
        )
        os.close(slave)
        self.reading = True
        self._hung_up = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()
        self._states.cleanup()

    def _read(self) -> None:
        while not self._hung_up:
            if not self.reading:
                time.sleep(0.01)
                continue
            try:
                ready, _, _ = select.select([self.master], [], [], 0.05)
                data = os.read(self.master, 65536) if ready and self.reading else b""
            except (OSError, ValueError):
                return
            if data:
                self.raw += data
                with contextlib.suppress(Exception):  # pyte knows less than real terminals
                    self._stream.feed(data)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def hang_up(self) -> None:
        """The line drops."""
        if not self._hung_up:
            self._hung_up = True
            self._reader.join(1.0)
            os.close(self.master)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, wanted: str | Callable[[str], bool]) -> str:
        """Wait until a text, or something of the text, is on the screen. Raises AssertionError."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            text = self.text
            if wanted(text) if callable(wanted) else wanted in text:
                return text
            if self.process.poll() is not None:
                time.sleep(0.2)
                if wanted in self.text if isinstance(wanted, str) else wanted(self.text):
                    return self.text
                break
            time.sleep(0.02)
        raise AssertionError(f"not seen: {wanted!r}; the screen shows:\n{self.text}")

    def settle(self, quiet_s: float = 0.5) -> None:
        """Wait until nothing was written for a while."""
        until = time.monotonic() + PATIENCE_S
        size, since = len(self.raw), time.monotonic()
        while time.monotonic() < until:
            if len(self.raw) != size:
                size, since = len(self.raw), time.monotonic()
            if time.monotonic() - since >= quiet_s:
                return
            time.sleep(0.02)

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """The exit status. Raises `subprocess.TimeoutExpired`."""
        return self.process.wait(seconds)

    def processor_seconds(self) -> float:
        """Processor time that the program has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
