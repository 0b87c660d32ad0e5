"""Owners and modes that dpkg gives a path on every upgrade, and which package a path is of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from host.base import CommandMissing, Host
from host.facts.base import Fact, Facts

FILE = "/var/lib/dpkg/statoverride"


class Override(msgspec.Struct, frozen=True):
    """One line of dpkg's table. Owner and group are names, or numbers as "#1000"."""

    owner: str
    group: str
    mode: int
    line: int

    @property
    def origin(self) -> str:
        return f"{FILE}:{self.line}"


def parse_overrides(text: str) -> dict[str, Override]:
    """ "root crontab 2755 /usr/bin/crontab" -> {"/usr/bin/crontab": Override("root", …)}.

    Lines that are no override are left out; of two for a path the last counts, as with dpkg.
    """
    found: dict[str, Override] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split(None, 3)
        if len(fields) != 4 or not fields[3].startswith("/"):
            continue
        try:
            mode = int(fields[2], 8)
        except ValueError:
            continue
        found[fields[3]] = Override(fields[0], fields[1], mode, number)
    return found


def parse_search(text: str) -> dict[str, str]:
    """`dpkg-query --search`: "cron, cron-daemon-common: /etc/cron.d" -> {"/etc/cron.d": "cron, …"}.

    Lines about diversions are left out.
    """
    found = {}
    for line in text.splitlines():
        names, separator, path = line.partition(": ")
        if separator and path.startswith("/") and not names.startswith("diversion by "):
            found[path] = names
    return found


def packaged(paths: Sequence[str]) -> Fact[dict[str, str]]:
    """Those of `paths` that came with a package, with the names of the packages."""

    def read(host: Host, facts: Facts) -> dict[str, str]:
        try:
            # Ends with 1 as soon as one of the paths is of no package.
            answer = host.run(("dpkg-query", "--search", *paths), ok=(0, 1))
        except CommandMissing:
            return {}
        return parse_search(answer.stdout)

    return Fact(f"packaged {' '.join(paths)}", read)


def _overrides(host: Host, facts: Facts) -> dict[str, Override]:
    if host.state(FILE) is None:
        return {}
    return parse_overrides(host.read_bytes(FILE).decode("utf-8", "replace"))


OVERRIDES: Fact[dict[str, Override]] = Fact("dpkg-statoverride", _overrides)
