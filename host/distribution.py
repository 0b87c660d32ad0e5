"""Which distribution and release a host runs."""

from __future__ import annotations

import os

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


def parse(os_release: bytes) -> Distribution:
    """From the content of an os-release file; no program is started."""
    # `distro` takes a path only; this one is in memory.
    fd = os.memfd_create("os-release", os.MFD_CLOEXEC)
    try:
        os.write(fd, os_release)
        system = distro.LinuxDistribution(
            include_lsb=False,
            include_uname=False,
            include_oslevel=False,
            os_release_file=f"/proc/self/fd/{fd}",
            distro_release_file="/dev/null",
        )
        return Distribution(
            id=system.id(),
            name=system.name(pretty=True),
            version=system.version(),
            codename=system.codename(),
            like=tuple(system.like().split()),
        )
    finally:
        os.close(fd)
