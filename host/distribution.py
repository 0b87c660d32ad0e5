"""Which distribution and release a host runs."""

from __future__ import annotations

import distro
import msgspec


class Distribution(msgspec.Struct, frozen=True):
    """As /etc/os-release says: `id` "debian", `version` "12", `codename` "bookworm"."""

    id: str
    name: str
    version: str
    codename: str
    like: tuple[str, ...] = ()

    @property
    def is_debian_family(self) -> bool:
        return "debian" in (self.id, *self.like)


def read(root: str = "/") -> Distribution:
    """From the os-release file below `root`; no program is started."""
    system = distro.LinuxDistribution(
        include_lsb=False, include_uname=False, include_oslevel=False, root_dir=root
    )
    return Distribution(
        id=system.id(),
        name=system.name(pretty=True),
        version=system.version(),
        codename=system.codename(),
        like=tuple(system.like().split()),
    )
