"""Everything about a host that an undo must bring back, taken from outside the program."""

from __future__ import annotations

import array
import fcntl
import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Collection
from pathlib import Path
from weakref import WeakKeyDictionary

from tests.hosts import leftovers
from tests.hosts.lab import LabHost

FS_IOC_GETFLAGS = 0x80086601
KEPT_FLAGS = 0x83C0FF
"""The flags chattr can set and an overlay keeps (secrm … noatime, dirsync), without 'extents'."""

SELF_CHANGING_SYSCTLS = {
    r"kernel\.random\.(uuid|entropy_avail|boot_id)": "other at each look or boot",
    r"kernel\.(ns_last_pid|pty\.nr)|fs\.(dentry-state|file-nr|inode-(nr|state)|aio-nr)":
        "what the kernel counts",
    r"fs\.quota\.((allocated|free)_dquots|cache_hits|drops|lookups|reads|syncs|writes)":
        "what the kernel counts",
    r"net\.netfilter\.nf_conntrack_count": "what the kernel counts",
    r"kernel\.sched_domain\..*": "what kernels before 5.13 measure themselves",
}  # fmt: skip
"""Patterns of kernel settings that are not compared -> why."""

_SELF_CHANGING = re.compile("|".join(f"(?:{pattern})" for pattern in SELF_CHANGING_SYSCTLS))

NOT_THE_HOSTS_UNITS = {
    r"(enabled|active) session-.*": "a login of the measurement itself",
    r"active user(-runtime-dir)?@.*": "a login of the measurement itself",
}
"""Patterns of units, "enabled …" or "active …", that are not compared -> why."""

_NOT_THE_HOSTS_UNITS = re.compile("|".join(f"(?:{pattern})" for pattern in NOT_THE_HOSTS_UNITS))

NOT_READ = {
    "times of files": "an undo writes files anew",
    f"flags of files but for `{KEPT_FLAGS:#x}` (sucSiadA, j, t, D, T, C)":
        "set by the file system itself, or kept by no overlay",
    "attributes `trusted.overlay.*`": "of the overlay that these hosts lie on",
    "the order of lines in dpkg's tables, of tables in the packet filter and of chains in them":
        "whoever writes last decides it, and it means nothing",
    "counters of the packet filter": "they count",
    "units other than services, sockets, paths and timers, as to whether they are active":
        "devices and mounts are the machine's, targets and slices follow",
    "services that ran and ended well (`exited`)": "whether they are enabled is compared",
    "whether a timer waits or its service is at work": "it is the hour's",
    "ports other than of TCP and UDP": "sockets of files are in /run",
    "rows of databases, but for accounts and rights and where a step changes some":
        "the applications' data",
}  # fmt: skip
"""What of that which is read is not compared -> why."""

_GRANTS = ";".join(
    f"SELECT '{table}', mysql.{table}.* FROM mysql.{table}"
    for table in (
        "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping"
    )
)  # fmt: skip

Fingerprint = dict[str, dict[str, str]]


def fingerprint(host: LabHost, *roots: str) -> Fingerprint:
    """Area -> key -> value: files (/etc and `roots`), names of the rest of the disk, packages with
    dpkg's tables, units, ports, sysctls, firewall, MariaDB accounts
    and grants."""
    return {
        "names": leftovers.names(host),
        "tables": leftovers.tables(host),
        "files": {k: v for root in ("/etc", *roots) for k, v in _files(host, root).items()},
        "packages": _table(
            host.out("dpkg-query", "-W", "-f", "${Package} ${Version};${db:Status-Abbrev}\\n")
        ),
        "automatic": _table(host.out("apt-mark", "showauto")),
        "units": _units(host),
        "ports": _table("\n".join(_ports(host))),
        "sysctls": _sysctls(host),
        "firewall": {"ruleset": _ruleset(host)},
        "accounts": _table(
            host.run(
                "mariadb", "-N", "-B", "-e", "SELECT User, Host, Priv FROM mysql.global_priv",
                check=False,
            ).stdout
        ),
        "grants": dict.fromkeys(
            host.run("mariadb", "-N", "-B", "-e", _GRANTS, check=False).stdout.splitlines(), "yes"
        ),
    }  # fmt: skip


def differences(before: Fingerprint, after: Fingerprint, stays: Collection[str] = ()) -> list[str]:
    """One line for each thing that is not as it was, and is no path that `stays`: patterns, which
    must match the whole of it."""
    lines = []
    for area in sorted(before.keys() | after.keys()):
        old, new = before.get(area, {}), after.get(area, {})
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key) and not any(re.fullmatch(one, key) for one in stays):
                lines.append(f"{area} {key}: {old.get(key)} -> {new.get(key)}")
    return lines


def _files(host: LabHost, root: str) -> dict[str, str]:
    found = {}
    top = host.root / root.lstrip("/")
    for directory, names, files in os.walk(top):
        for name in [".", *files, *(n for n in names if (Path(directory) / n).is_symlink())]:
            path = Path(directory) / name
            found["/" + str(path.relative_to(host.root))] = _file(path)
    return found


def _file(path: Path) -> str:
    status = path.lstat()
    parts = [stat.filemode(status.st_mode), f"{status.st_uid}:{status.st_gid}"]
    if stat.S_ISLNK(status.st_mode):
        parts.append(os.readlink(path))
    elif stat.S_ISREG(status.st_mode):
        parts.append(hashlib.sha256(path.read_bytes()).hexdigest()[:16])
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            flags = array.array("L", [0])
            fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, flags, True)
            parts.append(f"{flags[0] & KEPT_FLAGS:x}")
        except OSError:
            parts.append("no flags")
        finally:
            os.close(descriptor)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    parts += [
        f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}"
        for name in names
        if not name.startswith("trusted.overlay")
    ]
    return " ".join(parts)


UNIT_PLACES = (
    "etc/systemd", "run/systemd/system", "run/systemd/generator", "run/systemd/generator.early",
    "run/systemd/generator.late", "run/systemd/transient", "run/systemd/system.control",
    "usr/lib/systemd/system", "usr/lib/systemd/system-preset", "usr/local/lib/systemd",
)  # fmt: skip
_ASKED: WeakKeyDictionary[LabHost, tuple[str, str]] = WeakKeyDictionary()


def _unit_files(host: LabHost) -> str:
    """What systemd says of all unit files: a third of a fingerprint, so it is asked again only
    where something in the directories that it reads is not the same."""
    seen = hashlib.sha256()
    root = f"/proc/{host.leader}/root/"  # as the host sees it: its /run is in no other namespace
    for place in UNIT_PLACES:
        for directory, names, files in os.walk(root + place):
            names.sort()
            for name in sorted({*names, *files, "."}):
                shape = _unit_file(f"{directory}/{name}")
                seen.update(f"{directory.removeprefix(root)} {name} {shape}\n".encode())
    key = seen.hexdigest()
    if _ASKED.get(host, ("", ""))[0] != key:
        told = host.out("systemctl", "list-unit-files", "--no-legend", "--plain")
        _ASKED[host] = (key, told)
    return _ASKED[host][1]


def _unit_file(path: str) -> str:
    """Its content; of what packages bring, size and times."""
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(status.st_mode):
        return oct(status.st_mode)
    if "/root/usr/" in path:
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return f"{status.st_mode:o} {hashlib.sha256(Path(path).read_bytes()).hexdigest()}"


def _units(host: LabHost) -> dict[str, str]:
    found = {
        f"enabled {unit}": state.split()[0]
        for unit, state in _table(_unit_files(host)).items()
        if state
    }
    listed = host.out(
        "systemctl", "list-units", "--all", "--no-legend", "--plain",
        "--type=service,socket,path,timer", "--state=active,failed",
    )  # fmt: skip
    for line in listed.splitlines():
        unit, _load, active, sub = line.split()[:4]
        if sub != "exited":
            # A timer "runs" while what it started does.
            sub = "waiting" if unit.endswith(".timer") and sub == "running" else sub
            found[f"active {unit}"] = f"{active} {sub}"
    return {
        unit: state for unit, state in found.items() if not _NOT_THE_HOSTS_UNITS.fullmatch(unit)
    }


def _ports(host: LabHost) -> list[str]:
    lines = []
    for line in host.out("ss", "-H", "-tuln").splitlines():
        fields = line.split()
        lines.append(f"{fields[0]}-{fields[4]} listening")
    return sorted(set(lines))


def _sysctls(host: LabHost) -> dict[str, str]:
    text = host.run("sysctl", "-a", check=False).stdout
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(" = ")
        if not _SELF_CHANGING.fullmatch(key):
            found[key] = value
    return found


def _ruleset(host: LabHost) -> str:
    """Asked from this machine inside the host's network, so that no tool is needed there."""
    text = subprocess.run(
        ["nsenter", "-t", str(host.leader), "-n", "nft", "-s", "list", "ruleset"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    tables = re.split(r"^(?=table )", text, flags=re.MULTILINE)
    return "\n".join(sorted(map(_without_order, tables)))


def _without_order(table: str) -> str:
    """The order of chains in a table tells who wrote them last, and means nothing."""
    lines = [line for line in table.splitlines() if not line.startswith("#")]
    head, *chains = re.split(
        r"\n(?=\t(?:chain|set|map) )", "\n".join(lines).rstrip().removesuffix("}")
    )
    return "\n".join([head, *sorted(chain.rstrip() for chain in chains)])


def _table(text: str) -> dict[str, str]:
    rows = {}
    for line in text.splitlines():
        key, _, value = line.partition("\t") if "\t" in line else line.partition(" ")
        rows[f"{key}@{value.split()[0]}" if "\t" in line else key] = value.strip()
    return rows
