"""What backs this host up, as far as it can be seen from here, and when it last did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts, FactUnavailable
from host.facts.units import UNITS

TOOLS = re.compile(
    r"(?<![a-z])(?:mysqldump|mariadb-dump|mariabackup|mariadb-backup|mydumper|automysqlbackup|"
    r"mysqlbackup|borgmatic|borg|borgbackup|restic|rsnapshot|duplicity|duply|rdiff-backup|"
    r"backupninja|holland|kopia|duplicati|proxmox-backup-client|pg_dumpall|pg_dump)(?![a-z])"
)
_WORD = re.compile(r"backup|dump|sicherung", re.IGNORECASE)
NOT_BACKUPS = re.compile(r"(dpkg-db-backup|dpkg|apt-compat|etckeeper|cracklib-runtime|alsa-store)")
"""They keep old versions of their own tables; with those nothing of an application comes back."""

AGENTS = ("bareos-fd", "bacula-fd", "urbackupclientbackend", "veeamservice", "amanda", "nsrexecd")
"""Services that a backup server asks; whether it did only that server knows."""

CRON_FILES = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*")
CRON_FOLDERS = ("hourly", "daily", "weekly", "monthly")
KNOWN_PLACES = {"automysqlbackup": "/var/lib/automysqlbackup"}
"""Where a program puts its dumps if nobody says otherwise."""

_TARGET = re.compile(r"(?:>\s*|--result-file[= ]|--target-dir[= ]|-o\s+)[\"']?(/[\w./@+-]+)")
_PROPERTIES = "Id,Result,ExecMainExitTimestamp,LastTriggerUSec"
MOST_FILES = 2000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Something that backs up. `last_s`: when it last did, seconds since 1970; 0 if not known.

    `failed`: the last run ended badly. `places`: folders that its own words name as targets.
    """

    kind: Literal["timer", "cron", "agent"]
    name: str
    what: str
    origin: str
    last_s: float = 0.0
    failed: bool = False
    places: tuple[str, ...] = ()


def is_backup(name: str, command: str = "") -> bool:
    """Whether a unit or script of this name, or this command, backs up."""
    if NOT_BACKUPS.fullmatch(name):
        return False
    return bool(_WORD.search(name) or TOOLS.search(name) or TOOLS.search(command))


def parse_cron(file: str, text: str, *, with_user: bool) -> Iterator[Job]:
    """The lines of a crontab that back up, with their line numbers."""
    fields = 6 if with_user else 5
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] == "#" or re.match(r"\w+\s*=", line):
            continue
        words = line.split(None, (2 if with_user else 1) if line[0] == "@" else fields)
        command = words[-1] if len(words) > 1 else ""
        name = re.split(r"[\s/]", command.split()[0])[-1] if command.split() else ""
        if command and (TOOLS.search(command) or is_backup(name)):
            yield Job(
                kind="cron", name=name, what=command[:120], origin=f"{file}:{number}",
                places=targets(command),
            )  # fmt: skip


def parse_script(path: str, text: str) -> Job | None:
    """A script that cron runs daily or so; `None` where it backs nothing up."""
    name = path.rpartition("/")[2]
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    if NOT_BACKUPS.fullmatch(name) or not (TOOLS.search(code) or is_backup(name)):
        return None
    known = tuple(place for tool, place in KNOWN_PLACES.items() if tool in name)
    return Job(
        kind="cron", name=name, what=path, origin=path, places=(*targets(code), *known)
    )  # fmt: skip


def targets(command: str) -> tuple[str, ...]:
    """Folders that a command writes into, as far as its own words tell."""
    folders = (found[1].rpartition("/")[0] for found in _TARGET.finditer(command))
    return tuple(dict.fromkeys(f for f in folders if f.count("/") > 1 and f != "/dev"))


def parse_shown(text: str) -> dict[str, dict[str, str]]:
    """`systemctl show --timestamp=unix`: {"borgmatic.timer": {"LastTriggerUSec": "@1764…"}, …}."""
    found: dict[str, dict[str, str]] = {}
    for block in text.split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)
        if values.get("Id"):
            found[values["Id"]] = values
    return found


def when(value: str) -> float:
    """Seconds since 1970 of "@1764100000" or "Wed 2026-11-25 22:13:26 UTC"; of all else 0."""
    text = value.strip()
    if re.fullmatch(r"@[0-9]{1,12}", text):
        return float(text[1:])
    try:
        told = datetime.strptime(text.partition(" ")[2], "%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return 0.0
    return told.replace(tzinfo=UTC).timestamp()


def newest_s(host: Host, folders: Iterable[str]) -> float:
    """When the newest file at or below these paths (three levels) was written; 0 where none is."""
    newest = 0.0
    for folder in folders:
        paths = [folder]
        for depth in ("/*", "/*/*", "/*/*/*"):
            paths += host.glob(folder.rstrip("/") + depth)[:MOST_FILES]
        for path in paths[:MOST_FILES]:
            state = host.state(path)
            if state is not None and state.kind == "file" and state.size_bytes > 0:
                newest = max(newest, state.mtime_ns / 1e9)
    return newest


def _jobs(host: Host, facts: Facts) -> tuple[Job, ...]:
    found = [*_timers(host, facts), *_crontabs(host), *_scripts(host)]
    return tuple(
        msgspec.structs.replace(job, last_s=newest_s(host, job.places))
        if job.places and not job.last_s
        else job
        for job in found
    )


def _timers(host: Host, facts: Facts) -> list[Job]:
    try:
        units = facts.get(UNITS)
    except FactUnavailable:
        return []
    jobs = [
        Job(kind="agent", name=f"{name}.service", what="asked by a backup server",
            origin=f"systemctl cat {name}.service")
        for name in AGENTS
        if f"{name}.service" in units and units[f"{name}.service"].active == "active"
    ]  # fmt: skip
    timers = {
        name: next(iter(unit.triggers), name.removesuffix(".timer") + ".service")
        for name, unit in units.items()
        if name.endswith(".timer")
        and unit.active == "active"
        and is_backup(name.removesuffix(".timer"))
    }
    if not timers:
        return jobs
    shown = _shown(host, [*timers, *timers.values()])
    for timer, service in timers.items():
        ran = shown.get(service, {})
        last = max(
            when(ran.get("ExecMainExitTimestamp", "")),
            when(shown.get(timer, {}).get("LastTriggerUSec", "")),
        )
        failed = ran.get("Result", "success") not in ("success", "")
        jobs.append(
            Job(kind="timer", name=timer, what=service, origin=f"systemctl cat {timer}",
                last_s=last, failed=failed)
        )  # fmt: skip
    return jobs


def _shown(host: Host, units: list[str]) -> Mapping[str, Mapping[str, str]]:
    try:
        argv = ("systemctl", "show", "--timestamp=unix", "-p", _PROPERTIES, "--", *units)
        return parse_shown(host.run(argv, ok=None, env={"TZ": "UTC"}).stdout)
    except HostError:
        return {}


def _crontabs(host: Host) -> list[Job]:
    jobs = []
    for pattern in CRON_FILES:
        for path in host.glob(pattern) if "*" in pattern else [pattern]:
            text = _text(host, path)
            jobs += list(parse_cron(path, text, with_user=not path.startswith("/var/")))
    return jobs


def _scripts(host: Host) -> list[Job]:
    jobs = []
    for how_often in CRON_FOLDERS:
        for path in host.glob(f"/etc/cron.{how_often}/*"):
            state = host.state(path)
            # run-parts passes over names with a dot and what cannot be run.
            if "." in path.rpartition("/")[2] or state is None:
                continue
            if state.kind == "file" and not state.mode & 0o111:
                continue
            job = parse_script(path, _text(host, path))
            if job is not None:
                jobs.append(job)
    return jobs


def _text(host: Host, path: str) -> str:
    try:
        return host.read_bytes(path, limit_bytes=256 * 1024).decode("utf-8", "replace")
    except HostError:
        return ""


BACKUP_JOBS: Fact[tuple[Job, ...]] = Fact("backup-jobs", _jobs)
