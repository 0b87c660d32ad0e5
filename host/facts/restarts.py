"""What still runs old code: needrestart's answer, and the programs whose libraries are gone.

needrestart knows more (interpreters, the kernel), but where it is not installed the kernel's own
tables tell which processes have files mapped that an upgrade replaced.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.ports import unit_of_cgroup

QUERY: Final = ("needrestart", "-b", "-k", "-l")
"""Kernel and libraries; microcode is the machine's, not the host's."""
KERNEL: Final = {
    "0": "cannot be told",
    "1": "the newest one installed runs",
    "2": "an update of it waits for a restart of the host",
    "3": "a newer version waits for a restart of the host",
}
"""NEEDRESTART-KSTA as needrestart(1) has it."""

_GONE: Final = re.compile(
    r"^[0-9a-f]+-[0-9a-f]+ ..x\S* \S+ \S+ [1-9]\d*\s+(/(?:usr/)?(?:lib|bin|sbin)\S*) \(deleted\)$",
    re.MULTILINE,
)


class NeedRestart(msgspec.Struct, frozen=True):
    """`kernel_state` is needrestart's digit, empty where it says nothing (a container)."""

    services: tuple[str, ...] = ()
    kernel_state: str = ""
    kernel_running: str = ""
    kernel_expected: str = ""

    @property
    def waits_for_reboot(self) -> bool:
        return self.kernel_state in ("2", "3")


def parse_needrestart(text: str) -> NeedRestart:
    """`needrestart -b`: "NEEDRESTART-SVC: apache2.service", "NEEDRESTART-KSTA: 3", …"""
    services = []
    kernel = {"KSTA": "", "KCUR": "", "KEXP": ""}
    for line in text.splitlines():
        name, found, value = line.removeprefix("NEEDRESTART-").partition(": ")
        if not found or not line.startswith("NEEDRESTART-"):
            continue
        if name == "SVC":
            services.append(value.strip())
        elif name in kernel:
            kernel[name] = value.strip()
    return NeedRestart(
        tuple(dict.fromkeys(services)), kernel["KSTA"], kernel["KCUR"], kernel["KEXP"]
    )


def gone_from(maps: str) -> tuple[str, ...]:
    """/proc/PID/maps -> code that is mapped and lies on the disk no more (another file is there).

    ("/usr/lib/x86_64-linux-gnu/libssl.so.3",). Files of /memfd, /dev/zero and the like do not
    count, nor does data.
    """
    return tuple(dict.fromkeys(_GONE.findall(maps)))


def _read_needrestart(host: Host, facts: Facts) -> NeedRestart | None:
    if not host.is_root:
        raise FactUnavailable("only root can see which programs run old code")
    try:
        return parse_needrestart(host.run(QUERY, timeout_s=60).stdout)
    except CommandMissing:
        return None


def _read_gone(host: Host, facts: Facts) -> dict[str, tuple[str, ...]]:
    if not host.is_root:
        raise FactUnavailable("only root can see which programs run old code")
    found: dict[str, tuple[str, ...]] = {}
    for path in host.glob("/proc/[0-9]*/maps"):
        try:
            gone = gone_from(host.read_bytes(path).decode("utf-8", "replace"))
            if gone:
                cgroup = host.read_bytes(f"{path.removesuffix('maps')}cgroup")
                unit = unit_of_cgroup(cgroup.decode("utf-8", "replace"))
                if unit.endswith(".service"):
                    found[unit] = tuple(dict.fromkeys((*found.get(unit, ()), *gone)))
        except HostError:
            continue  # it ended
    return found


NEED_RESTART: Final[Fact[NeedRestart | None]] = Fact("needrestart", _read_needrestart)
"""`None` where it is not installed."""
GONE_CODE: Final[Fact[dict[str, tuple[str, ...]]]] = Fact("gone-code", _read_gone)
"""{"apache2.service": ("/usr/lib/x86_64-linux-gnu/libssl.so.3",)}"""
