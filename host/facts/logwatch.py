"""What logwatch would do: it is asked for its configuration with no service to report on."""

from __future__ import annotations

import re
from collections.abc import Mapping

from host.base import CommandMissing, Host
from host.facts.base import Fact, Facts
from host.facts.texts import read_texts

OURS = "/etc/logwatch/conf/logwatch.conf"
FILES = (
    "/usr/share/logwatch/default.conf/logwatch.conf",
    "/usr/share/logwatch/dist.conf/logwatch.conf",
    OURS,
)
"""As logwatch reads them: the last line counts."""

ASK = ("logwatch", "--debug", "6", "--output", "stdout", "--service", "no-service-at-all")
TIMEOUT_S = 20.0


def parse_debug(text: str) -> dict[str, str]:
    """`logwatch --debug 6`: {"mailto": "root", "detail": "0", "mailer": "/usr/sbin/sendmail -t"}.

    What it has after its files and its command line ("Config After Everything:").
    """
    found: dict[str, str] = {}
    inside = False
    for line in text.splitlines():
        if line.startswith("Config After Everything"):
            inside = True
        elif inside and not re.match(r"[a-z_]+ -> ", line):
            if found:
                break
        elif inside:
            name, _, value = line.partition(" -> ")
            found[name] = value.strip()
    return found


def origin_of(name: str, texts: Mapping[str, str]) -> str:
    """The line that decides a setting, as logwatch.conf(5) has it: any case, the last counts."""
    origin = ""
    for path in FILES:
        for number, line in enumerate(texts.get(path, "").splitlines(), 1):
            key, equals, _ = line.partition("=")
            if equals and key.strip().lower() == name.lower():
                origin = f"{path}:{number}"
    return origin


def with_settings(text: str, settings: Mapping[str, str]) -> str:
    """A logwatch.conf in which these hold; every other line as it was."""
    lines = text.splitlines()
    for name, value in settings.items():
        there = [
            index
            for index, line in enumerate(lines)
            if line.partition("=")[0].strip().lower() == name.lower() and "=" in line
        ]
        if there:
            lines[there[-1]] = f"{name} = {value}"
        else:
            lines.append(f"{name} = {value}")
    return "\n".join(lines) + "\n"


def _logwatch(host: Host, facts: Facts) -> dict[str, str]:
    try:
        return parse_debug(host.run(ASK, ok=None, timeout_s=TIMEOUT_S).stdout)
    except CommandMissing:
        return {}


LOGWATCH: Fact[dict[str, str]] = Fact("logwatch", _logwatch)
LOGWATCH_FILES: Fact[dict[str, str]] = Fact(
    "logwatch-files", lambda host, facts: read_texts(host, FILES)
)
