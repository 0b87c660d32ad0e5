"""Which package the program behind a listening port comes from."""

from __future__ import annotations

from typing import Final

from host.base import Host
from host.facts.base import Fact, Facts
from host.facts.ports import PORTS

SYSTEMD_ITSELF: Final = 1
_MOVED: Final = ("/usr/bin/", "/usr/sbin/", "/usr/lib/")
"""Where /bin, /sbin and /lib lead on a merged /usr; dpkg may still know a file by its old name."""


def parse_owners(text: str) -> dict[str, str]:
    """`dpkg-query -S`: {"/usr/sbin/cupsd": "cups-daemon"}.

    "cups-daemon: /usr/sbin/cupsd"; with several, "a, b: /path", the first is taken.
    """
    owners: dict[str, str] = {}
    for line in text.splitlines():
        names, found, path = line.partition(": ")
        if found and path.startswith("/") and not names.startswith("diversion by "):
            owners[path] = names.split(", ")[0].partition(":")[0]
    return owners


def names_of(path: str) -> tuple[str, ...]:
    """A program's path and the one it had before /usr was merged."""
    moved = [path.removeprefix("/usr") for start in _MOVED if path.startswith(start)]
    return (path, *moved)


def _read(host: Host, facts: Facts) -> dict[int, str]:
    pids = {p.pid for p in facts.get(PORTS) if p.exposed and p.pid > SYSTEMD_ITSELF}
    programs = {pid: host.realpath(f"/proc/{pid}/exe").removesuffix(" (deleted)") for pid in pids}
    paths = sorted({name for program in programs.values() for name in names_of(program)})
    if not paths:
        return {}
    owners = parse_owners(host.run(("dpkg-query", "-S", *paths), ok=None).stdout)
    found = {}
    for pid, program in programs.items():
        package = next((owners[name] for name in names_of(program) if name in owners), "")
        if package:
            found[pid] = package
    return found


PORT_PACKAGES: Final[Fact[dict[int, str]]] = Fact("port-packages", _read)
"""Process id -> package, of those that listen on more than this host: {58: "openssh-server"}."""
