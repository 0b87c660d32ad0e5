"""Checksums in what harden-tui remembers, so that a flipped bit is found and never believed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from snapshots import kept_files

NAME = "SHA256SUMS"
"""Beside the files of a restore point; `sha256sum -c SHA256SUMS` reads it too."""

ALTERED = "it was altered on the disk"

_AT_A_TIME = 1000
"""Lines: of a sealed tree's 50,000 each costs less that way."""

_LAST_FIELD = re.compile(rb',\n  "sha256": "([0-9a-f]{64})"\n\}\n\Z')
_LAST_LINE = re.compile(rb'\{"sha256":"([0-9a-f]{64})"\}\n')


def with_sum(text: bytes) -> bytes:
    """A JSON object, indented by two, with the hash of the rest as its last field."""
    body = text.removesuffix(b"\n}\n")
    return body + b',\n  "sha256": "' + _hex(text) + b'"\n}\n'


def without_sum(content: bytes) -> bytes:
    """What was given to `with_sum`. Raises `ValueError` where it is not that any more."""
    found = _LAST_FIELD.search(content)
    text = content[: found.start()] + b"\n}\n" if found else b""
    if found is None or _hex(text) != found[1]:
        raise ValueError(ALTERED)
    return text


def sealed_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, many at a time, and one more, which holds the hash of them all."""
    digest = hashlib.sha256()
    rest = iter(lines)
    while text := b"".join(islice(rest, _AT_A_TIME)):
        digest.update(text)
        yield text
    yield b'{"sha256":"' + digest.hexdigest().encode("ascii") + b'"}\n'


def opened_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """What was given to `sealed_lines`. Raises `ValueError` at the end where it is not that."""
    digest = hashlib.sha256()
    rest = iter(lines)
    last = b""
    while some := list(islice(rest, _AT_A_TIME)):
        some.insert(0, last)
        last = some.pop()
        digest.update(b"".join(some))
        yield from filter(None, some)
    found = _LAST_LINE.fullmatch(last)
    if found is None or found[1] != digest.hexdigest().encode("ascii"):
        raise ValueError(ALTERED)


def listing_of(paths: Iterable[Path]) -> bytes:
    """As `sha256sum` writes it."""
    return b"".join(
        _hex(kept_files.read(path)) + b"  " + path.name.encode() + b"\n" for path in paths
    )


def read_listing(path: Path) -> dict[str, str]:
    """Name -> hash. Raises `OSError` and `ValueError`."""
    found = {}
    for line in kept_files.read(path).decode("ascii").splitlines():
        sha256, separator, name = line.partition("  ")
        if not separator or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(ALTERED)
        found[name] = sha256
    return found


def file_hash(path: Path) -> str:
    """Raises `OSError`."""
    with kept_files.opened(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hex(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode("ascii")
