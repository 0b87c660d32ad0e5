"""Apache's own account of its configuration, as data: pure parsers, nothing is asked here.

`apache2ctl -t -D DUMP_CONFIG` (an answer of mod_info, which need not be enabled for it) prints
every directive in the order in which it takes effect, with file and line, `<IfModule>` and
`<IfDefine>` resolved. It is the configuration on disk, without .htaccess files.
"""

from __future__ import annotations

import re

import msgspec

_FILE = re.compile(r"^\s*# In file: (.*)$")
_LINE = re.compile(r"^\s*#\s+(\d+):$")
_MACRO = re.compile(r'^macro \'.*?\' \(defined on line (\d+) of "([^"]+)"\)')
_INCLUDE = re.compile(r"^(\s+)\((\*|\d+)\) (/.*)$")
_MODULE = re.compile(r"^ (\S+) \((static|shared)\)$")


class Section(msgspec.Struct, frozen=True):
    """`<Name args>`, where it begins."""

    name: str
    args: str
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Directive(msgspec.Struct, frozen=True):
    """One directive; `within` are the sections around it, outermost first.

    `line` is the last line of a directive continued with backslashes.
    """

    name: str
    args: str
    file: str
    line: int
    within: tuple[Section, ...] = ()

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def virtual_host(self) -> Section | None:
        return next((s for s in self.within if s.name.lower() == "virtualhost"), None)

    @property
    def words(self) -> list[str]:
        return split_args(self.args)


class Config(msgspec.Struct, frozen=True):
    """Directives and sections in the order in which they take effect."""

    directives: tuple[Directive, ...]
    sections: tuple[tuple[Section, tuple[Section, ...]], ...] = ()
    """Each section with those around it."""

    def named(self, *names: str) -> list[Directive]:
        """The directives of these names (case does not matter), anywhere."""
        wanted = {name.lower() for name in names}
        return [d for d in self.directives if d.name.lower() in wanted]

    def for_server(self, name: str) -> Directive | None:
        """The directive that decides for the whole server: the last outside every section."""
        found = [d for d in self.named(name) if not d.within]
        return found[-1] if found else None


class VirtualHost(msgspec.Struct, frozen=True):
    """A virtual host. `addresses` are host and port as written ("*", 80); port 0 is any.

    `name` is the ServerName without scheme and port, "" where it has none; `aliases` are further
    names and patterns of names ("*.example.org").
    """

    section: Section
    name: str
    addresses: tuple[tuple[str, int], ...]
    document_root: str
    tls: bool
    aliases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.name or self.section.args


class Include(msgspec.Struct, frozen=True):
    """A file that was read; `path` is the line numbers of the Include lines that led to it."""

    file: str
    path: tuple[int, ...]


def parse_config(text: str) -> Config:
    """Standard output of `apache2ctl -t -D DUMP_CONFIG` with mod_info loaded."""
    directives: list[Directive] = []
    sections: list[tuple[Section, tuple[Section, ...]]] = []
    around: list[Section] = []
    file, offset, line = "", 0, 0
    for raw in text.splitlines():
        if found := _FILE.match(raw):
            file, offset = _place(found.group(1))
        elif found := _LINE.match(raw):
            line = int(found.group(1)) + offset
        else:
            body = raw.strip()
            if body.startswith("</"):
                if around:
                    around.pop()
            elif body.startswith("<") and body.endswith(">"):
                name, _, args = body[1:-1].partition(" ")
                section = Section(name, args.strip(), file, line)
                sections.append((section, tuple(around)))
                around.append(section)
            elif body and not body.startswith("#"):
                name, _, args = body.partition(" ")
                directives.append(Directive(name, args.strip(), file, line, tuple(around)))
    return Config(tuple(directives), tuple(sections))


def _place(text: str) -> tuple[str, int]:
    """A file, or the file that defines a macro with the line its body follows."""
    macro = _MACRO.match(text)
    return (macro.group(2), int(macro.group(1))) if macro else (text.strip(), 0)


def parse_includes(text: str) -> tuple[Include, ...]:
    """The part of `apache2ctl -t -D DUMP_INCLUDES` below "Included configuration files:"."""
    found: list[Include] = []
    above: list[tuple[int, int]] = []
    for raw in text.splitlines():
        match = _INCLUDE.match(raw)
        if not match:
            continue
        indent = len(match.group(1))
        while above and above[-1][0] >= indent:
            above.pop()
        if match.group(2) != "*":
            above.append((indent, int(match.group(2))))
        found.append(Include(match.group(3), tuple(line for _, line in above)))
    return tuple(found)


def parse_modules(text: str) -> dict[str, str]:
    """`apache2ctl -t -D DUMP_MODULES`: {"core_module": "static", "php_module": "shared", …}."""
    return {m.group(1): m.group(2) for line in text.splitlines() if (m := _MODULE.match(line))}


def parse_run_settings(text: str) -> dict[str, str]:
    """`apache2ctl -t -D DUMP_RUN_CFG`: {"PidFile": "/var/run/apache2/apache2.pid", …}.

    Of lines that repeat (Define, Mutex) the last is kept; quotes are taken off.
    """
    settings = {}
    for line in text.splitlines():
        name, colon, value = line.partition(": ")
        if colon and not name.startswith(" "):
            settings[name] = value.strip().strip('"')
    return settings


def virtual_hosts(config: Config) -> tuple[VirtualHost, ...]:
    """The virtual hosts in their order (the first of an address answers for unknown names)."""
    found = []
    for section, _ in config.sections:
        if section.name.lower() != "virtualhost":
            continue
        own = [d for d in config.directives if d.within == (section,)]
        last = {d.name.lower(): d for d in own}
        name = " ".join(last["servername"].words) if "servername" in last else ""
        root = last["documentroot"].words if "documentroot" in last else []
        tls = last["sslengine"].args.lower() if "sslengine" in last else ""
        found.append(
            VirtualHost(
                section=section,
                name=re.sub(r":\d+$", "", name.partition("://")[2] or name),
                addresses=tuple(parse_address(word) for word in split_args(section.args)),
                document_root=root[0] if root else "",
                tls=tls in ("on", "optional"),
                aliases=tuple(
                    word for d in own if d.name.lower() == "serveralias" for word in d.words
                ),
            )
        )
    return tuple(found)


def parse_address(text: str) -> tuple[str, int]:
    """ "*:80" → ("*", 80), "[::1]:8082" → ("::1", 8082), "80" → ("*", 80), "_default_" → ("*", 0).

    An address without a port has port 0 (any).
    """
    if text.isdigit():
        return "*", _port(text)
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]") or not (port.isdigit() or port == "*"):
        host, port = text, ""
    host = host.strip("[]")
    return ("*" if host in ("_default_", "*", "") else host), _port(port)


def _port(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def split_args(text: str) -> list[str]:
    """Arguments as Apache splits them: blanks part, quotes hold together, \\ keeps a quote."""
    words: list[str] = []
    rest = text.lstrip()
    while rest:
        quote = rest[0] if rest[0] in "\"'" else ""
        taken: list[str] = []
        at = len(quote)
        while at < len(rest):
            char = rest[at]
            if quote and char == "\\" and rest[at + 1 : at + 2] in (quote, "\\"):
                taken.append(rest[at + 1])
                at += 2
                continue
            at += 1
            if char == quote or (not quote and char.isspace()):
                break
            taken.append(char)
        words.append("".join(taken))
        rest = rest[at:].lstrip()
    return words
