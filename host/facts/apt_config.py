"""apt's configuration: what `apt-config dump` says is in force, and the lines that decide.

apt-config names no file, so the files are read too, as apt reads them (apt.conf(5)): apt.conf.d in
the order of names, then apt.conf. A single value is the last one said; a list grows with each file
until `#clear` empties it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

MAIN: Final = "/etc/apt/apt.conf"
PARTS: Final = "/etc/apt/apt.conf.d"

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_DUMPED: Final = re.compile(r'^(\S+) "(.*)";$')
_TOKEN: Final = re.compile(
    r"(?P<directive>#(?:clear|include)\b)"
    r"|(?P<comment>//[^\n]*|#[^\n]*|/\*.*?\*/)"
    r'|"(?P<quoted>[^"]*)"'
    r"|(?P<mark>[{};])"
    r"|(?P<word>[^\s{};\"]+)",
    re.DOTALL,
)


class AptLine(msgspec.Struct, frozen=True):
    """One thing a file says. `start` and `end` enclose the value in the file's text, quotes
    included (0, 0 where there is none)."""

    key: str
    value: str
    how: Literal["set", "append", "clear"]
    file: str
    line: int
    start: int = 0
    end: int = 0

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class AptConfig(msgspec.Struct, frozen=True):
    """What is in force, by keys in lower case (apt does not tell them apart), and the files.

    values: {"apt::periodic::unattended-upgrade": "1", …};
    lists: {"unattended-upgrade::origins-pattern": ("origin=Debian,…", …), …}
    """

    values: dict[str, str]
    lists: dict[str, tuple[str, ...]]
    lines: tuple[AptLine, ...] = ()
    texts: dict[str, str] = {}

    def value(self, key: str) -> str:
        """The value in force; empty where nothing sets it."""
        return self.values.get(key.lower(), "")

    def items(self, key: str) -> tuple[str, ...]:
        return self.lists.get(key.lower(), ())

    def origin(self, key: str) -> str:
        """The line that decides, "file:line"; empty where no file sets the key."""
        line = deciding(self.lines, key)
        return line.origin if line is not None else ""

    def list_origin(self, key: str) -> str:
        """The lines that made a list what it is, "file:line, file:line"."""
        return ", ".join(dict.fromkeys(line.origin for line in list_lines(self.lines, key)))


def parse_dump(text: str) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """`apt-config dump` -> values and lists by key in lower case.

    'APT::Periodic::Enable "1";' is a value, 'Acquire::Languages:: "en";' an item of a list.
    """
    values: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    for row in text.splitlines():
        found = _DUMPED.match(row)
        if not found:
            continue
        key, value = found[1].lower(), found[2]
        if key.endswith("::"):
            lists.setdefault(key[:-2], []).append(value)
        else:
            values[key] = value
    return values, {key: tuple(items) for key, items in lists.items()}


class _Word(NamedTuple):
    text: str
    is_quoted: bool
    line: int
    start: int
    end: int


def parse_file(file: str, text: str) -> tuple[AptLine, ...]:
    """What a file of apt.conf(5) says, in its order. What makes no sense is left out."""
    return tuple(_statements(file, text))


def _statements(file: str, text: str) -> Iterator[AptLine]:
    scopes: list[str] = []
    words: list[_Word] = []
    is_clear = False
    line, counted = 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        if token["comment"] is not None:
            continue
        if token["directive"] is not None:
            is_clear, words = token["directive"] == "#clear", []
        elif token["mark"] == "{":
            scopes.append(words[0].text if words and not words[0].is_quoted else "")
            words = []
        elif token["mark"] is not None:
            if words:
                yield _line(file, "::".join(filter(None, scopes)), words, is_clear)
            words, is_clear = [], False
            if token["mark"] == "}" and scopes:
                scopes.pop()
        else:
            is_quoted = token["quoted"] is not None
            shown = token["quoted"] if is_quoted else token["word"]
            words.append(_Word(shown, is_quoted, line, token.start(), token.end()))


def _line(file: str, scope: str, words: list[_Word], is_clear: bool) -> AptLine:
    first = words[0]
    if is_clear:
        return AptLine(first.text.removesuffix("::"), "", "clear", file, first.line)
    if first.is_quoted:
        return AptLine(scope, first.text, "append", file, first.line, first.start, first.end)
    tag = first.text
    is_item = tag.endswith("::")
    key = "::".join(filter(None, (scope, tag.removesuffix("::"))))
    value = words[1] if len(words) > 1 else _Word("", False, first.line, 0, 0)
    how: Literal["set", "append"] = "append" if is_item else "set"
    return AptLine(key, value.text, how, file, value.line, value.start, value.end)


def deciding(lines: Iterable[AptLine], key: str) -> AptLine | None:
    """The line that gives a single value; `None` where nothing does, or it was cleared since."""
    wanted = key.lower()
    last: AptLine | None = None
    for line in lines:
        said = line.key.lower()
        if line.how == "set" and said == wanted:
            last = line
        elif line.how == "clear" and _covers(said, wanted):
            last = None
    return last


def list_lines(lines: Iterable[AptLine], key: str) -> tuple[AptLine, ...]:
    """The lines that make up a list: those since it was last cleared."""
    wanted = key.lower()
    found: list[AptLine] = []
    for line in lines:
        said = line.key.lower()
        if line.how == "append" and said == wanted:
            found.append(line)
        elif line.how == "clear" and _covers(said, wanted):
            found = []
    return tuple(found)


def _covers(cleared: str, key: str) -> bool:
    """`#clear` takes whatever lies below the key too."""
    return key == cleared or key.startswith(f"{cleared}::")


def is_read(name: str) -> bool:
    """Whether apt reads a file of that name in apt.conf.d: no other ending than .conf."""
    return bool(_NAME.fullmatch(name)) and ("." not in name or name.endswith(".conf"))


def read_files(host: Host, edits: dict[str, str] | None = None) -> dict[str, str]:
    """Path -> text of every file apt reads, in its order; with `edits` as if they were made."""
    wanted = dict(edits or {})
    names = set(host.listdir(PARTS)) | {
        path.rpartition("/")[2] for path in wanted if path.startswith(f"{PARTS}/")
    }
    paths = [f"{PARTS}/{name}" for name in sorted(names) if is_read(name)]
    texts = {}
    for path in (*paths, MAIN):
        if path in wanted:
            texts[path] = wanted[path]
            continue
        try:
            texts[path] = host.read_bytes(path).decode("utf-8", "surrogateescape")
        except HostError:
            continue  # gone, or a directory: apt passes over it too
    return texts


def parse_files(texts: dict[str, str]) -> tuple[AptLine, ...]:
    return tuple(line for path, text in texts.items() for line in parse_file(path, text))


def _read(host: Host, facts: Facts) -> AptConfig:
    values, lists = parse_dump(host.run(("apt-config", "dump")).stdout)
    texts = read_files(host)
    return AptConfig(values, lists, parse_files(texts), texts)


APT_CONFIG: Final[Fact[AptConfig]] = Fact("apt-config", _read)
