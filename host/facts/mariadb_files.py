"""MariaDB's option files: what will hold after a restart, with the file and line that decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

MAIN_FILES = ("/etc/my.cnf", "/etc/mysql/my.cnf")
"""Where Debian's mariadbd looks, in this order; root's own ~/.my.cnf is not the server's."""

FOLDER = "/etc/mysql/mariadb.conf.d"

_GROUPS = frozenset({"mysqld", "server", "mariadb", "mariadbd", "client-server", "galera"})
_GROUP = re.compile(r"\[\s*([^]]*?)\s*\]")
_INCLUDE = re.compile(r"!(includedir|include)\s+(\S.*?)\s*$")
_OPTION = re.compile(r"(?:--)?([A-Za-z][A-Za-z0-9_-]*)\s*(?:=\s*(.*))?$")
_DEPTH = 8
_ON = ("1", "on", "true", "yes")
_OFF = ("0", "off", "false", "no")


class Assignment(msgspec.Struct, frozen=True):
    """One option that mariadbd reads, as written: `option` with underscores, without prefixes.

    `value` is `None` where only the option's name stands there.
    """

    file: str
    line: int
    option: str
    value: str | None

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Options(msgspec.Struct, frozen=True):
    """All that mariadbd reads at its next start, in the order in which it does (the last wins)."""

    assignments: tuple[Assignment, ...]
    texts: dict[str, str] = {}

    def deciding(self, option: str) -> Assignment | None:
        """The line that has the last word on an option; `None` where there is none."""
        names = {option, f"skip_{option}", f"enable_{option}", f"disable_{option}"}
        return next((one for one in reversed(self.assignments) if one.option in names), None)


def in_force(assignment: Assignment, option: str, *, switch: bool) -> str:
    """What a line makes of `option`: "ON" and "OFF" of a switch, else its text."""
    value = assignment.value
    if assignment.option != option and assignment.option.startswith(("skip_", "disable_")):
        return "ON" if value is not None and value.lower() in _OFF else "OFF"
    if not switch:
        return value or ""
    if value is None or value.lower() in _ON:
        return "ON"
    return "OFF" if value.lower() in _OFF else value


def parse_options(file: str, text: str, version: str = "") -> list[Assignment | str]:
    """The lines of one file that concern the server; an included file or folder as its path.

    `version` such as "10.11": groups like [mariadb-10.11] are for one version only.
    """
    found: list[Assignment | str] = []
    ours = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        include = _INCLUDE.match(line)
        if include:
            is_folder = include[1] == "includedir"
            found.append(include[2].rstrip("/") + ("/" if is_folder else ""))
            continue
        group = _GROUP.match(line)
        if group:
            name, _, only = group[1].partition("-")
            ours = group[1] in _GROUPS or (name in _GROUPS and only == version != "")
            continue
        option = _OPTION.match(line)
        if ours and option:
            name = option[1].replace("-", "_").removeprefix("loose_")
            value = None if option[2] is None else _value(option[2])
            found.append(Assignment(file, number, name, value))
    return found


def _value(text: str) -> str:
    """Quotes and a comment taken off."""
    text = text.strip()
    if text[:1] in ("'", '"') and text.find(text[0], 1) > 0:
        return text[1 : text.find(text[0], 1)]
    return re.sub(r"\s*(?:^|\s)#.*$", "", text)


def read_options(
    host: Host, version: str = "", overlay: Mapping[str, str] | None = None
) -> Options:
    """What the server will read, with the files of `overlay` as if they were written."""
    laid_over = overlay or {}
    texts: dict[str, str] = {}

    def lines(path: str, depth: int) -> Iterator[Assignment]:
        if depth > _DEPTH:
            return
        text = laid_over.get(path)
        if text is None:
            try:
                text = host.read_bytes(path).decode("utf-8", "surrogateescape")
            except HostError:
                return
        texts[path] = text
        for one in parse_options(path, text, version):
            if isinstance(one, Assignment):
                yield one
            elif one.endswith("/"):
                for name in _names(host, one.rstrip("/"), laid_over):
                    yield from lines(f"{one.rstrip('/')}/{name}", depth + 1)
            else:
                yield from lines(one, depth + 1)

    found = [line for path in MAIN_FILES for line in lines(_resolved(host, path), 0)]
    return Options(tuple(found), texts)


def _resolved(host: Host, path: str) -> str:
    """Debian's /etc/mysql/my.cnf is a link; what is said to a person names the file itself."""
    return host.realpath(path) if host.state(path) is not None else path


def _names(host: Host, folder: str, laid_over: Iterable[str]) -> list[str]:
    new = {path.rpartition("/")[2] for path in laid_over if path.rpartition("/")[0] == folder}
    return sorted(name for name in {*host.listdir(folder), *new} if name.endswith(".cnf"))


def _options(host: Host, facts: Facts) -> Options:
    return read_options(host)


OPTIONS: Fact[Options] = Fact("mariadb-options", _options)
