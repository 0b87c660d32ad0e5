"""The last words of a unit, or of a log file, safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from host.base import Host, HostError
from host.names import clean

LINES = 10
LINES_IN_SHORT = 3
LINE_LIMIT = 300
"""Characters of one line."""

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


def shown(lines: Iterable[str]) -> tuple[str, ...]:
    """The last of `lines`, without escape sequences and without the stacks of PHP."""
    kept = [
        line.partition("Stack trace:")[0].removesuffix("\\n")
        for line in lines
        if not _FRAME.search(line)
    ]
    short = [clean(line.strip())[:LINE_LIMIT] for line in kept]
    return tuple([line for line in short if line][-LINES:])


def in_short(name: str, lines: Sequence[str]) -> str:
    """The very last of them in one clause."""
    return f"{name} said last: {' / '.join(lines[-LINES_IN_SHORT:]).rstrip('.')}"
