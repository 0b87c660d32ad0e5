"""A program in a pseudo-terminal: what it wrote, and when. The emulator comes afterwards.

Emulating while the program runs would take processor time away from it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import pyte

COLUMNS, ROWS = 80, 24
LIMIT_S = 30.0


class Recording:
    """Use as a context manager; `chunks` are (seconds since the start, bytes)."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.chunks: list[tuple[float, bytes]] = []
        self._argv = list(argv)
        self._master = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def __enter__(self) -> Recording:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {
            "PATH": os.environ["PATH"], "HOME": "/root", "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
        }  # fmt: skip
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            self._argv, stdin=slave, stdout=slave, stderr=slave, env=environment,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        inside = self._inside()
        os.close(self._master)  # the line drops; our program ends by itself
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # Textual alone reads the end of a dropped line again and again, for ever: whatever is
        # measured next would share a processor with it.
        if inside:
            with contextlib.suppress(ProcessLookupError):
                os.kill(inside, signal.SIGKILL)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def listen(self, seconds: float) -> int:
        """Read for a while; how many bytes came."""
        return self._read(lambda quiet, so_far: so_far >= seconds)

    def settle(self, quiet_s: float = 1.0) -> int:
        """Read until nothing came for `quiet_s`; how many bytes came."""
        return self._read(lambda quiet, so_far: quiet >= quiet_s or so_far >= LIMIT_S)

    def _read(self, enough: Callable[[float, float], bool]) -> int:
        begin = last = time.perf_counter()
        size = 0
        while not enough(time.perf_counter() - last, time.perf_counter() - begin):
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            try:
                data = os.read(self._master, 65536)
            except OSError:
                raise AssertionError(f"the program ended:\n{self.text()}") from None
            last = time.perf_counter()
            self.chunks.append((last - self._began, data))
            size += len(data)
        return size

    def peak_kib(self) -> int:
        """The largest resident set so far of the program below `nsenter`."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self._inside()}/status").read_text())
        return int(found[1]) if found else 0

    def _inside(self) -> int:
        """The process below `nsenter`; 0 where it ended."""
        assert self._process is not None
        pid = self._process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            children = []
        return int(children[0]) if children else 0

    def when(self, seen: Callable[[str], bool]) -> float:
        """Seconds until the screen showed it. Raises `AssertionError` where it never did."""
        screen, stream = _emulator()
        for moment, data in self.chunks:
            _feed(stream, data)
            if seen(_text(screen)):
                return moment
        raise AssertionError(f"never seen; the screen shows:\n{_text(screen)}")

    def text(self) -> str:
        """What the screen shows now."""
        screen, stream = _emulator()
        for _, data in self.chunks:
            _feed(stream, data)
        return _text(screen)


def _emulator() -> tuple[pyte.Screen, pyte.ByteStream]:
    screen = pyte.Screen(COLUMNS, ROWS)
    return screen, pyte.ByteStream(screen)


def _feed(stream: pyte.ByteStream, data: bytes) -> None:
    with contextlib.suppress(TypeError):  # pyte knows fewer sequences than real terminals
        stream.feed(data)


def _text(screen: pyte.Screen) -> str:
    return "\n".join(line.rstrip() for line in screen.display).strip()
