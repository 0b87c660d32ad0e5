"""i-doit's own log of refused logins, log/failed-logins_YYYY-MM-DD.log, followed over its days.

The date is in the name, and fail2ban looks for names only when it starts: hence this.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any, Final

import msgspec

from host.base import HostError
from host.failed_logins.words import Failure, plain

NAME: Final = re.compile(r"failed-logins_.*\.log")
CHUNK_BYTES = 1 << 20
"""Read at a time: about 5,000 lines."""

_CONTEXT: Final = '{"username":'


class Position(msgspec.Struct, frozen=True):
    """How far a file was read. Another inode is another file."""

    inode: int
    offset: int


Places = dict[str, Position]
"""Name of a file -> how far it was read."""


class Look(msgspec.Struct, frozen=True):
    """What one look found. `behind`: there is more to be read at once."""

    places: Places
    failures: tuple[Failure, ...] = ()
    behind: bool = False


def begin(directory: str) -> Places:
    """The ends of the files there are. Raises `HostError`."""
    places = {}
    for name in _names(directory):
        status = os.lstat(f"{directory}/{name}")
        places[name] = Position(status.st_ino, status.st_size)
    return places


def look(directory: str, places: Places) -> Look:
    """What was added, at most `CHUNK_BYTES` of each file. Raises `HostError`."""
    after: Places = {}
    failures: list[Failure] = []
    behind = False
    for name in _names(directory):
        position, found, more = _read(directory, name, places.get(name, Position(0, 0)))
        if position is not None:
            after[name] = position
        failures += found
        behind = behind or more
    return Look(after, tuple(failures), behind)


def _names(directory: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(directory) if NAME.fullmatch(name))
    except OSError as error:
        raise HostError(f"{directory} cannot be read: {error.strerror}") from None


def _read(
    directory: str, name: str, place: Position
) -> tuple[Position | None, list[Failure], bool]:
    """New position, failures, whether there is more."""
    path = f"{directory}/{name}"
    try:
        # The web server may write here, so a link could lead anywhere, and a pipe would never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, [], False
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None, [], False
        if status.st_ino != place.inode or status.st_size < place.offset:
            place = Position(status.st_ino, 0)
        text = os.pread(descriptor, CHUNK_BYTES, place.offset)
    finally:
        os.close(descriptor)
    # The last line may be half written; one that is longer than a chunk is no line of ours.
    whole = text.rfind(b"\n") + 1 or (len(text) if len(text) == CHUNK_BYTES else 0)
    # No other sign ends a line: a stranger may type U+2028, and i-doit writes it as it is.
    lines = [line.decode("utf-8", "replace") for line in text[:whole].split(b"\n")]
    found = [one for line in lines if (one := failure_of(directory, line)) is not None]
    offset = place.offset + whole
    return Position(place.inode, offset), found, whole > 0 and offset < status.st_size


def failure_of(directory: str, line: str) -> Failure | None:
    """`[…] login.WARNING: Login failed for user X {"username":"X","ip-address":"192.0.2.7",…} []`.

    X is written as it was typed, so what counts is the last object: quotes within it are escaped.
    """
    start = line.rfind(_CONTEXT)
    if start < 0:
        return None
    try:
        context: Any = msgspec.json.decode(line[start : line.rfind("}") + 1].encode())
    except (msgspec.DecodeError, RecursionError):
        return None
    address = plain(str(context.get("ip-address", "")))
    if address is None:
        return None
    return Failure("i-doit", directory, address, str(context.get("username", "")))
