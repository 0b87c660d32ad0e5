"""One `mariadb` that stays and is asked again and again, as whoever we are: no password, no file.

MariaDB lets its own socket's peer in by its user name (unix_socket), so no credential exists.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from typing import Final

from host.base import HostError
from host.mariadb import NotRunning, rows

ANSWER_S = 30.0
"""Longer than any question may take (`max_statement_time`)."""

ARGV: Final = (
    "mariadb", "--protocol=socket", "--batch", "--skip-column-names", "--unbuffered",
    "--no-auto-rehash", "--default-character-set=utf8mb4", "--connect-timeout=5",
)  # fmt: skip

_BEGIN: Final = "SET SESSION sql_mode='', time_zone='+00:00', max_statement_time=10;\n"
_END: Final = "harden-tui: end of answer"


class Client:
    """Starts the program when it is first asked, and again after it ended."""

    def __init__(self, argv: tuple[str, ...] = ARGV) -> None:
        self.argv = argv
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, sql: str) -> list[list[str]]:
        """The rows of one statement. Raises `HostError`; the next question starts anew then."""
        process = self._process or self._start()
        assert process.stdin is not None
        try:
            process.stdin.write(f"{sql};\nSELECT '{_END}';\n".encode())
            process.stdin.flush()
            text = self._answer(process)
        except OSError:
            raise self._ended(process) from None
        return list(rows(text))

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # what was not yet written is of no use to anybody
        process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise HostError(f"{self.argv[0]} cannot be started: {error.strerror}") from None
        assert process.stdin is not None
        self._process = process
        process.stdin.write(_BEGIN.encode())
        return process

    def _answer(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        until = time.monotonic() + ANSWER_S
        end = f"{_END}\n".encode()
        line = b"\n" + end  # of its own: a cell may end in the same words
        text = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while text != end and not text.endswith(line):
                left = until - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.close()
                    raise HostError(f"MariaDB did not answer within {ANSWER_S:.0f} s")
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise self._ended(process)
                text += piece
        return text[: -len(end)].decode("utf-8", "replace")

    def _ended(self, process: subprocess.Popen[bytes]) -> HostError:
        """Why the client ended, in its own words; it repeats no data."""
        assert process.stderr is not None
        try:
            process.wait(2)
            said = process.stderr.read(4096).decode("utf-8", "replace").strip().splitlines()
        except (subprocess.TimeoutExpired, OSError):
            said = []
        self.close()
        last = said[-1][:300] if said else "the client ended without a word"
        if any(number in last for number in ("ERROR 2002", "ERROR 2013", "ERROR 2006")):
            return NotRunning(f"MariaDB does not answer ({last})")
        return HostError(f"MariaDB refused the question ({last})")
