"""The last words of a unit, or of a log file, safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from host.base import Host, HostError
from host.names import clean

LINES = 10
LINES_IN_SHORT = 3
LINE_LIMIT = 300
"""Characters of one line."""

OWN_LOGS = {"apache2.service": "/var/log/apache2/error.log"}
"""Where a unit that writes no journal says why it died."""

_LOG_BYTES = 64 * 1024
_CLIENT = re.compile(r"\[client [^]]*\] ")
_GRAVE = ("[php:warn]", ":error]", ":crit]", ":alert]", ":emerg]")

_FRAME = re.compile(r"(^|[\s\"])#\d+ ")
"""A line of a stack of PHP, which prints the arguments of functions: a database's password, say."""


def last_lines(host: Host, unit: str, since_s: float) -> tuple[str, ...]:
    """What `unit` last wrote to the journal at or after `since_s` (seconds since 1970), oldest
    first; empty where there is nothing, or nobody to ask."""
    try:
        answer = host.run(
            ("journalctl", "-u", unit, "-n", str(LINES), "-o", "cat", "--no-pager", "-q",
             f"--since=@{int(since_s)}"),
            ok=None,
        )  # fmt: skip
    except HostError:
        return ()
    return shown(answer.stdout.splitlines()) if answer.ok else ()


def size_of(host: Host, path: str) -> int:
    """Bytes of a log now; 0 where there is none."""
    state = host.state(path)
    return state.size_bytes if state is not None else 0


def grave_since(host: Host, path: str, size_bytes: int) -> tuple[str, ...]:
    """The last grave lines of Apache's log that was `size_bytes` long; others hold what visitors
    asked."""
    grown = size_of(host, path) - size_bytes
    if grown <= 0:
        return ()
    try:
        answer = host.run(("tail", "-c", str(min(grown, _LOG_BYTES)), path), ok=None)
    except HostError:
        return ()
    lines = [line for line in answer.stdout.splitlines() if any(map(line.__contains__, _GRAVE))]
    return shown(_CLIENT.sub("", line.partition(", referer: ")[0]) for line in lines)


def shown(lines: Iterable[str]) -> tuple[str, ...]:
    """The last of `lines`, each once in a row, without escape sequences and stacks of PHP."""
    kept = [
        line.partition("Stack trace:")[0].removesuffix("\\n")
        for line in lines
        if not _FRAME.search(line)
    ]
    short = [clean(line.strip())[:LINE_LIMIT] for line in kept]
    return tuple([line for line, _ in groupby(short) if line][-LINES:])


def in_short(name: str, lines: Sequence[str]) -> str:
    """The very last of them in one clause."""
    return f"{name} said last: {' / '.join(lines[-LINES_IN_SHORT:]).rstrip('.')}"
