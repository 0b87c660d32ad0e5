"""Configuration of systemd's own daemons: all files that count, with the lines that decide."""

from __future__ import annotations

import re

import msgspec

from host.base import CommandMissing, Host
from host.facts.base import Fact, Facts

_HEADER = re.compile(r"# (/\S+\.(?:conf|mount|service))")


class Setting(msgspec.Struct, frozen=True):
    """The line that decides; `value` is as written."""

    value: str
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


def parse_cat_config(text: str) -> dict[tuple[str, str], Setting]:
    """`systemd-analyze cat-config systemd/system.conf`: of each section and key the last line.

    {("Manager", "DefaultLimitCORE"): Setting("0", "/etc/systemd/system.conf.d/60-x.conf", 2)}.
    Each file is headed by "# /its/path".
    """
    found: dict[tuple[str, str], Setting] = {}
    file, began, section = "", 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        if header:
            file, began, section = header[1], number, ""
            continue
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            section = stripped[1:-1]
            continue
        key, equals, value = stripped.partition("=")
        if equals and not stripped.startswith(("#", ";")):
            found[section, key.strip()] = Setting(value.strip(), file, number - began)
    return found


def configuration(name: str) -> Fact[dict[tuple[str, str], Setting]]:
    """All lines of systemd/NAME.conf and its drop-ins, as systemd merges them."""

    def read(host: Host, facts: Facts) -> dict[tuple[str, str], Setting]:
        argv = ("systemd-analyze", "cat-config", f"systemd/{name}.conf")
        try:
            answer = host.run(argv, ok=None, timeout_s=10)
        except CommandMissing:
            return {}
        return parse_cat_config(answer.stdout)

    return Fact(f"systemd-conf {name}", read)
