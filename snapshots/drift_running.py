"""What can be known of a unit, a kernel setting or a chain that is not as it was left.

Nothing on a host keeps who stopped a unit or ran `sysctl -w`. What can be measured is since when
a unit is in its state, and which files decide, when they changed and whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts import sysctl
from host.services import blocks
from snapshots.domains import mounts
from snapshots.domains.units import MASK
from snapshots.drift import Drifted
from snapshots.drift_moment import moment, spoken
from snapshots.model import ValueItem

SHOW = (
    "systemctl", "show", "--timestamp=unix",
    "--property=Id,ActiveEnterTimestamp,InactiveEnterTimestamp,FragmentPath,DropInPaths",
)  # fmt: skip
SYSCTL_UNIT = "systemd-sysctl.service"
"""It sets what the files say, at boot and whenever somebody restarts it."""

FOLDERS = ("/etc/systemd/system", "/run/systemd/system")
CHAIN = "nothing on a host keeps when or by whom a chain of the packet filter was changed"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """`when` is ISO 8601 UTC; `told` are sentences without their ends. Empty: not known."""

    when: str = ""
    owner: str = ""
    told: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True):
    path: str
    changed_s: float
    owner: str

    def __str__(self) -> str:
        return f"changed {spoken(moment(self.changed_s))}, owner {self.owner}"


class Running:
    """systemd's answer and the files of sysctl.d; each is asked for once, and only if needed."""

    def __init__(
        self, host: Host, things: Iterable[Drifted], since_s: float, names: Mapping[int, str]
    ) -> None:
        """`since_s`: when the last transaction ended; `names`: of users, by number."""
        self._host = host
        self._since_s = since_s
        self._names = names
        things = [one for one in things if one.domain in ("units", "kernel")]
        units = {_unit(one.key): None for one in things if one.domain == "units"}
        self._units = _shown(host, [*units, SYSCTL_UNIT]) if things else {}
        wanted = any(one.domain == "kernel" for one in things)
        self._boot = sysctl.read_boot(host) if wanted else sysctl.Boot(())

    def known(self, one: Drifted) -> Known:
        """What of `one` can be measured."""
        if one.domain == "units":
            return self._of_unit(one)
        if one.domain == "kernel" and not one.key.startswith(mounts.PREFIX):
            return self._of_kernel(one)
        return Known(told=(CHAIN,)) if one.domain == "firewall" else Known()

    def _of_unit(self, one: Drifted) -> Known:
        if one.key.startswith(MASK):
            link = self._file(f"{FOLDERS[1]}/{_unit(one.key)}")
            return Known(when=moment(link.changed_s), owner=link.owner) if link else Known()
        unit = self._units.get(one.key, {})
        active = isinstance(one.now, ValueItem) and one.now.value == "active"
        entered = "ActiveEnterTimestamp" if active else "InactiveEnterTimestamp"
        files = [self._file(path) for path in self._files_of(one.key, unit)]
        told = [f"{file.path} {file}" for file in files if file and file.changed_s >= self._since_s]
        return Known(when=moment(_stamp(unit, entered)), told=tuple(told))

    def _files_of(self, name: str, unit: Mapping[str, list[str]]) -> list[str]:
        """Its file, what is laid over it, and the links that start it at boot."""
        listed = [path for key in ("FragmentPath", "DropInPaths") for path in unit.get(key, ())]
        found = [path for line in listed for path in line.split()]
        for folder in FOLDERS:
            found += [f"{folder}/{name}", *self._host.glob(f"{folder}/*/{name}")]
        return list(dict.fromkeys(found))

    def _of_kernel(self, one: Drifted) -> Known:
        if not isinstance(one.now, ValueItem):
            return Known()
        now = " ".join(one.now.value.split())
        key = sysctl.dotted(one.key)
        lines = [
            (line, self._file(self._host.realpath(line.file))) for line in self._boot.deciding(key)
        ]
        told = [
            f"{line.origin} sets it to {line.value}" + (f" ({file})" if file else "")
            for line, file in lines
        ]
        applied_s = _stamp(self._units.get(SYSCTL_UNIT, {}), "ActiveEnterTimestamp")
        # Without a start since, or with files that are older than it, no file made it what it is.
        still = 0 < applied_s <= self._since_s
        read = applied_s > 0 and all(file and file.changed_s < applied_s for _, file in lines)
        setting = [file for line, file in lines if line.value == now and file]
        if not lines:
            told = ["no file sets it" + (": changed at run time" if still else "")]
            told += self._unread(key)
        elif not setting and (still or read):
            told.append(f"that it is {now} was set at run time")
        if not setting:
            return Known(told=tuple(told))
        file = setting[-1]
        return Known(when=moment(file.changed_s), owner=file.owner, told=tuple(told))

    def _unread(self, key: str) -> Iterator[str]:
        line = sysctl.winner(self._boot.unread, key)
        if line is not None:
            yield f"{line.origin} sets it to {line.value}, and is not read at boot"

    def _file(self, path: str) -> _File | None:
        there = self._host.state(path)
        if there is None:
            return None
        owner = self._names.get(there.uid, str(there.uid))
        return _File(path, self._host.changed_ns(path) / 1e9, owner)


def _unit(key: str) -> str:
    return key.removeprefix(MASK)


def _shown(host: Host, units: list[str]) -> dict[str, dict[str, list[str]]]:
    """Unit -> its properties; empty where systemd does not answer."""
    try:
        answer = host.run((*SHOW, "--", *units), ok=None, timeout_s=15)
    except (CommandMissing, HostError):
        return {}
    return {unit["Id"][0]: unit for unit in blocks(answer.stdout) if "Id" in unit}


def _stamp(unit: Mapping[str, list[str]], name: str) -> float:
    """ "@1764079331" -> seconds since 1970; 0 where systemd kept nothing."""
    text = unit.get(name, [""])[0].removeprefix("@")
    return float(text) if text.isdigit() else 0.0
