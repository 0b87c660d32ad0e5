"""Plain text in arrays of PHP configuration files: where it stands, and other text in its place.

Pure, and strict on purpose. A file that is to be changed by one literal must be understood to the
byte, which PHP itself, asked what the value is, does not tell; and a file that sets a value in any
other way than by one literal (a function, another file, a second assignment) must not be changed
by us at all. Files are read as Latin-1, so that a character is a byte whatever their encoding.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

import msgspec

_BLANK = re.compile(r"\s+|//[^\n]*|#(?!\[)[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = re.compile(r"\$?[A-Za-z_\x80-\xff\\][A-Za-z0-9_\x80-\xff\\]*")
_NUMBER = re.compile(r"[0-9][0-9a-fA-FxXoO_.]*")
_SINGLE = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_HEREDOC = re.compile(r"<<<[ \t]*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1\r?\n")
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_ELSEWHERE = ("include", "include_once", "require", "require_once", "eval", "extract", "parse_str")
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]+\}|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "e": "\x1b", "f": "\f"}


class NotPlain(ValueError):
    """The file does not set the value by one plain literal; a clause for a person, no content."""


class _Token(msgspec.Struct, frozen=True):
    """`kind`: text (a literal without variables), name, number, sign, or other."""

    kind: str
    text: str
    start: int
    end: int


class Literal(msgspec.Struct, frozen=True):
    """A literal: what it says, and from where to where it stands, in bytes. `line` from 1 on."""

    value: str
    start: int
    end: int
    line: int

    def __repr__(self) -> str:
        return f"Literal(line={self.line})"


def literals(content: bytes, what: str) -> dict[tuple[str, ...], Literal]:
    """Every plain literal of the array that is assigned to `what`, or returned, by its keys.

    `what` is "$g_db_system", or "return". Values that are no plain literals are left out. Raises
    `NotPlain`.
    """
    text = content.decode("latin-1")
    tokens = list(_tokens(text))
    start = _assigned(tokens, what)
    found: dict[tuple[str, ...], Literal] = {}
    seen: set[tuple[str, ...]] = set()
    newlines = [one.start() for one in re.finditer("\n", text)]
    position = _array(newlines, tokens, start, (), found, seen)
    if position >= len(tokens) or tokens[position].text != ";":
        raise NotPlain(f"what is assigned to {what} is more than an array")
    if what == "return" and position + 1 != len(tokens):
        raise NotPlain("something follows what is returned")
    return found


def scalar(content: bytes, what: str) -> Literal:
    """The plain literal that is assigned to the variable `what`. Raises `NotPlain`."""
    text = content.decode("latin-1")
    tokens = list(_tokens(text))
    start = _assigned(tokens, what)
    if start >= len(tokens) or tokens[start].kind != "text" or _text(tokens, start + 1) != ";":
        raise NotPlain(f"{what} is not written out there")
    token = tokens[start]
    line = text.count("\n", 0, token.start) + 1
    return Literal(_utf8(token.text), token.start, token.end, line)


def replaced(content: bytes, literal: Literal, value: str) -> bytes:
    """The file with another text in that place, and nothing else changed."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return content[: literal.start] + f"'{escaped}'".encode() + content[literal.end :]


def _assigned(tokens: list[_Token], what: str) -> int:
    """Where the array begins that `what` gets; it must get it once, and nothing else."""
    for token in tokens:
        if token.kind == "name" and token.text.lower().lstrip("\\") in _ELSEWHERE:
            raise NotPlain(f"other code is run there ({token.text.lower()})")
        if token.kind == "name" and token.text == "$GLOBALS":
            raise NotPlain("$GLOBALS is used there")
    places = [n for n, one in enumerate(tokens) if one.kind == "name" and one.text == what]
    if not places:
        raise NotPlain(f"there is no {what}")
    if len(places) > 1:
        raise NotPlain(f"{what} stands there {len(places)} times")
    if _depth(tokens[: places[0]]) != 0:
        raise NotPlain(f"{what} depends on something")
    first = places[0] + 1
    if what == "return":
        return first
    if _text(tokens, first) != "=":
        raise NotPlain(f"{what} is not simply assigned")
    return first + 1


def _array(
    newlines: list[int],
    tokens: list[_Token],
    position: int,
    above: tuple[str, ...],
    found: dict[tuple[str, ...], Literal],
    seen: set[tuple[str, ...]],
) -> int:
    """Read the array that begins at `position`; returns the place after it.

    `newlines`: where the lines of the file end.
    """
    if _text(tokens, position) == "[":
        closing, position = "]", position + 1
    elif _text(tokens, position).lower() == "array" and _text(tokens, position + 1) == "(":
        closing, position = ")", position + 2
    else:
        raise NotPlain("there is no plain array")
    if len(above) > 50:
        raise NotPlain("arrays stand in arrays more than fifty deep")
    while _text(tokens, position) != closing:
        keys = above
        if _text(tokens, position + 1) == "=>":
            key = tokens[position]
            keys = (*above, key.text if key.kind in ("text", "number") else f"\0{position}")
            if keys in seen:
                raise NotPlain(f"{' / '.join(keys)} is set there twice")
            seen.add(keys)
            position += 2
        else:
            keys = (*above, f"\0{position}")
        position = _value(newlines, tokens, position, keys, found, seen)
        if _text(tokens, position) == ",":
            position += 1
        elif _text(tokens, position) != closing:
            raise NotPlain("an array does not end")
    return position + 1


def _value(
    newlines: list[int],
    tokens: list[_Token],
    position: int,
    keys: tuple[str, ...],
    found: dict[tuple[str, ...], Literal],
    seen: set[tuple[str, ...]],
) -> int:
    if position >= len(tokens):
        raise NotPlain("an array does not end")
    token = tokens[position]
    after = _text(tokens, position + 1)
    if token.kind in ("text", "number") and after in (",", "]", ")"):
        line = bisect_left(newlines, token.start) + 1
        found[keys] = Literal(_utf8(token.text), token.start, token.end, line)
        return position + 1
    if token.text == "[" or (token.text.lower() == "array" and after == "("):
        return _array(newlines, tokens, position, keys, found, seen)
    depth = 0
    while position < len(tokens):
        step = _DEPTH.get(tokens[position].text, 0) if tokens[position].kind == "sign" else 0
        if depth == 0 and (step < 0 or (tokens[position].text == "," and step == 0)):
            return position
        depth += step
        position += 1
    raise NotPlain("an array does not end")


def _depth(tokens: list[_Token]) -> int:
    return sum(_DEPTH.get(one.text, 0) for one in tokens if one.kind == "sign")


def _text(tokens: list[_Token], position: int) -> str:
    """The sign or name at a place; "" past the end and for literals."""
    if not 0 <= position < len(tokens) or tokens[position].kind not in ("sign", "name"):
        return ""
    return tokens[position].text


def _tokens(text: str) -> Iterator[_Token]:
    if not re.match(r"<\?php\s", text):
        raise NotPlain("it does not begin with <?php")
    place, end = 5, len(text)
    while place < end:
        blank = _BLANK.match(text, place)
        if blank:
            place = blank.end()
            continue
        if text.startswith("?>", place):
            if text[place + 2 :].strip():
                raise NotPlain("text follows its PHP")
            return
        token = _token(text, place)
        yield token
        place = token.end


def _token(text: str, place: int) -> _Token:
    for pattern, kind in ((_NAME, "name"), (_NUMBER, "number")):
        found = pattern.match(text, place)
        if found:
            return _Token(kind, found[0], place, found.end())
    found = _SINGLE.match(text, place)
    if found:
        return _Token("text", re.sub(r"\\([\\'])", r"\1", found[1]), place, found.end())
    found = _DOUBLE.match(text, place)
    if found:
        if re.search(r"(?<!\\)(?:\\\\)*\$[A-Za-z_{\x80-\xff]|\{\$", found[1]):
            return _Token("other", "", place, found.end())
        return _Token("text", _ESCAPE.sub(_unescaped, found[1]), place, found.end())
    if text[place] in "'\"`" or text.startswith("/*", place):
        raise NotPlain("a text or a comment does not end")
    found = _HEREDOC.match(text, place)
    if found:
        closing = re.compile(rf"\n[ \t]*{found[2]}\b").search(text, found.end() - 1)
        if not closing:
            raise NotPlain("a text does not end")
        return _Token("other", "", place, closing.end())
    if text.startswith("=>", place):
        return _Token("sign", "=>", place, place + 2)
    return _Token("sign", text[place], place, place + 1)


def _unescaped(found: re.Match[str]) -> str:
    said = found[1]
    if said.startswith("u{"):
        number = int(said[2:-1], 16)
        if number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise NotPlain("a text holds a character that does not exist")
        return chr(number).encode().decode("latin-1")
    if said[0] == "x" and len(said) > 1:
        return chr(int(said[1:], 16))
    if said[0] in "01234567":
        return chr(int(said, 8) & 0xFF)
    if said in _PLAIN:
        return _PLAIN[said]
    return said if said in '\\$"' else found[0]


def _utf8(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text
