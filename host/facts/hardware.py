"""What of a host's hardware is there twice or watches itself: RAID, ECC memory, UPS."""

from __future__ import annotations

import re

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts

MDSTAT = "/proc/mdstat"
CONTROLLERS = "/sys/class/edac/mc"
PCI_CLASSES = "/sys/bus/pci/devices/*/class"
RAID_CLASS = "0x0104"
"""PCI class of RAID controllers (linux/pci_ids.h, PCI_CLASS_STORAGE_RAID)."""

_ARRAY = re.compile(r"(md\S*) : (\S+)(?: \(\S+\))? (raid\d+|linear)\s")
_STATE = re.compile(r"\[(\d+)/(\d+)\] \[[U_]+\]")


class Array(msgspec.Struct, frozen=True):
    """A RAID of Linux: how many members it has, and how many of them work."""

    name: str
    level: str
    active: bool
    members: int
    working: int

    @property
    def is_whole(self) -> bool:
        return self.active and self.members == self.working


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """`virtual`: "container", "virtual machine" or "". `corrected` and `uncorrected` are the memory
    errors counted since boot. `ups`: name -> status as upsc has it ("OL", "OB LB")."""

    virtual: str = ""
    arrays: tuple[Array, ...] = ()
    raid_controllers: int = 0
    memory_controllers: int = 0
    corrected: int = 0
    uncorrected: int = 0
    ups: dict[str, str] = {}


def parse_mdstat(text: str) -> tuple[Array, ...]:
    """/proc/mdstat.

    md0 : active raid1 sdb1[1] sda1[0](F)
          1046528 blocks super 1.2 [2/1] [_U]
    """
    found: list[Array] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        array = _ARRAY.match(line)
        if array is None or array[3] in ("raid0", "linear"):
            continue
        state = _STATE.search(lines[number + 1]) if number + 1 < len(lines) else None
        found.append(
            Array(
                array[1], array[3], array[2] == "active",
                int(state[1][:9]) if state else 0, int(state[2][:9]) if state else 0,
            )
        )  # fmt: skip
    return tuple(found)


def _hardware(host: Host, facts: Facts) -> Hardware:
    controllers = host.glob(f"{CONTROLLERS}/mc*")
    return Hardware(
        virtual=_virtual(host),
        arrays=parse_mdstat(_text(host, MDSTAT)),
        raid_controllers=sum(
            _text(host, path).startswith(RAID_CLASS) for path in host.glob(PCI_CLASSES)
        ),
        memory_controllers=len(controllers),
        corrected=sum(_count(host, f"{path}/ce_count") for path in controllers),
        uncorrected=sum(_count(host, f"{path}/ue_count") for path in controllers),
        ups=_ups(host),
    )


def _virtual(host: Host) -> str:
    if host.state("/run/systemd/container") is not None:
        return "container"
    flags = re.search(r"(?m)^flags\s*:.*\bhypervisor\b", _text(host, "/proc/cpuinfo"))
    return "virtual machine" if flags else ""


def _ups(host: Host) -> dict[str, str]:
    """Every UPS that Network UPS Tools know of here."""
    try:
        names = host.run(("upsc", "-l"), ok=None, timeout_s=5).stdout.split()
        return {
            name: host.run(("upsc", name, "ups.status"), ok=None, timeout_s=5).stdout.strip()
            for name in names[:8]
        }
    except CommandMissing:
        return {}


def _count(host: Host, path: str) -> int:
    text = _text(host, path).strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except (HostError, OSError):
        return ""


HARDWARE: Fact[Hardware] = Fact("hardware", _hardware)
