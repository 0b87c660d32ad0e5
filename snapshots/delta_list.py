"""A list of differences as bytes: JSON Lines, quick where 50,000 of them are alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from host.names import RAW_BYTE, exact_json, read_exact_json
from snapshots import sums
from snapshots.model import Delta, DomainName, Item


def encoded(deltas: Iterable[Delta]) -> Iterator[bytes]:
    """JSON Lines, one thing a line, and a last line with the hash of the others."""
    return sums.sealed_lines(_lines(deltas))


def _lines(deltas: Iterable[Delta]) -> Iterator[bytes]:
    """Of a sealed tree's 50,000 files in a row nearly all have the same two sides."""
    encode = msgspec.json.Encoder().encode
    last: tuple[Item | None, Item | None] | None = None
    sides = b""
    for delta in deltas:
        try:
            if last is None or delta.before is not last[0] or delta.after is not last[1]:
                last = None
                sides = encode(_Sides(delta.before, delta.after)).replace(b"{", b",", 1) + b"\n"
                last = (delta.before, delta.after)
            yield b'{"domain":"%b","key":%b%b' % (delta.domain.encode(), encode(delta.key), sides)
        except UnicodeEncodeError:
            yield exact_json(delta, encode=encode) + b"\n"


class _Key(msgspec.Struct, frozen=True):
    domain: DomainName
    key: str


class _Sides(msgspec.Struct, frozen=True):
    before: Item | None
    after: Item | None


_DELTA = msgspec.json.Decoder(Delta)
_KEYS = msgspec.json.Decoder(_Key)
_PATHS = msgspec.json.Decoder(str)
_SIDES = msgspec.json.Decoder(_Sides)
_FILE = b'{"domain":"files","key":'
"""How a line about a file begins."""
_BETWEEN = b',"before":'
"""Between key and sides of a line that `encoded` wrote. Inside of a string it cannot be,
because its quotation marks would be escaped there."""


def begins_below(directory: str) -> bytes:
    """How the lines about the files below a directory begin."""
    return _FILE + msgspec.json.encode(f"{directory.rstrip('/')}/")[:-1]


def decoded(lines: Iterable[bytes], keys: Mapping[str, str]) -> Iterator[Delta]:
    """Of a sealed tree's 50,000 lines nearly all have the same two sides: one object for those.

    Raises `msgspec.DecodeError` and `ValueError`.
    """
    known: dict[bytes, _Sides] = {}
    path_of, begin = _PATHS.decode, len(_FILE)
    tail, sides = b"\0", _Sides(None, None)
    for line in lines:
        if RAW_BYTE in line:
            yield read_exact_json(line, Delta)
            continue
        if line.endswith(tail):
            head = line[: -len(tail)]
        else:
            head, between, rest = line.partition(_BETWEEN)
            if not between:
                yield _DELTA.decode(line)
                continue
            tail = between + rest
            if tail not in known:
                known[tail] = _SIDES.decode(b"{" + tail[1:])
            sides = known[tail]
        if head.startswith(_FILE):
            path = path_of(head[begin:])
            yield Delta("files", keys.get(path, path), sides.before, sides.after)
        else:
            key = _KEYS.decode(head + b"}")
            yield Delta(key.domain, key.key, sides.before, sides.after)
