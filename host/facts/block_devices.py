"""What the file systems of a host lie on: disks, and whether dm-crypt is between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable

LSBLK = ("lsblk", "--json", "--paths", "--output", "NAME,TYPE,MAJ:MIN,FSTYPE")
CRYPTTAB = "/etc/crypttab"


class Place(msgspec.Struct, frozen=True):
    """The file system a path lies on. `number` is MAJ:MIN as the kernel has it ("254:0")."""

    point: str
    type: str
    source: str
    number: str


class Storage(msgspec.Struct, frozen=True):
    """`encrypted`: block devices (by name and by MAJ:MIN) that lie wholly on dm-crypt.

    `known`: all that lsblk lists. `crypttab`: mapped name -> "/etc/crypttab:LINE".
    `swaps`: what is swapped to. `mapped`: device -> the dm-crypt mapping it lies on.
    """

    places: tuple[Place, ...]
    known: frozenset[str]
    encrypted: frozenset[str]
    mapped: dict[str, str]
    crypttab: dict[str, str]
    swaps: tuple[str, ...]
    hypervisor: bool = False

    def place_of(self, path: str) -> Place | None:
        """The mount that holds `path`: the last one over the longest directory."""
        best: Place | None = None
        for place in self.places:
            below = path == place.point or path.startswith(f"{place.point.rstrip('/')}/")
            if below and (best is None or len(place.point) >= len(best.point)):
                best = place
        return best


def parse_lsblk(text: str) -> tuple[frozenset[str], frozenset[str], dict[str, str]]:
    """lsblk's JSON: (all devices, the encrypted ones, device -> its dm-crypt mapping).

    A device that has several parents is listed below each; it is encrypted if all of them are.
    Raises `msgspec.DecodeError` where it is no JSON, `ValueError` where it is not lsblk's.
    """
    answer = msgspec.json.decode(text)
    devices = answer.get("blockdevices") if isinstance(answer, dict) else None
    if not isinstance(devices, list):
        raise ValueError("there is no list of block devices in it")
    seen: dict[str, list[str]] = {}
    _walk(devices, "", seen)
    encrypted = frozenset(name for name, over in seen.items() if all(over))
    mapped = {name: over[0] for name, over in seen.items() if all(over)}
    return frozenset(seen), encrypted, mapped


def _walk(devices: Sequence[Any], crypt: str, seen: dict[str, list[str]]) -> None:
    for device in devices:
        if not isinstance(device, dict):
            continue
        name = str(device.get("name", ""))
        over = name if device.get("type") == "crypt" else crypt
        for key in (name, str(device.get("maj:min", ""))):
            if key:
                seen.setdefault(key, []).append(over)
        children = device.get("children")
        if isinstance(children, list):
            _walk(children, over, seen)


def parse_places(mountinfo: str) -> tuple[Place, ...]:
    """/proc/self/mountinfo in its order."""
    found = []
    for line in mountinfo.splitlines():
        fields = line.split()
        if "-" not in fields[6:] or fields.index("-", 6) + 2 >= len(fields):
            continue
        end = fields.index("-", 6)
        point = fields[4].replace("\\040", " ")
        found.append(Place(point, fields[end + 1], fields[end + 2], fields[2]))
    return tuple(found)


def parse_crypttab(text: str) -> dict[str, str]:
    """/etc/crypttab: "data UUID=… none luks" on line 2 -> {"data": "/etc/crypttab:2"}."""
    return {
        line.split()[0]: f"{CRYPTTAB}:{number}"
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    }


def parse_swaps(text: str) -> tuple[str, ...]:
    """/proc/swaps: ("/dev/dm-1", "/swapfile"); what lies in memory (zram) is left out."""
    rows = (line.split() for line in text.splitlines()[1:])
    return tuple(row[0] for row in rows if row and not row[0].startswith("/dev/zram"))


def _read(host: Host, facts: Facts) -> Storage:
    mountinfo = _text(host, "/proc/self/mountinfo")
    if not mountinfo:
        raise FactUnavailable("the kernel of this host does not tell its mounts")
    answer = host.run(LSBLK, ok=None, timeout_s=10)
    try:
        known, encrypted, mapped = parse_lsblk(answer.stdout or '{"blockdevices": []}')
    except (msgspec.DecodeError, ValueError) as error:
        raise FactUnavailable(f"lsblk's answer cannot be read: {error}") from None
    return Storage(
        parse_places(mountinfo),
        known,
        encrypted,
        mapped,
        parse_crypttab(_text(host, CRYPTTAB)),
        parse_swaps(_text(host, "/proc/swaps")),
        "hypervisor" in _flags(_text(host, "/proc/cpuinfo")),
    )


def _flags(cpuinfo: str) -> Iterable[str]:
    line = next((row for row in cpuinfo.splitlines() if row.startswith("flags")), "")
    return line.partition(":")[2].split()


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""


STORAGE: Fact[Storage] = Fact("block-devices", _read)
