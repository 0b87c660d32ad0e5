"""What dpkg and apt know of the installed packages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from host.base import Host
from host.facts.base import Fact, Facts

QUERY: Final = (
    "dpkg-query",
    "--show",
    "--showformat=${Package}\t${Version}\t${Architecture}\t${db:Status-Want}\t"
    "${db:Status-Status}\t${Essential}\n",
)


_UNIT: Final = re.compile(r"/systemd/system/[^/]+\.(service|socket|timer|path)$")


class Package(msgspec.Struct, frozen=True):
    """A package dpkg knows. `status` is dpkg's own: installed, config-files, half-configured …

    `want` is install, hold, deinstall or purge.
    """

    name: str
    version: str
    architecture: str
    want: str
    status: str
    essential: bool = False

    @property
    def installed(self) -> bool:
        """Its files are there, configured or not."""
        return self.status not in ("not-installed", "config-files")


def parse_packages(text: str) -> dict[str, Package]:
    """`dpkg-query --show` in the format of `QUERY`.

    {"openssh-server": Package(name="openssh-server", version="1:9.2p1-2+deb12u10", …), …}; a
    second architecture of the same package is keyed "libc6:i386".
    """
    found: dict[str, Package] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) != 6:
            continue
        name, version, architecture, want, status, essential = fields
        key = name if name not in found else f"{name}:{architecture}"
        found[key] = Package(name, version, architecture, want, status, essential == "yes")
    return found


def units_of(packages: Sequence[str]) -> Fact[tuple[str, ...]]:
    """The units that the files of `packages` define, and the start scripts without one."""
    names = tuple(packages)

    def read(host: Host, facts: Facts) -> tuple[str, ...]:
        files = host.run(("dpkg-query", "-L", *names), ok=None).stdout.splitlines()
        units = {path.rpartition("/")[2] for path in files if _UNIT.search(path)}
        scripts = {path.rpartition("/")[2] for path in files if path.startswith("/etc/init.d/")}
        return tuple(sorted(units | {f"{name}.service" for name in scripts}))

    return Fact(f"units-of {' '.join(names)}", read)


def _all(host: Host, facts: Facts) -> dict[str, Package]:
    return parse_packages(host.run(QUERY).stdout)


def _installed(host: Host, facts: Facts) -> dict[str, Package]:
    known = facts.get(KNOWN_PACKAGES)
    return {name: package for name, package in known.items() if package.installed}


def _automatic(host: Host, facts: Facts) -> frozenset[str]:
    return frozenset(host.run(["apt-mark", "showauto"]).stdout.split())


def _manual(host: Host, facts: Facts) -> frozenset[str]:
    return frozenset(host.run(["apt-mark", "showmanual"]).stdout.split())


KNOWN_PACKAGES: Fact[dict[str, Package]] = Fact("known-packages", _all)
"""Also those removed whose configuration is still there (status config-files)."""

PACKAGES: Fact[dict[str, Package]] = Fact("packages", _installed)
"""The installed ones: `"ufw" in facts.get(PACKAGES)`."""

AUTOMATIC_PACKAGES: Fact[frozenset[str]] = Fact("automatic-packages", _automatic)
MANUAL_PACKAGES: Fact[frozenset[str]] = Fact("manual-packages", _manual)
