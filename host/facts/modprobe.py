"""Kernel modules: what is loaded, and what modprobe is told to do instead of loading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/lib/modprobe.d")
"""Where kmod looks, the strongest first: the same file name hides the later ones."""

SHOW = ("modprobe", "--showconfig")
CONTAINER = "/run/systemd/container"
"""There where systemd runs in a container (Container Interface of systemd)."""


class Line(msgspec.Struct, frozen=True):
    """An `install` or `blacklist` line. `command` is what install runs, "" for a blacklist."""

    file: str
    line: int
    module: str
    command: str

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Modules(msgspec.Struct, frozen=True):
    """What kmod is told, and what the kernel has.

    `commands` and `blacklisted` are modprobe's own answer, or, where it is not installed, what its
    files say (`asked` is false then). `used` is how often each loaded module is in use; `None`
    where this kernel does not tell. Names have underscores where kmod takes both.
    """

    commands: dict[str, str]
    blacklisted: frozenset[str]
    origins: dict[str, str]
    """Module -> "file:line" of its install line, or else of its blacklist line."""
    asked: bool
    used: dict[str, int] | None
    file_systems: frozenset[str] = frozenset()
    """Types of file systems that are mounted or in /etc/fstab."""
    container: bool = False


def canonical(name: str) -> str:
    """kmod takes "-" and "_" for the same."""
    return name.replace("-", "_")


def parse_files(texts: Mapping[str, str]) -> list[Line]:
    """modprobe.d(5): "install dccp /bin/false", "blacklist pcspkr"; a backslash joins lines."""
    found = []
    for file, text in texts.items():
        for number, line in _joined(text):
            words = line.split(None, 2)
            if len(words) >= 2 and words[0] == "blacklist":
                found.append(Line(file, number, canonical(words[1]), ""))
            elif len(words) == 3 and words[0] == "install":
                found.append(Line(file, number, canonical(words[1]), words[2].strip()))
    return found


def _joined(text: str) -> Iterable[tuple[int, str]]:
    """Lines with those that a backslash joins to them, by the number of the first."""
    began, begun = 1, ""
    for number, line in enumerate(text.split("\n"), 1):
        if not begun:
            began = number
        if line.endswith("\\"):
            begun += f"{line[:-1]} "
        else:
            yield began, begun + line
            begun = ""


def parse_config(text: str) -> tuple[dict[str, str], frozenset[str]]:
    """`modprobe --showconfig`: install commands by module, and what is blacklisted.

    Of several install lines for a module the first that is printed is the one that is run.
    """
    lines = parse_files({"": text})
    commands: dict[str, str] = {}
    for line in lines:
        if line.command:
            commands.setdefault(line.module, line.command)
    return commands, frozenset(line.module for line in lines if not line.command)


def parse_loaded(text: str) -> dict[str, int]:
    """/proc/modules: "overlay 151552 3 - Live 0x0" -> {"overlay": 3}."""
    found = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[2].lstrip("-").isdigit():
            found[canonical(fields[0])] = int(fields[2])
    return found


def file_systems(mountinfo: str) -> frozenset[str]:
    """/proc/self/mountinfo: the types of all mounted file systems, {"ext4", "overlay", …}."""
    return frozenset(
        fields[fields.index("-") + 1]
        for fields in map(str.split, mountinfo.splitlines())
        if "-" in fields[6:] and fields.index("-") + 1 < len(fields)
    )


def listed_types(fstab: str) -> frozenset[str]:
    """/etc/fstab: the types it names, {"ext4", "vfat"}; of "udf,iso9660" both."""
    rows = [line.split() for line in fstab.splitlines() if not line.lstrip().startswith("#")]
    return frozenset(name for row in rows if len(row) > 2 for name in row[2].split(","))


def read_order(listed: Mapping[str, Iterable[str]]) -> list[str]:
    """The files kmod reads, in order: by name, whichever folder they lie in."""
    chosen: dict[str, str] = {}
    for folder in FOLDERS:
        for name in listed.get(folder, ()):
            if name.endswith(".conf"):
                chosen.setdefault(name, f"{folder}/{name}")
    return [chosen[name] for name in sorted(chosen)]


def _read(host: Host, facts: Facts) -> Modules:
    texts = {}
    for path in read_order({folder: host.listdir(folder) for folder in FOLDERS}):
        try:
            texts[path] = host.read_bytes(path).decode("utf-8", "replace")
        except HostError:
            continue  # a link to /dev/null hides the file of that name
    lines = parse_files(texts)
    origins: dict[str, str] = {}
    for line in sorted(lines, key=lambda line: not line.command):
        origins.setdefault(line.module, line.origin)
    asked = host.which(SHOW[0]) is not None
    if asked:
        commands, blacklisted = parse_config(host.run(SHOW, timeout_s=10).stdout)
    else:
        commands, blacklisted = _of(lines)
    types = file_systems(_text(host, "/proc/self/mountinfo")) | listed_types(
        _text(host, "/etc/fstab")
    )
    container = host.state(CONTAINER) is not None
    return Modules(commands, blacklisted, origins, asked, _loaded(host), types, container)


def _of(lines: Sequence[Line]) -> tuple[dict[str, str], frozenset[str]]:
    commands: dict[str, str] = {}
    for line in lines:
        if line.command:
            commands.setdefault(line.module, line.command)
    return commands, frozenset(line.module for line in lines if not line.command)


def _loaded(host: Host) -> dict[str, int] | None:
    try:
        return parse_loaded(host.read_bytes("/proc/modules").decode("utf-8", "replace"))
    except HostError:
        return None


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path).decode("utf-8", "replace")
    except HostError:
        return ""


MODULES: Fact[Modules] = Fact("kernel-modules", _read)
