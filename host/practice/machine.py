"""What a running machine knows besides its files: packages, units, jails, kernel parameters."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from host.base import FileState, Port, Service
from host.practice.files import PracticeFiles


class Unit(msgspec.Struct):
    """A pretend unit. `listens` are (protocol, address, port) while it is active."""

    description: str
    active: bool = False
    preset: bool = True
    package: str = ""
    process: str = ""
    pid: int = 0
    listens: list[tuple[str, str, int]] = []
    triggers: list[str] = []
    loads: bool = False
    """It reads configuration when it starts or is reloaded."""


class Package(msgspec.Struct):
    version: str
    automatic: bool = False
    status: str = "installed"


class Memory(msgspec.Struct):
    """Everything that is not a file; kept in machine.json."""

    packages: dict[str, Package] = {}
    units: dict[str, Unit] = {}
    sysctls: dict[str, str] = {}
    firewall_on: bool = False
    jails: dict[str, dict[str, str]] = {}
    loaded: dict[str, dict[str, list[str]]] = {}
    """Unit -> what it runs with since it last read its configuration (see `programs`)."""


class Machine:
    """The pretend machine; programs change it and the files, `save` keeps it."""

    def __init__(self, files: PracticeFiles, table: Path) -> None:
        self.files = files
        self._table = table
        self.memory = Memory()
        self._kept = b""
        if table.exists():
            self._kept = table.read_bytes()
            self.memory = msgspec.json.decode(self._kept, type=Memory)

    def save(self) -> None:
        """Keep the memory, if a program changed it."""
        encoded = msgspec.json.encode(self.memory)
        if encoded == self._kept:
            return
        temporary = self._table.with_suffix(".new")
        temporary.write_bytes(encoded)
        temporary.replace(self._table)
        self._kept = encoded

    def text(self, path: str) -> str:
        """The content of a file, "" where there is none."""
        real = self.files.real(self.files.realpath(path))
        return real.read_text(encoding="utf-8", errors="replace") if real.is_file() else ""

    def write(self, path: str, text: str, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """A file as a package or program would leave it, with the directories above it."""
        self.directory(os.path.dirname(path))
        self.files.put(
            path, FileState(kind="file", mode=mode, uid=uid, gid=gid), text.encode("utf-8")
        )

    def directory(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """A directory, with those above it."""
        if path in ("/", "") or self.files.state(path) is not None:
            return
        self.directory(os.path.dirname(path))
        self.files.put(path, FileState(kind="dir", mode=mode, uid=uid, gid=gid))

    def link(self, path: str, target: str) -> None:
        """A symbolic link, with the directories above it."""
        self.directory(os.path.dirname(path))
        self.files.put(path, FileState(kind="symlink", target=target))

    def remove(self, path: str) -> None:
        """Remove what lies there, a whole directory too."""
        for name in self.files.listdir(path) if self._is_directory(path) else []:
            self.remove(f"{path}/{name}")
        self.files.put(path, None)

    def _is_directory(self, path: str) -> bool:
        state = self.files.state(path)
        return state is not None and state.kind == "dir"

    def enabled(self, unit: str) -> str:
        """As `systemctl is-enabled` says: what the links in /etc/systemd/system say."""
        state = self.files.state(f"/etc/systemd/system/{unit}")
        if state is not None and state.target == "/dev/null":
            return "masked"
        state = self.files.state(f"/run/systemd/system/{unit}")
        if state is not None and state.target == "/dev/null":
            return "masked-runtime"
        pattern = f"/etc/systemd/system/*.wants/{unit}"
        return "enabled" if self.files.glob(pattern) else "disabled"

    def start(self, unit: str) -> None:
        """Start a unit; a daemon reads its configuration."""
        there = self.memory.units[unit]
        if not there.active:
            there.active = True
            there.pid = self._next_pid() if there.process else 0
        self.reload(unit)

    def stop(self, unit: str) -> None:
        """Stop a unit."""
        there = self.memory.units[unit]
        self._forget_process(there)
        there.active = False
        there.pid = 0

    def reload(self, unit: str) -> None:
        """The daemon reads its configuration now: its PID file is written anew."""
        from host.practice.programs.daemons import loaded

        there = self.memory.units[unit]
        if there.process:
            self.write(f"/proc/{there.pid}/comm", f"{there.process}\n")
        if there.loads:
            # Its time must be later than any change of the files it has read.
            time.sleep(0.002)
            self.memory.loaded[unit] = loaded(self, unit)
            path = PID_FILES.get(unit)
            if path is not None:
                self.write(path, f"{there.pid}\n")
                self.files.real(path).touch()
        if unit == "apache2.service":
            self._map_modules(there.pid)

    def _map_modules(self, pid: int) -> None:
        modules = self.memory.loaded["apache2.service"].get("objects", [])
        lines = [f"7f00-7f01 r-xp 0 0:0 1 /usr/lib/apache2/modules/{name}" for name in modules]
        self.write(f"/proc/{pid}/maps", "\n".join(lines) + "\n")

    def _forget_process(self, unit: Unit) -> None:
        if unit.pid:
            self.remove(f"/proc/{unit.pid}")

    def _next_pid(self) -> int:
        taken = {unit.pid for unit in self.memory.units.values()}
        return next(number for number in range(401, 32768) if number not in taken)

    def services(self) -> tuple[Service, ...]:
        """Every unit, as `Host.services` gives them."""
        triggered: dict[str, list[str]] = {}
        for name, unit in self.memory.units.items():
            for target in unit.triggers:
                triggered.setdefault(target, []).append(name)
        found = []
        for name in sorted(self.memory.units):
            unit = self.memory.units[name]
            sub = "dead"
            if unit.active:
                sub = (
                    "listening"
                    if name.endswith(".socket")
                    else "running"
                    if unit.process
                    else "exited"
                )
            found.append(
                Service(
                    unit=name,
                    description=unit.description,
                    active="active" if unit.active else "inactive",
                    sub=sub,
                    enabled=self.enabled(name),
                    main_pid=unit.pid,
                    triggered_by=tuple(triggered.get(name, ())),
                    triggers=tuple(unit.triggers),
                )
            )
        return tuple(found)

    def ports(self) -> tuple[Port, ...]:
        """What listens, as `Host.ports` gives it."""
        found = []
        for name, unit in sorted(self.memory.units.items()):
            if unit.active:
                for protocol, address, port in unit.listens:
                    found.append(
                        Port(
                            protocol="tcp" if protocol == "tcp" else "udp",
                            address=address,
                            port=port,
                            process=unit.process or "systemd",
                            pid=unit.pid or 1,
                            unit=name,
                        )
                    )
        return tuple(sorted(found, key=lambda port: (port.port, port.address)))

    def has_package(self, name: str) -> bool:
        """Whether it is installed."""
        package = self.memory.packages.get(name)
        return package is not None and package.status == "installed"


PID_FILES = {"apache2.service": "/run/apache2/apache2.pid", "ssh.service": "/run/sshd.pid"}
"""Written by the daemon each time it has read its configuration."""
