"""Lines of text with roles instead of colours: what every view is made of.

A line is a tuple of spans `(text, role)`; `tui.theme` says how a role looks. So a view can be
tested by its plain text, and without colour nothing is lost: a role never carries meaning alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from host.names import clean as clean

Role = Literal[
    "", "dim", "bold", "ok", "bad", "warn", "info", "key", "add", "del", "hunk", "banner", "mark"
]
Span = tuple[str, Role]
Line = tuple[Span, ...]

BLANK: Line = ()


UNSEEN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
"""Control characters but for tab and newline, and those that turn the direction of text or cannot
be seen."""


class Row(NamedTuple):
    """A line of a list. `key` names what it stands for; an empty key cannot be chosen."""

    key: str
    line: Line


def safe_json(document: str) -> str:
    """JSON that means the same, with what a terminal would obey or hide written as \\uXXXX.

    JSON itself only asks for that below U+0020; a terminal also obeys U+009B.
    """
    return UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", document)


@lru_cache(4096)
def cells(text: str) -> int:
    """How many columns `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    width = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def cut(text: str, width: int, *, more: str = "…") -> str:
    """At most `width` columns of `text`; what was cut off is marked with `more`."""
    if width <= 0:
        return ""
    if cells(text) <= width:
        return text
    room = width - cells(more)
    taken = ""
    for character in text:
        if cells(taken + character) > room:
            break
        taken += character
    return taken + more


def fit(text: str, width: int, *, more: str = "…") -> str:
    """`text` cut or filled with spaces to exactly `width` columns."""
    short = cut(text, width, more=more)
    return short + " " * (width - cells(short))


def wrap(text: str, width: int, *, hanging: int = 0) -> list[str]:
    """`text` in lines of at most `width` columns, broken at spaces, long words broken anywhere.

    Lines after the first are indented by `hanging`; leading spaces of the text are kept.
    """
    width = max(width, hanging + 4)
    text = clean(text)
    lead = text[: len(text) - len(text.lstrip(" "))]
    lines: list[str] = []
    line = lead
    empty = True
    for word in text.split():
        glue = "" if empty else " "
        if cells(line + glue + word) <= width:
            line += glue + word
            empty = False
            continue
        if not empty:
            lines.append(line)
            line = " " * hanging
        while cells(line + word) > width:
            room = width - cells(line)
            head = cut(word, room, more="")
            lines.append(line + head)
            word = word[len(head) :]
            line = " " * hanging
        line += word
        empty = False
    lines.append(line)
    return lines


def fold(text: str, width: int) -> list[str]:
    """`text` in pieces of `width` columns, nothing dropped: for diffs and commands."""
    text = clean(text)
    if width < 4 or cells(text) <= width:
        return [text]
    pieces = []
    while cells(text) > width:
        head = cut(text, width, more="")
        pieces.append(head)
        text = text[len(head) :]
    pieces.append(text)
    return pieces


def paragraph(text: str, width: int, role: Role = "", *, indent: int = 0) -> list[Line]:
    """`text` wrapped as lines of one role, all of them indented."""
    pad = " " * indent
    return [((pad + piece, role),) for piece in wrap(text, width - indent)]


def labelled(label: str, text: str, width: int, *, role: Role = "", column: int = 0) -> list[Line]:
    """`label  text` with the text wrapped beside the label."""
    column = max(column, cells(label) + 2)
    pieces = wrap(text, width - column) if text else [""]
    first: Line = ((fit(label, column), "dim"), (pieces[0], role))
    return [first, *(((" " * column, ""), (piece, role)) for piece in pieces[1:])]


def plain(line: Iterable[Span]) -> str:
    """The text of a line without trailing spaces."""
    return "".join(text for text, _ in line).rstrip()


def plain_text(lines: Sequence[Line]) -> str:
    """The text of lines, one a line: what tests compare."""
    return "\n".join(plain(line) for line in lines)


def counted(number: int, thing: str) -> str:
    """ "1 session", "2 sessions"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def length(line: Iterable[Span]) -> int:
    """How many columns a line takes."""
    return sum(cells(text) for text, _ in line)


def aligned(left: Line, right: Line, width: int) -> Line:
    """`left` and, at the right edge, `right`; where there is no room the left is cut."""
    room = width - length(right) - (1 if right else 0)
    kept: list[Span] = []
    used = 0
    for text, role in left:
        piece = cut(text, room - used)
        kept.append((piece, role))
        used += cells(piece)
        if piece != text:
            break
    return (*kept, (" " * max(0, width - used - length(right)), ""), *right)
