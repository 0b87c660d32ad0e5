"""Packages that a web server seldom needs: those of them that this host has."""

from __future__ import annotations

from fnmatch import fnmatchcase

from host.facts.base import Facts
from host.facts.packages import KNOWN_PACKAGES

KNOWN: dict[str, str] = {
    "cups": "printing",
    "cups-*": "printing",
    "ftp": "FTP client: passwords in clear text",
    "gdm3": "graphical login",
    "inetutils-ftp": "FTP client: passwords in clear text",
    "inetutils-talk": "talk client",
    "inetutils-telnet": "telnet client: passwords in clear text",
    "ldap-utils": "LDAP client programs",
    "lightdm": "graphical login",
    "lxdm": "graphical login",
    "netkit-rsh": "rsh client: passwords in clear text",
    "nis": "NIS client",
    "rsh-client": "rsh client: passwords in clear text",
    "rsh-redone-client": "rsh client: passwords in clear text",
    "sddm": "graphical login",
    "talk": "talk client",
    "telnet": "telnet client: passwords in clear text",
    "telnet-ssl": "telnet client",
    "tftp": "TFTP client",
    "tftp-hpa": "TFTP client",
    "tnftp": "FTP client: passwords in clear text",
    "xserver-xorg": "X server",
    "xserver-xorg-*": "X server",
    "ypbind-mt": "NIS client",
    "yp-tools": "NIS client",
}
"""Name, or pattern of names, to what it is: CIS Debian 12 and 13, sections 1.7.1, 2.1.20 and 2.2,
Lynis INSE-8300 to INSE-8318, and what the i-doit knowledge base lists as unneeded."""


def purpose(name: str) -> str:
    """What an unneeded package is; empty for any other."""
    return next((what for known, what in KNOWN.items() if fnmatchcase(name, known)), "")


def unneeded_packages(facts: Facts) -> list[str]:
    """The known unneeded packages of this host, sorted, also those of which only configuration
    is left: ["cups-daemon", "tnftp"]. Raises `FactUnavailable` where dpkg cannot be asked.
    """
    there = facts.get(KNOWN_PACKAGES)
    return sorted(
        name for name, one in there.items() if one.status != "not-installed" and purpose(name)
    )
