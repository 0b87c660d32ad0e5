"""Mounts: the options that are in force, and what will mount them at the next boot."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.systemd_conf import Setting, parse_cat_config
from host.facts.unit_process import processes_of

POINTS = ("/tmp", "/var/tmp", "/dev/shm")  # what is asked about, not written to
FLAGS = ("nodev", "nosuid", "noexec")
FSTAB = "/etc/fstab"


WEB_SERVICES = ("apache2.service", "php*-fpm.service", "nginx.service")
"""What runs programs for whoever is on the web."""


class Mount(msgspec.Struct, frozen=True):
    """A mount as the kernel has it. `flags` are those of the mount itself, not of its device.

    `root` is the directory of the file system that is seen there ("/" unless bound);
    `over_itself`: it is the directory that would be seen there without the mount.
    """

    point: str
    flags: frozenset[str]
    root: str
    type: str
    source: str
    over_itself: bool = False


class Listed(msgspec.Struct, frozen=True):
    """A line of /etc/fstab."""

    source: str
    point: str
    type: str
    options: str
    line: int


class Boot(msgspec.Struct, frozen=True):
    """What mounts a point at boot. `options` are as written; `how` is "fstab", "unit" or "".

    `fragment` is the unit's own file, "" where there is none.
    """

    how: str = ""
    options: str = ""
    origin: str = ""
    fragment: str = ""

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(self.options.split(","))


class Own(msgspec.Struct, frozen=True):
    """What a service sees that has mounts of its own (PrivateTmp=, ProtectSystem= …)."""

    pid: int
    now: dict[str, Mount]


class Mounts(msgspec.Struct, frozen=True):
    """By mount point; a point that is no mount of its own is not in `now`.

    `services`: of the web services that run, those with mounts of their own. A remount does not
    reach these.
    """

    now: dict[str, Mount]
    boot: dict[str, Boot]
    fstab: str
    services: dict[str, Own] = {}


def parse_mountinfo(text: str) -> dict[str, Mount]:
    """/proc/PID/mountinfo by mount point; of several over one point the one that is seen.

    That is the one on which none of the others lies: a mount that came from another namespace
    slips below what was there, and is listed after it.
    """
    rows: dict[str, tuple[str, str, Mount]] = {}
    for line in text.splitlines():
        fields = line.split()
        if "-" not in fields[6:] or fields.index("-", 6) + 2 >= len(fields):
            continue
        end = fields.index("-", 6)
        flags = frozenset(fields[5].split(","))
        point = fields[4].replace("\\040", " ")
        mount = Mount(point, flags, fields[3], fields[end + 1], fields[end + 2])
        rows[fields[0]] = (fields[1], fields[2], mount)
    below = {(parent, mount.point) for parent, _number, mount in rows.values()}
    found: dict[str, Mount] = {}
    for key, (parent, number, mount) in rows.items():
        if (key, mount.point) in below:
            continue
        _parent, carrying, over = rows.get(parent, ("", "", mount))
        if carrying == number and mount.root == _seen_at(over, mount.point):
            mount = msgspec.structs.replace(mount, over_itself=True)
        found[mount.point] = mount
    return found


def _seen_at(over: Mount, point: str) -> str:
    """The directory of its file system that a mount shows at `point`."""
    relative = point if over.point == "/" else point.removeprefix(over.point)
    return f"{over.root.rstrip('/')}{relative}" or "/"


def parse_fstab(text: str) -> dict[str, Listed]:
    """/etc/fstab by mount point; of two lines for one the first, as systemd takes it."""
    found: dict[str, Listed] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if len(fields) < 4 or line.lstrip().startswith("#"):
            continue
        listed = Listed(fields[0], fields[1].rstrip("/") or "/", fields[2], fields[3], number)
        found.setdefault(listed.point, listed)
    return found


def parse_cat(text: str) -> dict[str, tuple[str, dict[tuple[str, str], Setting]]]:
    """`systemctl cat A.mount B.mount`: unit -> (its own file, what counts of it and its drop-ins).

    {"tmp.mount": ("/usr/lib/systemd/system/tmp.mount", {("Mount", "Options"): Setting(…)})}.
    """
    texts: dict[str, list[str]] = {}
    fragments: dict[str, str] = {}
    unit = ""
    for line in text.splitlines():
        path = line.removeprefix("# ")
        if line.startswith("# /") and path.endswith((".mount", ".conf")):
            folder, _, name = path.rpartition("/")
            unit = name if name.endswith(".mount") else folder.rpartition("/")[2][:-2]
            if name.endswith(".mount"):
                fragments[unit] = path
        texts.setdefault(unit, []).append(line)
    return {
        unit: (fragments.get(unit, ""), parse_cat_config("\n".join(lines)))
        for unit, lines in texts.items()
        if unit.endswith(".mount")
    }


def unit_of(point: str) -> str:
    """The name systemd gives the mount unit of one of `POINTS`: "var-tmp.mount"."""
    return f"{point.strip('/').replace('-', chr(92) + 'x2d').replace('/', '-')}.mount"


def with_options(fstab: str, point: str, more: Iterable[str]) -> str:
    """/etc/fstab with options added to the line of `point`, spacing kept."""
    lines = fstab.splitlines(keepends=True)
    listed = parse_fstab(fstab)[point]
    line = lines[listed.line - 1]
    options = merged(listed.options, more)
    at = 0
    for field in (listed.source, point, listed.type):
        at = line.index(field, at) + len(field)
    start = line.index(listed.options, at)
    lines[listed.line - 1] = line[:start] + options + line[start + len(listed.options) :]
    return "".join(lines)


def merged(options: str, more: Iterable[str]) -> str:
    """Options with more of them, and without what contradicts: "defaults,exec" -> "…,noexec"."""
    more = list(more)
    opposite = {word.removeprefix("no") for word in more}
    kept = [word for word in options.split(",") if word and word not in opposite]
    return ",".join([*kept, *(word for word in more if word not in kept)])


def own_mounts(host: Host) -> dict[str, Own]:
    """{"apache2.service": Own(812, {"/tmp": …})} of the web services with mounts of their own."""
    here = host.state("/proc/self/ns/mnt")
    found = {}
    for name, pid in processes_of(host, WEB_SERVICES).items():
        there = host.state(f"/proc/{pid}/ns/mnt")
        if here is None or there is None or here.target == there.target:
            continue
        try:
            text = host.read_bytes(f"/proc/{pid}/mountinfo").decode("utf-8", "replace")
        except HostError:
            continue  # it ended
        found[name] = Own(pid, parse_mountinfo(text))
    return found


def _read(host: Host, facts: Facts) -> Mounts:
    if host.is_practice:
        raise FactUnavailable("a practice host is a directory and has no mounts")
    try:
        now = parse_mountinfo(host.read_bytes("/proc/self/mountinfo").decode("utf-8", "replace"))
    except HostError:
        raise FactUnavailable("the kernel of this host does not tell its mounts") from None
    fstab = ""
    if host.state(FSTAB) is not None:
        fstab = host.read_bytes(FSTAB).decode("utf-8", "surrogateescape")
    units = {unit_of(point): point for point in POINTS}
    try:
        # Ends with 1 where one of them has no file.
        shown = host.run(("systemctl", "cat", "--no-pager", *units), ok=None, timeout_s=10).stdout
    except CommandMissing:
        shown = ""
    listed, cat = parse_fstab(fstab), parse_cat(shown)
    boot = {}
    for unit, point in units.items():
        fragment, lines = cat.get(unit, ("", {}))
        options = lines.get(("Mount", "Options"))
        if point in listed:
            line = listed[point]
            boot[point] = Boot("fstab", line.options, f"{FSTAB}:{line.line}", fragment)
        elif fragment:
            origin = options.origin if options else fragment
            boot[point] = Boot("unit", options.value if options else "", origin, fragment)
        else:
            boot[point] = Boot()
    return Mounts(now, boot, fstab, own_mounts(host))


MOUNTS: Fact[Mounts] = Fact("mounts", _read)
