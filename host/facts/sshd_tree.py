"""sshd's configuration files as a tree of lines, read the way sshd reads them.

`sshd -T` says what holds; this says where it is written, which `Match` blocks override it, and
where a line would have to stand to decide. Pure: files come in through two callables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

MAIN = "/etc/ssh/sshd_config"
INCLUDE_BASE = "/etc/ssh"
DEEPEST_INCLUDE = 16
"""SERVCONF_MAX_DEPTH of OpenSSH's servconf.c."""

ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "skeyauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedacceptedkeytypes": "hostbasedacceptedalgorithms",
    "keepalive": "tcpkeepalive",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
}
"""Old names of options, all lower case, as in the keyword table of servconf.c."""

_LINE = re.compile(r"(\s*)([A-Za-z0-9]+)(?:\s*=\s*|\s+|\"|$)(.*)")


class Directive(msgspec.Struct, frozen=True):
    """One line that says something.

    `option` is lower case and the present name; `value` is as written, without a trailing
    comment. `match` holds the criteria it is under ("User bob"), empty where it is for everyone.
    `includes` are the files that an Include line brought in, in sshd's order.
    """

    file: str
    line: int
    option: str
    value: str
    match: str = ""
    includes: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Tree(msgspec.Struct, frozen=True):
    """The configuration in the order in which sshd reads it, and the text of each file."""

    main: str
    directives: tuple[Directive, ...]
    texts: dict[str, str]
    missing: tuple[str, ...] = ()
    """Files that an Include names but that cannot be read."""

    def deciding(self, option: str) -> Directive | None:
        """The line that decides for everyone: the first outside every `Match` block."""
        return next((d for d in self.of(option) if not d.match), None)

    def overrides(self, option: str) -> tuple[Directive, ...]:
        """The lines in `Match` blocks that set `option`."""
        return tuple(d for d in self.of(option) if d.match)

    def of(self, option: str) -> Iterator[Directive]:
        wanted = option.lower()
        return (d for d in self.directives if d.option == wanted)


def parse_tree(main: str, read: Callable[[str], str], glob: Callable[[str], Sequence[str]]) -> Tree:
    """Read `main` and what it includes. `read` raises `OSError` for a file it cannot read."""
    directives: list[Directive] = []
    texts: dict[str, str] = {}
    missing: list[str] = []

    def descend(path: str, outer: str, depth: int) -> None:
        try:
            text = read(path)
        except OSError:
            missing.append(path)
            return
        texts[path] = text
        # A Match inside an included file ends with that file; the includer's goes on.
        match = outer
        for number, line in enumerate(text.splitlines(), 1):
            found = split_line(line)
            if found is None:
                continue
            option, value = found
            if option == "match":
                match = f"{outer} and {value}" if outer else value
                directives.append(Directive(path, number, option, value, match))
            elif option == "include":
                paths = _included(value, glob)
                directives.append(Directive(path, number, option, value, match, paths))
                if depth < DEEPEST_INCLUDE:
                    for included in paths:
                        descend(included, match, depth + 1)
            else:
                directives.append(Directive(path, number, option, value, match))

    descend(main, "", 0)
    return Tree(main, tuple(directives), texts, tuple(missing))


def split_line(line: str) -> tuple[str, str] | None:
    """("permitrootlogin", "no") of a line; `None` for a comment or an empty one."""
    if line.lstrip().startswith("#"):
        return None
    found = _LINE.fullmatch(line.rstrip())
    if not found:
        return None
    keyword = found.group(2).lower()
    return ALIASES.get(keyword, keyword), _without_comment(found.group(3)).strip()


def words_of(value: str) -> list[str]:
    """The arguments of a line, quotes removed."""
    found = re.findall(r'"([^"]*)"|(\S+)', value)
    return [quoted or plain for quoted, plain in found]


def replaced_line(text: str, number: int, value: str) -> str:
    """`text` with the value of line `number` (from 1) replaced; indent and keyword stay."""
    lines = text.splitlines(keepends=True)
    old = lines[number - 1]
    found = _LINE.fullmatch(old.rstrip())
    if not found:
        raise ValueError(f"line {number} sets nothing")
    ending = old[len(old.rstrip("\r\n")) :]
    lines[number - 1] = f"{found.group(1)}{found.group(2)} {value}{ending}"
    return "".join(lines)


def commented_line(text: str, number: int) -> str:
    """`text` with line `number` (from 1) made a comment."""
    lines = text.splitlines(keepends=True)
    lines[number - 1] = f"#{lines[number - 1]}"
    return "".join(lines)


def inserted_line(text: str, keyword: str, value: str) -> str:
    """`text` with `keyword value` added where it is for everyone.

    After the commented template of the same keyword where there is one, else before the first
    `Match` block, else at the end: an appended line would fall into a trailing `Match`.
    """
    lines = text.splitlines(keepends=True)
    first_match = len(lines)
    template = -1
    for index, line in enumerate(lines):
        found = split_line(line)
        if found and found[0] == "match":
            first_match = index
            break
        if re.match(rf"\s*#\s*{re.escape(keyword)}\b", line, re.IGNORECASE):
            template = index
    place = template + 1 if template >= 0 else first_match
    if place == len(lines) and lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines.insert(place, f"{keyword} {value}\n")
    return "".join(lines)


def _included(value: str, glob: Callable[[str], Sequence[str]]) -> tuple[str, ...]:
    paths: list[str] = []
    for pattern in words_of(value):
        absolute = pattern if pattern.startswith("/") else f"{INCLUDE_BASE}/{pattern}"
        paths += sorted(glob(absolute))
    return tuple(paths)


def _without_comment(value: str) -> str:
    quoted = False
    for index, character in enumerate(value):
        if character == '"':
            quoted = not quoted
        elif character == "#" and not quoted and (index == 0 or value[index - 1].isspace()):
            return value[:index]
    return value
