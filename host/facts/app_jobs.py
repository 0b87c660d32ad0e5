"""Jobs of cron and systemd that log in to i-doit with a name and a password."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from host.base import Host, HostError
from host.facts.base import Fact, Facts

PLACES = (
    "/etc/crontab", "/etc/cron.d/*", "/etc/cron.hourly/*", "/etc/cron.daily/*",
    "/etc/cron.weekly/*", "/etc/cron.monthly/*", "/var/spool/cron/crontabs/*",
    "/etc/systemd/system/*.service", "/usr/local/bin/*", "/usr/local/sbin/*",
)  # fmt: skip

_PROGRAM = re.compile(r"console\.php|(?<![\w.-])controller(?![\w.-])")
_USER = re.compile(r"(?:--user|(?<![\w-])-u)(?:=|\s+)(['\"]?)([^\s'\"]+)\1")
_LIMIT_BYTES = 256 * 1024


class Job(msgspec.Struct, frozen=True):
    """Where a job stands ("/etc/cron.d/i-doit:3") and as whom it logs in."""

    at: str
    user: str


def _read_jobs(host: Host, facts: Facts) -> tuple[Job, ...]:
    found: list[Job] = []
    for pattern in PLACES:
        for path in host.glob(pattern):
            state = host.state(path)
            if state is None or state.kind != "file" or state.size_bytes > _LIMIT_BYTES:
                continue
            try:
                text = host.read_bytes(path).decode("utf-8", "replace")
            except HostError:
                continue
            found += parse_jobs(path, text)
    return tuple(found)


def parse_jobs(path: str, text: str) -> Iterator[Job]:
    """The jobs in a file; a line that goes on after a backslash counts as one. Pure."""
    number, whole = 0, ""
    for position, line in enumerate(text.split("\n"), 1):
        number = number or position
        whole += line
        if line.endswith("\\"):
            whole = f"{whole[:-1]} "
            continue
        program = _PROGRAM.search(whole)
        user = _USER.search(whole, program.end()) if program else None  # not sudo's -u
        if user and not whole.lstrip().startswith("#"):
            yield Job(f"{path}:{number}", user[2])
        number, whole = 0, ""


IDOIT_JOBS: Fact[tuple[Job, ...]] = Fact("idoit-jobs", _read_jobs)
