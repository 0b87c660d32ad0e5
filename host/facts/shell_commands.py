"""Simple commands of a shell script, in order: what /etc/profile and its parts tell a shell. Pure.

The grammar is that of bash(1), as far as scripts for logins have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

_INNER: Final = r"\$\((?:[^()]|\([^()]*+\))*+\)"
_TOKEN: Final = re.compile(
    rf"""(?P<blank>(?:[ \t]|\\\n)+)
    |(?P<comment>\#[^\n]*)
    |(?P<redirection>\d*(?:&>>?|<<<|<<-?|<>|>>|>\||[<>]&?))
    |(?P<end>\n|;;?&?|&&?|\|[|&]?|[()])
    |(?P<word>(?:
        \\.|'[^']*+'|"(?:\\.|{_INNER}|[^"\\])*+"|`[^`]*+`|{_INNER}|\(\([^()]*+\)\)|[^\s;&|()<>\\'"`]
        )++)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN: Final = re.compile(r"""(?:\\\n|\\[^\n]|'[^']*'|"[^"\\$`]*"|[^\\'"$`])*""", re.DOTALL)
_OPENS: Final = frozenset("if while until { for case select function".split())
_NAMES: Final = frozenset("for case select function".split())
"""Of these, those that no command stands behind."""

_CLOSES: Final = frozenset("fi done esac }".split())
_BETWEEN: Final = frozenset("then else elif do ! time builtin command".split())
_CHAINS: Final = frozenset("&& || | |&".split())


class Command(msgspec.Struct, frozen=True):
    """`words` with their quotes, in line `line`. `perhaps`: whether it runs, and in this shell,
    depends on a condition, a loop, a function, a pipe or a subshell."""

    words: tuple[str, ...]
    line: int
    perhaps: bool


def parse_commands(text: str) -> list[Command]:
    """`if [ a ]; then b c; fi; d 2>e` gives "[ a ]" and "b c", both perhaps, and "d"."""
    return list(_commands(f"{text}\n"))


def literal(word: str) -> str | None:
    """`"9"'00'` as 900; `None` where the shell puts something else in its place."""
    if not _PLAIN.fullmatch(word):
        return None
    return re.sub(r"""\\\n|\\(.)|'([^']*)'|"([^"]*)\"""", r"\1\2\3", word, flags=re.DOTALL)


def _commands(text: str) -> Iterator[Command]:
    words: list[str] = []
    documents: list[str] = []
    depth = brackets = at = 0
    line = started = 1
    before = redirected = ""
    while at < len(text):
        token = _TOKEN.match(text, at)
        assert token is not None  # "other" takes any sign
        piece, at = token[0], token.end()
        if token.lastgroup in ("word", "other"):
            if redirected.startswith("<<") and redirected != "<<<":
                documents.append(literal(piece) or piece)
            elif not redirected:
                started = started if words else line
                words.append(piece)
            redirected = ""
        elif token.lastgroup == "redirection":
            redirected = piece.lstrip("0123456789")
        elif token.lastgroup == "end":
            words, depth = _behind_keywords(words, depth)
            apart = piece in ("|", "|&", "&")
            if words:
                perhaps = bool(depth or brackets or apart or before in _CHAINS)
                yield Command(tuple(words), started, perhaps)
            before = piece if words or piece in _CHAINS else before if before in _CHAINS else piece
            words, redirected = [], ""
            brackets = max(0, brackets + {"(": 1, ")": -1}.get(piece, 0))
        line += piece.count("\n")
        while piece == "\n" and documents:
            end = re.compile(rf"^\t*{re.escape(documents.pop(0))}$\n?|\Z", re.MULTILINE)
            found = end.search(text, at)
            stop = found.end() if found else len(text)
            line += text.count("\n", at, stop)
            at = stop


def _behind_keywords(words: list[str], depth: int) -> tuple[list[str], int]:
    """`then b c` as "b c"; `depth` counts what was opened and not closed."""
    while words:
        first = words[0]
        if first not in _OPENS | _CLOSES | _BETWEEN:
            break
        depth = max(0, depth + (first in _OPENS) - (first in _CLOSES))
        words = [] if first in _NAMES else words[1:]
    return words, depth
