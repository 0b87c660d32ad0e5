"""PHP source as data: where a variable is given, without running anything. Pure.

It is enough for configuration files that applications write themselves. What is computed (a call,
a concatenation) is not understood, and said not to be.
"""

from __future__ import annotations

import re
from collections import deque

import msgspec

STRING = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""

STRINGS = rf"(?s:{STRING}|['\"].*\Z)"
"""A string, or one that does not end: else each quote in it would be tried anew, to the end."""

_TOKENS = re.compile(rf"{STRINGS}|/\*.*?(?:\*/|\Z)|(?://|#(?!\[))[^\n]*", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "e": "\x1b", "f": "\f"}


class Literal(msgspec.Struct, frozen=True):
    """A string in the source: its value, and where it stands with its quotes (`text[start:end]`).

    `value` is `None` where PHP would put variables into it.
    """

    value: str | None
    start: int
    end: int


def without_comments(text: str) -> str:
    """The same source with spaces for comments, so that every place keeps its number."""

    def blank(found: re.Match[str]) -> str:
        token = found.group()
        return token if token[0] in "'\"" else re.sub(r"[^\n]", " ", token)

    return _TOKENS.sub(blank, text)


def line_of(text: str, place: int) -> int:
    """The line of a place, from 1."""
    return text.count("\n", 0, place) + 1


def unquoted(token: str) -> str | None:
    """The value of a quoted string; `None` where variables would be put into it."""
    inner = token[1:-1]
    if token[0] == "'":
        return re.sub(r"\\([\\'])", r"\1", inner)
    if re.search(r"(?<!\\)(?:\\\\)*(?:\$[A-Za-z_{]|\{\$)", inner):
        return None
    return re.sub(r"\\(.)", lambda m: _escape(m.group(1)), inner, flags=re.DOTALL)


def quoted(value: str) -> str:
    """A PHP string of this value, in single quotes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _escape(letter: str) -> str:
    return _ESCAPES.get(letter, letter if letter in '"\\$' else f"\\{letter}")


def assigned_pairs(text: str, variable: str) -> dict[str, Literal] | None:
    """The strings of `$variable = ['name' => 'value', …];`, by name; the last assignment counts.

    `None` where there is no such assignment, or one that is not written out in strings.
    """
    source = without_comments(text)
    name = re.escape(variable)
    pair = rf"{STRING}\s*+=>\s*+{STRING}"
    whole = re.compile(
        rf"\$(?:GLOBALS\[['\"])?{name}(?:['\"]\])?\s*+=\s*+(?:\[|array\s*+\()\s*+"
        rf"((?:{pair}\s*+,\s*+)*+(?:{pair})?)\s*+[\])]\s*+;"
    )
    last = next(iter(deque(whole.finditer(source), maxlen=1)), None)
    every = list(re.finditer(rf"\$(?:GLOBALS\[['\"])?{name}(?:['\"]\])?\s*=(?!=)", source))
    if last is None or not every or every[-1].start() != last.start():
        return None
    found: dict[str, Literal] = {}
    for one in re.finditer(rf"({STRING})\s*=>\s*({STRING})", last.group(1)):
        key = unquoted(one.group(1))
        if key is None:
            return None
        start = last.start(1) + one.start(2)
        found[key] = Literal(unquoted(one.group(2)), start, start + len(one.group(2)))
    return found
