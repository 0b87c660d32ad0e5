"""Mounts: the options that are in force, and what will mount them at the next boot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from host.base import CommandMissing, Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.systemd_conf import Setting, parse_cat_config
from host.facts.unit_process import processes_of
from host.services import blocks

POINTS = ("/tmp", "/var/tmp", "/dev/shm")  # what is asked about, not written to
FLAGS = ("nodev", "nosuid", "noexec")
FSTAB = "/etc/fstab"

LOCAL = "local-fs.target"
_AT_BOOT = frozenset((LOCAL, "sysinit.target", "basic.target", "multi-user.target"))
"""What every boot reaches. basic.target itself asks for tmp.mount and var-tmp.mount, so that Debian
mounts these also where their unit is disabled, or their line of fstab says noauto."""

_PROPERTIES = "Id,UnitFileState,WantedBy,RequiredBy,TriggeredBy"
_GENERATED = "/run/systemd/generator"
_AUTOMOUNT = ("x-systemd.automount", "comment=systemd.automount")

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

    @property
    def at_boot(self) -> bool:
        """Whether systemd-fstab-generator has it mounted at boot, or as soon as it is looked into.

        With x-systemd.automount it makes an automount unit, and noauto says nothing any more.
        """
        words = self.options.split(",")
        last = next((word for word in reversed(words) if word in ("auto", "noauto")), "auto")
        return last == "auto" or any(word in words for word in _AUTOMOUNT)


class Unit(msgspec.Struct, frozen=True):
    """A mount unit as systemd has it. `state`: enabled, disabled, static, generated, masked …

    `asked`: something that every boot reaches asks for it, or an automount unit does.
    """

    state: str = ""
    asked: bool = False


class Boot(msgspec.Struct, frozen=True):
    """What mounts a point at boot. `options` are as written; `how` is "fstab", "unit" or "".

    `fragment` is the unit's own file, "" where there is none. `asked`: something asks for the mount
    at boot. `over_itself`: it is the directory, mounted over itself.
    """

    how: str = ""
    options: str = ""
    origin: str = ""
    fragment: str = ""
    asked: bool = True
    over_itself: bool = False

    @property
    def flags(self) -> frozenset[str]:
        return frozenset(self.options.split(","))

    @property
    def by_line(self) -> bool:
        """Whether it is the line of fstab that would have to ask for the mount (a drop-in may still
        give the options): systemd links no unit that a generator made."""
        return self.how == "fstab" or self.fragment.startswith(_GENERATED)


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
    Files below /run that no generator makes anew at the next boot are left out.
    """
    texts: dict[str, list[str]] = {}
    fragments: dict[str, str] = {}
    unit, lasts = "", True
    for line in text.splitlines():
        path = line.removeprefix("# ")
        if line.startswith("# /") and path.endswith((".mount", ".conf")):
            folder, _, name = path.rpartition("/")
            unit = name if name.endswith(".mount") else folder.rpartition("/")[2][:-2]
            lasts = not path.startswith("/run/") or path.startswith(_GENERATED)
            if lasts and name.endswith(".mount"):
                fragments[unit] = path
        if lasts:
            texts.setdefault(unit, []).append(line)
    return {
        unit: (fragments.get(unit, ""), parse_cat_config("\n".join(lines)))
        for unit, lines in texts.items()
        if unit.endswith(".mount")
    }


def parse_units(text: str) -> dict[str, Unit]:
    """`systemctl show -p Id,UnitFileState,WantedBy,RequiredBy,TriggeredBy UNITS`, by name."""
    found = {}
    for block in blocks(text):
        one = {key: values[0] for key, values in block.items()}
        state = one.get("UnitFileState", "")
        asking = f"{one.get('WantedBy', '')} {one.get('RequiredBy', '')}".split()
        asked = state == "enabled" or bool(one.get("TriggeredBy")) or bool(_AT_BOOT & set(asking))
        found[one.get("Id", "")] = Unit(state, asked)
    return found


def boot_of(
    point: str,
    listed: Listed | None,
    fragment: str,
    lines: Mapping[tuple[str, str], Setting],
    unit: Unit,
) -> Boot:
    """What mounts a point at boot, from its line of fstab and from its unit (see `parse_cat`).

    A unit below /etc counts more than the one made of fstab, and that one more than the
    distribution's; a drop-in more than any of them. For /dev/shm systemd takes no unit ("Cannot
    create mount unit for API file system"); systemd-remount-fs gives it what fstab says.
    """
    by_fstab = Boot()
    if listed is not None:
        asked = listed.at_boot or unit.asked
        by_fstab = Boot("fstab", listed.options, f"{FSTAB}:{listed.line}", fragment, asked)
    if point == "/dev/shm":
        return msgspec.structs.replace(by_fstab, asked=True)
    if unit.state == "masked":
        return Boot()
    source = lines.get(("Unit", "SourcePath"))
    if listed is None and source is not None and source.value == FSTAB:
        return Boot()  # its line was taken away since systemd looked
    options = lines.get(("Mount", "Options"))
    dropped_in = options is not None and options.file != fragment
    if not fragment or (listed and not dropped_in and not fragment.startswith("/etc/")):
        return by_fstab
    what, where = lines.get(("Mount", "What")), lines.get(("Mount", "Where"))
    return Boot(
        how="unit",
        options=options.value if options else "",
        origin=options.origin if options else fragment,
        fragment=fragment,
        asked=unit.asked or (listed is not None and listed.at_boot),
        over_itself=what is not None and where is not None and what.value == where.value,
    )


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
    opposite = {word[2:] if word.startswith("no") else f"no{word}" for word in more}
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
    # Ends with 1 where one of them has no file.
    cat = parse_cat(_said(host, "cat", "--no-pager", *units))
    asked = f"--property={_PROPERTIES}"
    known = parse_units(_said(host, "show", asked, *units))
    listed = parse_fstab(fstab)
    boot = {}
    for unit, point in units.items():
        fragment, lines = cat.get(unit, ("", {}))
        boot[point] = boot_of(point, listed.get(point), fragment, lines, known.get(unit, Unit()))
    return Mounts(now, boot, fstab, own_mounts(host))


def _said(host: Host, *words: str) -> str:
    try:
        return host.run(("systemctl", *words), ok=None, timeout_s=10).stdout
    except CommandMissing:
        return ""


MOUNTS: Fact[Mounts] = Fact("mounts", _read)
