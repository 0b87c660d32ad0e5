"""AppArmor as the kernel has it: whether it is on, and which profiles it enforces."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.modprobe import CONTAINER

ENABLED = "/sys/module/apparmor/parameters/enabled"
PROFILES = "/sys/kernel/security/apparmor/profiles"
FOLDER = "/etc/apparmor.d"

REPORTING = ("complain", "mixed")
"""Modes that let a program do what its profile does not allow, and report it."""

ENFORCING = ("enforce", "kill")
"""Modes that refuse it; "kill" ends the program too (apparmor.d(5), "Profile Mode")."""

_PROFILE = re.compile(r"(.+) \((\w+)\)")
_DECLARED = re.compile(
    r'^\s*(?:profile\s+)?("[^"]+"|\S+)(?:\s+\S+)?\s+(?:flags=)?\(([^)]*)\)\s*\{', re.MULTILINE
)


class AppArmor(msgspec.Struct, frozen=True):
    """`enabled` is `None` where this kernel has no AppArmor at all.

    `modes`: {"/usr/sbin/cupsd": "enforce", "php-fpm": "complain", …}, empty where it is off.
    `files`: the files below /etc/apparmor.d that declare a profile in complain mode.
    """

    enabled: bool | None
    container: bool
    modes: dict[str, str] = {}
    files: dict[str, str] = {}

    @property
    def complaining(self) -> tuple[str, ...]:
        """Profiles that only report. Of a profile and its hats (a//b) the profile."""
        names = (name.partition("//")[0] for name, mode in self.modes.items() if mode in REPORTING)
        return tuple(sorted(set(names)))

    @property
    def enforced(self) -> int:
        """How many profiles and hats refuse what they do not allow."""
        return sum(mode in ENFORCING for mode in self.modes.values())

    @property
    def other(self) -> dict[str, int]:
        """Modes that are neither, with how many are in them: {"unconfined": 76}."""
        modes = (mode for mode in self.modes.values() if mode not in (*REPORTING, *ENFORCING))
        return dict(sorted(Counter(modes).items()))


def parse_profiles(text: str) -> dict[str, str]:
    """/sys/kernel/security/apparmor/profiles: "php-fpm (complain)" -> {"php-fpm": "complain"}."""
    found = {}
    for line in text.splitlines():
        match = _PROFILE.fullmatch(line.strip())
        if match:
            found[match[1]] = match[2]
    return found


def complaining_in(text: str) -> list[str]:
    """A file of /etc/apparmor.d: the profiles it declares with flags=(… complain …)."""
    return [
        name.strip('"')
        for name, flags in _DECLARED.findall(text)
        if "complain" in re.split(r"[\s,]+", flags)
    ]


def _read(host: Host, facts: Facts) -> AppArmor:
    container = host.state(CONTAINER) is not None
    if host.state(ENABLED) is None:
        if host.state("/sys/module") is None and not container:
            raise FactUnavailable("the kernel of this host does not tell what it has (/sys/module)")
        return AppArmor(None, container)
    if host.read_bytes(ENABLED).strip() != b"Y":
        return AppArmor(False, container)
    try:
        modes = parse_profiles(host.read_bytes(PROFILES).decode("utf-8", "replace"))
    except HostError as error:
        raise FactUnavailable(f"the profiles in the kernel cannot be read: {error}") from None
    files: dict[str, str] = {}
    if any(mode in REPORTING for mode in modes.values()):
        for path in host.glob(f"{FOLDER}/*"):
            files.update((name, path) for name in complaining_in(_text(host, path)))
    return AppArmor(True, container, modes, files)


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""  # a directory


APPARMOR: Fact[AppArmor] = Fact("apparmor", _read)
