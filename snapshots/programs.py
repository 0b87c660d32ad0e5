"""What besides the files that a change names it may change on the host: kinds of state, as known
of the programs it runs. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from typing import Final, Literal

from snapshots.model import (
    Activation,
    Change,
    InstallPackages,
    RunCommand,
    RunSql,
    SealTree,
    TestRestore,
)
from snapshots.unit_links import EVERYWHERE, places

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
     "apt-get", "apt-mark", "augenrules", "chage", "chmod", "chown", "chpasswd", "cp",
     "dpkg-statoverride", "install", "journalctl", "logger", "newaliases", "openssl",
     "pam-auth-update", "passwd", "phpdismod", "phpenmod", "postconf",
     "remove-shell", "rm", "sed", "ssh-keygen", "systemd-sysusers", "useradd", "usermod"}
)  # fmt: skip
"""Programs that start nothing, and set nothing in the kernel; apt-get where nothing comes."""

_THROUGH: Final = frozenset({"nsenter", "setpriv"})
"""Programs that run the one they are told, as another account or where others are mounted."""

_OWN_SCRIPTS: Final = "/etc/harden-tui/"
"""Scripts of ours lie here; they only ask, and write what they were told in /var."""

_SET_IN_THE_KERNEL: Final = frozenset({"modprobe", "mount", "sysctl", "umount"})

FILTERING: Final = re.compile(
    r"(crowdsec|docker|containerd|fail2ban|ferm|incus|k3s|kubelet|libvirt|lx[cd]|networking"
    r"|NetworkManager|podman|sshguard|strongswan|systemd-networkd|tailscale|wg-quick@).*"
    r"|(?!audit|udev).*(filter|firewall|ipset|iptables|ip6tables|nftables|rules|shorewall|ufw|vpn|wireguard).*"
)
"""Daemons that set rules of the packet filter, or parameters of the kernel beside them."""

_KERNEL_ONLY: Final = re.compile(r"(procps|systemd-sysctl|systemd-modules-load|tuned).*|.*\.mount")


_ACCOUNTS: Final = r"/etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|\.pwd\.lock)"
_PLACES: Final = {
    **dict.fromkeys(("a2enconf", "a2disconf"), r"/etc/apache2/conf-enabled/.+"),
    **dict.fromkeys(("a2enmod", "a2dismod"), r"/etc/apache2/(mods|conf)-enabled/.+"),
    **dict.fromkeys(("a2ensite", "a2dissite"), r"/etc/apache2/sites-enabled/.+"),
    **dict.fromkeys(("aa-complain", "aa-disable", "aa-enforce"), r"/etc/apparmor\.d/.+"),
    **dict.fromkeys(("aideinit", "apt-get", "apt-mark", "journalctl"), r""),
    "augenrules": r"/etc/audit/.+",
    **dict.fromkeys(("chpasswd", "passwd"), rf"{_ACCOUNTS}|/etc/security/n?opasswd.*"),
    **dict.fromkeys(("chage", "usermod"), _ACCOUNTS),
    "useradd": rf"{_ACCOUNTS}|/etc/default/useradd-?",
    "newaliases": r"/etc/aliases\.(db|dir|lmdb|pag)|/etc/postfix/.+",
    "pam-auth-update": r"/etc/pam\.d/.+",
    **dict.fromkeys(("phpdismod", "phpenmod"), r"/etc/php/.+"),
    "postconf": r"/etc/postfix/.+",
    "ssh-keygen": r"/etc/ssh/.+",
    "systemctl": EVERYWHERE,
    **dict.fromkeys(("logger", "modprobe", "mount", "sysctl", "umount"), r""),
    "ufw": r"/etc/(ufw/.+|ufw|default/ufw)",
}
"""Where in /etc these write, and nowhere else; of one that is not named it is not known."""
_WRITE_WHAT_IS_NAMED: Final = frozenset(
    {"chmod", "chown", "cp", "dpkg-statoverride", "install", "openssl", "rm", "sed"}
)


_OF_ACCOUNTS: Final = frozenset(
    {"addgroup", "adduser", "chage", "chpasswd", "chsh", "delgroup", "deluser", "gpasswd",
     "groupadd", "groupdel", "groupmod", "passwd", "systemd-sysusers", "useradd", "userdel",
     "usermod"}
)  # fmt: skip


_OF_PACKAGES: Final = frozenset({"apt", "apt-get", "apt-mark", "dpkg", "install"})
"""`install` is also how the journal tells that packages came."""


def is_about_accounts(summary: str) -> bool:
    """Whether a change that the journal describes so changes accounts itself."""
    return summary.partition(" ")[0].rpartition("/")[2] in _OF_ACCOUNTS


def place_of(change: Change) -> str:
    """Where it writes, of those that name no file and run no program."""
    match change:
        case SealTree():
            return change.root
        case TestRestore():
            return change.path
    return ""


def may_write(change: Change) -> Callable[[str], bool]:
    """Whether the program of a change may write a file in /etc, or below a tree of a step."""
    if isinstance(change, SealTree):
        root, inside = change.root, f"{change.root.rstrip('/')}/"
        return lambda path: path == root or path.startswith(inside)
    if isinstance(change, TestRestore):
        return lambda path: path == change.path
    if isinstance(change, RunSql):
        return nothing
    if not isinstance(change, RunCommand):
        return lambda _: True
    program, words = _program_of(change)
    if program in _WRITE_WHAT_IS_NAMED:
        named = tuple(word.rstrip("/") for word in words if word.startswith("/"))
        below = tuple(f"{path}/" for path in named)
        return lambda path: path in named or path.startswith(below)
    pattern = r"" if program.startswith(_OWN_SCRIPTS) else _PLACES.get(program)
    pattern = places(words) if program == "systemctl" else pattern
    if pattern is None:
        return lambda _: True
    return lambda path: (
        re.fullmatch(pattern, path) is not None or not f"{path}/".startswith("/etc/")
    )


def _program_of(change: RunCommand) -> tuple[str, list[str]]:
    """The name of the program that is meant, or the path of a script of ours; and its words."""
    words = list(change.argv)
    name = words.pop(0).rpartition("/")[2]
    if name == "sh" and words and words[0].startswith(_OWN_SCRIPTS):
        return words[0], words[1:]
    if name in _THROUGH:
        while words and words[0].startswith("-"):
            taken = words.pop(0)
            if taken == "--target" and words:
                words.pop(0)
        if words:
            name = words.pop(0).rpartition("/")[2]
    return name, words


def nothing(_: str) -> bool:
    return False


def may_have_written(summary: str, kind: str = "", place: str = "") -> Callable[[str], bool] | None:
    """Which files a change may have written that was cut off, and that the journal describes so;
    `None` where that is not known: packages came with it, or it is no program that is known."""
    match kind:
        case "tree":
            return may_write(SealTree(place, ()))
        case "test-restore":
            return may_write(TestRestore("", place))
        case "sql":
            return nothing
        case "" | "command":
            pass
        case _:
            return None
    try:
        change = RunCommand(argv=tuple(shlex.split(summary)), why="")
    except ValueError:
        return None
    program, _ = _program_of(change) if change.argv else ("", [])
    known = program in _PLACES or program in _WRITE_WHAT_IS_NAMED
    if program in _OF_PACKAGES or not (known or program.startswith(_OWN_SCRIPTS)):
        return None
    return may_write(change)


def reach_of(change: Change) -> frozenset[Reach]:
    """What a change may change besides files."""
    if isinstance(change, InstallPackages):
        return ALL
    if not isinstance(change, RunCommand):
        return frozenset()
    program, words = _program_of(change)
    if program in _WRITE_FILES or program.startswith(_OWN_SCRIPTS):
        return frozenset()
    if program == "ufw":
        return frozenset(("firewall", "kernel"))
    if program in _SET_IN_THE_KERNEL:
        return frozenset(("kernel",))
    if program == "systemctl":
        is_told = all("." in word or word.startswith("-") for word in words[1:])
        return of_units(words) | (frozenset() if is_told else {"units"})
    return ALL


def units_of(change: Change) -> tuple[str, ...]:
    """The units that it has systemctl start, stop, enable or disable."""
    return units_in(" ".join(change.argv)) if isinstance(change, RunCommand) else ()


def units_in(summary: str) -> tuple[str, ...]:
    """The same, of a change that the journal describes so."""
    program, *words = summary.split(" ")
    if program.rpartition("/")[2] != "systemctl":
        return ()
    return tuple(word for word in words if "." in word)


def of_units(units: Iterable[str]) -> frozenset[Reach]:
    """What besides the units themselves changes where these start, stop, or take a change."""
    found: set[Reach] = set()
    for unit in units:
        if FILTERING.fullmatch(unit):
            found |= {"firewall", "kernel"}
        elif _KERNEL_ONLY.fullmatch(unit):
            found.add("kernel")
    return frozenset(found)


def homes_of(activations: Iterable[Activation], units: Iterable[str] = ()) -> set[str]:
    """Where in /etc those write that take a change, or start."""
    names = {*units}
    for activation in activations:
        names.add(activation.unit)
        if activation.argv:
            names.add(activation.argv[0].rpartition("/")[2])
    return {WRITERS[key] for name in names if (key := name.removesuffix(".service")) in WRITERS}
