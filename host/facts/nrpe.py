"""What Nagios' NRPE answers to, as its files say, and since when it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts
from host.facts.texts import read_texts

MAIN = "/etc/nagios/nrpe.cfg"
FILES = (MAIN, "/etc/nagios/nrpe_local.cfg", "/etc/nagios/nrpe.d/*.cfg")
"""In the order in which Debian's nrpe.cfg includes them: of a setting the last line counts."""

UNIT = "nagios-nrpe-server.service"


class Line(msgspec.Struct, frozen=True):
    """The line that decides a setting."""

    value: str
    origin: str


def parse_nrpe(texts: Mapping[str, str]) -> dict[str, Line]:
    """{"allowed_hosts": Line("127.0.0.1,::1", "/etc/nagios/nrpe.cfg:106"),
    "command[check_load]": Line("/usr/lib/nagios/…", …)}."""
    found: dict[str, Line] = {}
    for path, text in texts.items():
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            name, equals, value = line.partition("=")
            if equals and not line.startswith("#") and not name.startswith("include"):
                found[name.strip()] = Line(value.strip(), f"{path}:{number}")
    return found


def parse_since(text: str) -> float:
    """`systemctl show -p ActiveEnterTimestamp --timestamp=unix`: seconds since 1970, or 0."""
    found = re.fullmatch(r"ActiveEnterTimestamp=@([0-9]{1,12})", text.strip())
    return float(found[1]) if found else 0.0


def _texts(host: Host, facts: Facts) -> dict[str, str]:
    return read_texts(host, FILES)


def _since(host: Host, facts: Facts) -> float:
    argv = ("systemctl", "show", UNIT, "--timestamp=unix", "-p", "ActiveEnterTimestamp")
    return parse_since(host.run(argv, ok=None).stdout)


NRPE_FILES: Fact[dict[str, str]] = Fact("nrpe-files", _texts)
NRPE_SINCE: Fact[float] = Fact("nrpe-since", _since)
"""When NRPE started, seconds since 1970; 0 where it does not run."""
