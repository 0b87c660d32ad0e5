"""Kernel parameters: what they are, whether they can be set, and what they will be at boot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")
"""Where systemd-sysctl looks, the strongest first: the same file name hides the later ones."""

UFW_FILE = "/etc/ufw/sysctl.conf"
MAIN_FILE = "/etc/sysctl.conf"


class Parameter(msgspec.Struct, frozen=True):
    """A key of /proc/sys. `value` is `None` where this kernel has no such key."""

    value: str | None
    writable: bool = True


class Assignment(msgspec.Struct, frozen=True):
    """One line of a sysctl.d file. `key` is in dotted form and may be a pattern (`*`).

    `value` is `None` for a line that only takes a key out of a pattern ("-net.ipv4.…").
    """

    file: str
    line: int
    key: str
    value: str | None

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class Boot(msgspec.Struct, frozen=True):
    """What systemd-sysctl sets at boot, and what ufw sets after it.

    `assignments` come in the order in which they are made. `texts` holds every file read, the
    ones that only ufw or nobody reads at boot included.
    """

    assignments: tuple[Assignment, ...]
    ufw: tuple[Assignment, ...] = ()
    unread: tuple[Assignment, ...] = ()
    """Lines of /etc/sysctl.conf where no link makes systemd read it (trixie): gone after boot."""
    texts: dict[str, str] = {}

    def deciding(self, key: str) -> tuple[Assignment, ...]:
        """The lines that must all be right for `key`: systemd's, and ufw's where it has one.

        ufw sets its own values whenever it is enabled or starts, so a wrong line of an ufw that
        is only installed counts as well.
        """
        found = (winner(self.assignments, key), winner(self.ufw, key))
        return tuple(line for line in found if line is not None)


def winner(assignments: Sequence[Assignment], key: str) -> Assignment | None:
    """The last line that names `key`; only where none does, the last pattern that fits it.

    A key that is named outright is taken out of every pattern, wherever it stands.
    """
    named = [a for a in assignments if a.key == key]
    if named:
        return named[-1] if named[-1].value is not None else None
    fitting = [a for a in assignments if "*" in a.key and _fits(key, a.key)]
    return fitting[-1] if fitting else None


def parse_assignments(file: str, text: str) -> list[Assignment]:
    """sysctl.d(5): "net.ipv4.conf.all.rp_filter = 1", "-key = value", "# comment"."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        key, equals, value = stripped.removeprefix("-").partition("=")
        if equals or stripped.startswith("-"):
            tidy = " ".join(value.split()) if equals else None
            found.append(Assignment(file, number, dotted(key.strip()), tidy))
    return found


def dotted(key: str) -> str:
    """A key in the form of this module: dots between its parts, a dot inside a part as a slash.

    Whichever of dot and slash comes first separates; "net/ipv4/conf/eth0.5/rp_filter" is
    "net.ipv4.conf.eth0/5.rp_filter".
    """
    slash, dot = key.find("/"), key.find(".")
    if slash < 0 or 0 <= dot < slash:
        return key
    return key.translate({ord("/"): ".", ord("."): "/"})


def path_of(key: str) -> str:
    """The file of a dotted key: "/proc/sys/net/ipv4/ip_forward"."""
    return "/proc/sys/" + key.translate({ord("/"): ".", ord("."): "/"})


def read_order(listed: Mapping[str, Iterable[str]]) -> list[str]:
    """The files to read, in order, of the names in each of `FOLDERS`: by name, not by folder."""
    chosen: dict[str, str] = {}
    for folder in FOLDERS:
        for name in listed.get(folder, ()):
            if name.endswith(".conf"):
                chosen.setdefault(name, f"{folder}/{name}")
    return [chosen[name] for name in sorted(chosen)]


def read_boot(host: Host, overlay: Mapping[str, str] | None = None) -> Boot:
    """What will hold after a boot, with the files of `overlay` as if they were written."""
    laid_over = overlay or {}
    listed = {folder: {*host.listdir(folder), *_names_in(folder, laid_over)} for folder in FOLDERS}
    texts: dict[str, str] = {}

    def lines(path: str) -> list[Assignment]:
        text = laid_over.get(path)
        if text is None:
            try:
                text = host.read_bytes(path).decode("utf-8", "surrogateescape")
            except HostError:
                return []  # a link to /dev/null or to nothing hides the file of that name
        texts[path] = text
        return parse_assignments(path, text)

    files = read_order(listed)
    assignments = [line for path in files for line in lines(path)]
    linked = any(host.realpath(path) == MAIN_FILE for path in files)
    unread = () if linked else tuple(lines(MAIN_FILE))
    return Boot(tuple(assignments), tuple(lines(UFW_FILE)), unread, texts)


def parse_read_only(mountinfo: str) -> list[tuple[str, bool]]:
    """/proc/self/mountinfo: (mount point, read-only) of /proc/sys and what lies in it."""
    found = []
    for line in mountinfo.splitlines():
        fields = line.split()
        if len(fields) > 5 and (fields[4] == "/proc" or fields[4].startswith("/proc/sys")):
            found.append((fields[4], "ro" in fields[5].split(",")))
    return found


def parameters_fact(keys: Sequence[str]) -> Fact[dict[str, Parameter]]:
    """{"net.ipv4.ip_forward": Parameter("0", writable=True), …} for dotted keys."""

    def read(host: Host, facts: Facts) -> dict[str, Parameter]:
        try:
            mounts = parse_read_only(host.read_bytes("/proc/self/mountinfo").decode())
        except HostError:
            mounts = []
        return {key: _parameter(host, key, mounts) for key in keys}

    return Fact(f"sysctl {' '.join(keys)}", read)


def _parameter(host: Host, key: str, mounts: Sequence[tuple[str, bool]]) -> Parameter:
    path = path_of(key)
    state = host.state(path)
    if state is None:
        return Parameter(None, False)
    # The last mount over the longest path is the one that is seen.
    over = max(
        (mount for mount in enumerate(mounts) if _lies_in(path, mount[1][0])),
        key=lambda mount: (len(mount[1][0]), mount[0]),
        default=(0, ("", False)),
    )
    try:
        value = " ".join(host.read_bytes(path).decode("utf-8", "replace").split())
    except HostError:
        return Parameter("", False)
    return Parameter(value, bool(state.mode & 0o200) and not over[1][1])


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/") or path == folder


def _fits(key: str, pattern: str) -> bool:
    parts, patterns = key.split("."), pattern.split(".")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _names_in(folder: str, paths: Iterable[str]) -> Iterator[str]:
    return (path.rpartition("/")[2] for path in paths if path.rpartition("/")[0] == folder)


def _boot(host: Host, facts: Facts) -> Boot:
    return read_boot(host)


def _interfaces(host: Host, facts: Facts) -> tuple[str, ...]:
    return tuple(host.listdir("/sys/class/net"))


BOOT: Fact[Boot] = Fact("sysctl-boot", _boot)
INTERFACES: Fact[tuple[str, ...]] = Fact("interfaces", _interfaces)
"""("docker0", "eth0", "lo")"""
