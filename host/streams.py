"""A program's standard streams: what it is given, and what it says."""

from __future__ import annotations

import os
from collections import deque
from typing import Final

from host.base import OnLine

OUTPUT_LIMIT_BYTES: Final = 32 * 1024 * 1024
"""Kept of each stream: the largest real answer, a full dpkg-query, is under 1 MiB."""

_LINE_LIMIT_BYTES: Final = 64 * 1024


def stdin_fd(content: bytes) -> int:
    """A descriptor to read `content` from, at its end at once where there is none.

    In memory only: a secret handed over this way is in no file, argument or environment.
    """
    if not content:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        os.fchmod(fd, 0o600)  # MariaDB's client passes over options that all may write
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


class Stream:
    """One output of the program: its last `OUTPUT_LIMIT_BYTES`, and its lines as they come."""

    def __init__(self, fd: int, on_line: OnLine | None) -> None:
        self.fd = fd
        self._on_line = on_line
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._cut = False
        self._rest = b""

    def read(self) -> bool:
        """Take what is there; False at the end of the stream."""
        chunk = os.read(self.fd, 64 * 1024)
        if not chunk:
            return False
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size > OUTPUT_LIMIT_BYTES:
            self._size -= len(self._chunks.popleft())
            self._cut = True
        if self._on_line is not None:
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._say(line)
            if len(self._rest) > _LINE_LIMIT_BYTES:
                line, self._rest = self._rest, b""
                self._say(line)
        return True

    def finish(self) -> None:
        """Hand on a last line that had no newline."""
        if self._rest:
            line, self._rest = self._rest, b""
            self._say(line)

    def text(self) -> str:
        whole = b"".join(self._chunks).decode(errors="replace")
        return f"[earlier output left out]\n{whole}" if self._cut else whole

    def _say(self, line: bytes) -> None:
        """As a terminal would show it at last: apt writes its percents over each other."""
        if self._on_line is not None:
            shown = line.rstrip(b"\r").rpartition(b"\r")[2]
            self._on_line(shown.decode(errors="replace"))
