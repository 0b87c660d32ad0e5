"""What besides the files that a change names it may change on the host: kinds of state, as known
of the programs it runs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from snapshots.model import (
    Activation,
    Change,
    DomainName,
    InstallPackages,
    RunCommand,
)

Reach = Literal["units", "kernel", "firewall"]
"""Kinds of state of which more may change than what a change names."""

ALL: Final[frozenset[Reach]] = frozenset(("units", "kernel", "firewall"))

WRITERS: Final = {
    "auditd": "/etc/audit/",
    "audit-rules": "/etc/audit/",
    "augenrules": "/etc/audit/",
    "cups": "/etc/cups/",
}
"""Daemons, and programs that make them take a change, that write in /etc then, and where."""

_WRITE_FILES: Final = frozenset(
    {"a2disconf", "a2dismod", "a2dissite", "a2enconf", "a2enmod", "a2ensite", "aideinit",
     "apt-mark", "augenrules", "chage", "chmod", "chown", "chpasswd", "cp", "install", "logger",
     "newaliases", "pam-auth-update", "passwd", "phpdismod", "phpenmod", "postconf",
     "remove-shell", "rm", "sed", "ssh-keygen", "systemd-sysusers", "useradd", "usermod"}
)  # fmt: skip
"""Programs that start nothing, and set nothing in the kernel."""

_SET_IN_THE_KERNEL: Final = frozenset({"modprobe", "mount", "sysctl", "umount"})

_FILTERING: Final = re.compile(
    r"(crowdsec|docker|containerd|fail2ban|ferm|firewalld|ip6?tables|libvirtd|lxc-net|networking"
    r"|NetworkManager|netfilter-persistent|nftables|podman|shorewall|sshguard|systemd-networkd|ufw"
    r"|wg-quick@).*"
)
"""Daemons that set rules of the packet filter, or parameters of the kernel beside them."""

_KERNEL_ONLY: Final = re.compile(r"(procps|systemd-sysctl|systemd-modules-load|tuned).*|.*\.mount")


def reach_of(change: Change) -> frozenset[Reach]:
    """What a change may change besides files."""
    if isinstance(change, InstallPackages):
        return ALL
    if not isinstance(change, RunCommand):
        return frozenset()
    program, *words = change.argv
    program = program.rpartition("/")[2]
    if program in _WRITE_FILES:
        return frozenset()
    if program in _SET_IN_THE_KERNEL:
        return frozenset(("kernel",))
    if program == "systemctl":
        return of_units(words) | {"units"}
    return ALL


def of_units(units: Iterable[str]) -> frozenset[Reach]:
    """What besides the units themselves changes where these start, stop, or take a change."""
    found: set[Reach] = set()
    for unit in units:
        if _FILTERING.fullmatch(unit):
            found |= {"firewall", "kernel"}
        elif _KERNEL_ONLY.fullmatch(unit):
            found.add("kernel")
    return frozenset(found)


def of_domains(domains: Iterable[DomainName]) -> frozenset[Reach]:
    """Of kinds that are put back: a setting for all interfaces is one of each, a unit starts what
    it wants."""
    there = set(domains)
    return frozenset(one for one in ALL if one in there)


def homes_of(activations: Iterable[Activation], units: Iterable[str] = ()) -> set[str]:
    """Where in /etc those write that take a change, or start."""
    names = {*units}
    for activation in activations:
        names.add(activation.unit)
        if activation.argv:
            names.add(activation.argv[0].rpartition("/")[2])
    return {WRITERS[key] for name in names if (key := name.removesuffix(".service")) in WRITERS}
