"""Names and texts of the host that are not UTF-8, on their way into JSON.

Python keeps a byte that is no UTF-8 as a lone surrogate (`os.fsdecode`); JSON has no place for
one, and an upload named in Latin-1 must not stop a check or an undo.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

T = TypeVar("T")

RAW_BYTE: Final = b"\\udc"
"""A byte of a name that is no UTF-8, as `exact_json` writes it."""


def visible(text: str) -> str:
    r"""`text` with each byte that is no UTF-8 spelled out: "caf\xe9"."""
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no byte of a name: half of a character that is no character
        raw = text.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace")


def is_utf8(text: str) -> bool:
    """Whether it can be given to a program as an argument: each byte of it is UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def clean(text: str) -> str:
    """`text` safe to show: tabs become spaces; control and direction characters become visible, and
    bytes that are no UTF-8 as `visible` has them.

    Output of programs and content of files may hold escape sequences; they must not reach the
    terminal.
    """
    if text.isprintable():
        return text
    shown = []
    for character in visible(text).expandtabs(4):
        category = unicodedata.category(character)
        if category == "Cc":
            shown.append("^" + chr((ord(character) + 64) % 128) if ord(character) < 128 else "?")
        elif category in ("Cf", "Cs", "Zl", "Zp", "Co", "Cn"):
            shown.append(f"<{ord(character):04X}>")
        else:
            shown.append(character)
    return "".join(shown)


def shown_json(document: Any) -> bytes:
    """`document` as JSON for whoever reads it, with such bytes spelled out."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return msgspec.json.encode(_visible(msgspec.to_builtins(document)))


def exact_json(
    document: Any, *, encode: Callable[[Any], bytes] = msgspec.json.encode, indent: int = 0
) -> bytes:
    r"""`document` as JSON that loses nothing: such a byte is written as "\udce9".

    `read_exact_json` reads it; `msgspec.json` refuses it. `encode` is asked first.
    """
    try:
        text = encode(document)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(document)
        marks = (",", ": ") if indent else (",", ":")
        return json.dumps(plain, separators=marks, sort_keys=True, indent=indent or None).encode()
    return msgspec.json.format(text, indent=indent) if indent else text


def read_exact_json(text: bytes, kind: type[T]) -> T:
    """What `exact_json` wrote. Raises `ValueError` (of which `msgspec.DecodeError` is one)."""
    if RAW_BYTE in text:
        return msgspec.convert(json.loads(text), kind)
    return msgspec.json.decode(text, type=kind)


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {_visible(key): _visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(item) for item in value]
    return value
